"""The bootstrap, against closed forms of the errors it estimates."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.balance.resampling import MOST_DRAWS, around, draws_for, standard_errors
from analysis.context import Cancelled, Context


def test_standard_errors__of_means_within_classes() -> None:
    """The bootstrap variance of a mean of n values is their population variance over n."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat([0, 1, 2], [5, 40, 1]))
    values = rng.normal(size=len(labels)) * (1 + labels)

    def means(ids: np.ndarray) -> np.ndarray:
        assert (np.bincount(labels[ids]) == [5, 40, 1]).all(), "every class keeps its number of samples"
        return np.array([values[ids][labels[ids] == c].mean() for c in range(3)])

    expected = [values[labels == c].std() / np.sqrt((labels == c).sum()) for c in range(3)]
    np.testing.assert_allclose(standard_errors(means, labels, Context()), expected, rtol=0.1, atol=1e-12)
    assert expected[2] == 0, "a class of one sample does not move"


def test_standard_errors__of_a_correlation_between_statistics_drawn_together() -> None:
    values = np.random.default_rng(2).normal(size=50)
    labels = np.zeros(50, np.int64)
    both = standard_errors(lambda ids: np.array([values[ids].mean() - values[ids].mean() + 1]), labels, Context())
    assert both[0] == pytest.approx(0, abs=1e-12)


def test_standard_errors__same_twice_and_nan_stays() -> None:
    labels = np.repeat([0, 1], 6)
    values = np.arange(12.0)
    first, second = (standard_errors(lambda ids: np.array([values[ids].mean(), np.nan]), labels, Context()) for _ in "ab")
    assert first[0] == second[0] > 0 and np.isnan(first[1])


def test_standard_errors__stops_where_told() -> None:
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        standard_errors(lambda ids: ids[:1].astype(float), np.zeros(3, np.int64), Context(report=stop))


def test_draws_for__fewer_for_large_sets() -> None:
    assert draws_for(200) == MOST_DRAWS and draws_for(10**7) == 100 and draws_for(0) == MOST_DRAWS


def test_around__kept_between_what_can_be() -> None:
    assert around(0.02, 0.05, 0, 1) == (0, pytest.approx(0.118)) and around(0.5, float("nan")) == (None, None)
