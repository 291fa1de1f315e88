"""Sums by class, against numpy's slow way."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.balance.class_sums import add_by_class


@given(st.integers(0, 2**16), st.integers(0, 30))
def test_add_by_class__equals_adding_row_by_row(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels, values = rng.integers(0, 5, n), rng.normal(size=(n, 3)).astype(np.float32)
    sums = rng.normal(size=(5, 3))
    expected = sums.copy()
    np.add.at(expected, labels, values)
    add_by_class(sums, labels, values)
    np.testing.assert_allclose(sums, expected, atol=1e-6)
