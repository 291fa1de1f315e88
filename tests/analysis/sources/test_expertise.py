"""Platt's sigmoid by group, against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _SigmoidCalibration

from analysis.sources.expertise import FEWEST_IN_A_GROUP, fit_expertise, log_odds


def answers(n: int, seed: int, slope: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 0.999, n)
    return confidence, rng.random(n) < 1 / (1 + np.exp(-slope * log_odds(confidence) + 0.4))


def test_fit_expertise__equals_scikit_learn_in_every_group() -> None:
    confidence, right = answers(600, 0)
    group = np.random.default_rng(1).integers(0, 3, 600)
    found = fit_expertise(confidence, right, group, 3).chance(confidence, group)
    for g in range(3):
        inside = group == g
        odds = log_odds(confidence[inside])
        expected = _SigmoidCalibration().fit(odds, right[inside]).predict(odds)
        np.testing.assert_allclose(found[inside], expected, atol=1e-4)


@given(st.integers(0, 10_000), st.integers(10, 60), st.floats(0.05, 3))
@settings(max_examples=60, deadline=None)
def test_fit_expertise__equals_scikit_learn_where_the_slope_rises(seed: int, n: int, slope: float) -> None:
    confidence, right = answers(n, seed, slope)
    expected = _SigmoidCalibration().fit(log_odds(confidence), right)
    found = fit_expertise(confidence, right, np.zeros(n, np.int64), 1)
    if expected.a_ < 0:  # scikit-learn's sigmoid falls with a positive a
        np.testing.assert_allclose(
            found.chance(confidence, np.zeros(n, np.int64)), expected.predict(log_odds(confidence)), atol=1e-3
        )
    else:
        assert found.slope[0] == pytest.approx(0, abs=1e-2)


def test_fit_expertise__more_confidence_is_never_less_chance() -> None:
    confidence = np.linspace(0.2, 0.99, 40)
    found = fit_expertise(confidence, confidence < 0.6, np.zeros(40, np.int64), 1)
    assert found.slope[0] == 0
    right, n = (confidence < 0.6).sum(), 40
    smoothed = (right * (right + 1) / (right + 2) + (n - right) / (n - right + 2)) / n
    assert found.chance(np.array([0.9]), np.array([0]))[0] == pytest.approx(smoothed)


def test_fit_expertise__votes_of_one_confidence_have_a_rate_only() -> None:
    found = fit_expertise(np.ones(20), np.arange(20) < 15, np.zeros(20, np.int64), 1)
    assert found.chance(np.ones(1), np.zeros(1, np.int64))[0] == pytest.approx((15 * 16 / 17 + 5 / 7) / 20)


def test_fit_expertise__a_group_seldom_named_is_believed_as_all_are() -> None:
    confidence, right = answers(200, 3)
    group = np.zeros(200, np.int64)
    group[: FEWEST_IN_A_GROUP - 1] = 1
    found = fit_expertise(confidence, right, group, 3)
    pooled = fit_expertise(confidence, right, np.zeros(200, np.int64), 1)
    assert found.offset[1] == pooled.offset[0] and found.slope[1] == pooled.slope[0]
    assert found.offset[2] == pooled.offset[0], "a group that is never named"


@given(st.integers(1, 12), st.booleans())
def test_fit_expertise__a_handful_that_are_all_right_is_not_certain(n: int, right: bool) -> None:
    found = fit_expertise(np.full(n, 0.99), np.full(n, right), np.zeros(n, np.int64), 1)
    assert 0 < found.chance(np.array([0.99]), np.array([0]))[0] < 1
    assert np.isfinite(found.offset).all()
