"""Class frequencies to go by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.corrections.priors import known_counts, target_shares
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set


def test_target_shares__of_each_kind():
    made = replace(made_set((2, 0, 6)), class_counts=np.array([70, 20, 10]))
    np.testing.assert_allclose(target_shares(made, "uniform", 1)[0], [1 / 3] * 3)
    np.testing.assert_allclose(target_shares(made, "original counts", 1)[0], [0.7, 0.2, 0.1])
    shares, caveats = target_shares(made, "own labels", 2)
    np.testing.assert_allclose(shares, [0.2, 0.2, 0.6])
    assert caveats == ("1 of 3 classes had no samples; each of them counts as having had 2.",)


def test_known_counts__not_known_is_a_sentence():
    with pytest.raises(ImpossibleRequest, match="how many original images"):
        known_counts(replace(made_set((2, 2)), class_counts=None), 1)
