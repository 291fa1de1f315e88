"""How unequally classes fare, against numpy's own mean and standard deviation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.class_groups import normalised_deviation


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=20), st.floats(0.1, 10))
def test_normalised_deviation__does_not_depend_on_scale(values, scale):
    held = np.array(values)
    expected = np.std(held) / np.mean(held)
    assert normalised_deviation(held * scale) == pytest.approx(expected, abs=1e-9)
    assert normalised_deviation(np.append(held, np.nan)) == pytest.approx(expected, abs=1e-9)


def test_normalised_deviation__of_each_row_and_unknown_where_nothing_can_be_said():
    rows = np.array([[0.2, 0.6, np.nan], [0.5, 0.5, np.nan], [0.0, 0.0, np.nan], [0.4, np.nan, np.nan], [np.nan] * 3])
    found = normalised_deviation(rows)
    assert found[:2] == pytest.approx([0.5, 0.0]) and np.isnan(found[2:]).all()
