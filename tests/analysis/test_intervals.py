"""Intervals, against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.intervals import mean_interval, ratio, share, wilson


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson__equals_scipy(counts: tuple[int, int], level: float) -> None:
    k, n = counts
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    low, high = wilson(k, n, level)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


def test_wilson__arrays_and_nothing_seen() -> None:
    low, high = wilson(np.array([0, 5, 0]), np.array([10, 5, 0]))
    assert low[0] == 0 and high[1] == 1
    assert 0 < high[0] < 0.35 and 0.5 < low[1] < 1
    assert np.isnan(low[2]) and np.isnan(high[2])


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=30).filter(lambda v: np.std(v) > 1e-3))
def test_mean_interval__equals_scipy(values: list[float]) -> None:
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert mean_interval(np.array([*values, np.nan])) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_mean_interval__too_few_to_know_the_spread() -> None:
    assert mean_interval(np.array([0.1, 0.2])) == (None, None)
    assert mean_interval(np.array([0.1, 0.2, np.nan])) == (None, None)


def test_ratio_and_share__nothing_to_divide_by() -> None:
    np.testing.assert_array_equal(ratio(np.array([1.0, 2.0]), np.array([0.0, 4.0])), [np.nan, 0.5])
    assert np.isnan(share(0, 0)) and share(1, 4) == 0.25
