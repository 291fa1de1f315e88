"""How far figures of a set would move with other samples: the bootstrap, within classes or over all.

Efron, Annals of Statistics 7 (1979) 1-26. Where figures are of classes, how many samples each has stays as its makers chose.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.context import Context

MOST_DRAWS, FEWEST_DRAWS = 1_000, 100
SAMPLES_IN_ALL = 20_000_000
STANDARD_ERRORS = 1.96
"""On each side of a figure: a 95 % interval."""


def draws_for(n: int) -> int:
    """1,000, or fewer for large sets, whose figures move little."""
    return max(FEWEST_DRAWS, min(MOST_DRAWS, SAMPLES_IN_ALL // max(n, 1)))


def standard_errors(
    statistics: Callable[[np.ndarray], np.ndarray], labels: np.ndarray, context: Context, seed: int = 0
) -> np.ndarray:
    """The bootstrap standard error of each of ``statistics(ids (N,))`` float64 (M,), drawn anew within each class: (M,).

    ``labels`` int64 (N,). NaN where a statistic is NaN in any draw. A class of one sample does not move.
    """
    order = np.argsort(labels, kind="stable")
    n = np.bincount(labels)[labels[order]]  # of each place's class
    first = np.searchsorted(labels[order], labels[order])
    rng = np.random.default_rng(seed)
    draws = draws_for(len(labels))
    found = [
        statistics(order[first + (rng.random(len(order)) * n).astype(np.int64)])
        for _ in context.track(range(draws), draws, "Drawing samples anew")
    ]
    return np.std(found, axis=0, ddof=1)


def around(
    value: float, error: float, least: float = -np.inf, most: float = np.inf
) -> tuple[float, float] | tuple[None, None]:
    """The interval of ``value``, kept between the ``least`` and the ``most`` it can be; (None, None) for no error known."""
    if not np.isfinite(error):
        return None, None
    return max(value - STANDARD_ERRORS * error, least), min(value + STANDARD_ERRORS * error, most)
