"""How far the tau of the most even class confidence would move with other samples of the same classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.balance.confidence_curve import Adjusted, spread
from analysis.balance.resampling import draws_for
from analysis.context import Context
from analysis.intervals import FEWEST_FOR_A_MEAN, LEVEL

MOST_SAMPLES = 50_000
"""Of more, tau hardly moves, and drawing them anew takes longer than the search."""

Interval = tuple[float, float] | tuple[None, None]
Criterion = Callable[[np.ndarray], np.ndarray]


def can_be_drawn(labels: np.ndarray) -> bool:
    """Whether there is an interval to be had: no more samples than MOST_SAMPLES, and of no class fewer than three."""
    per_class = np.bincount(labels)
    return len(labels) <= MOST_SAMPLES and per_class[per_class > 0].min() >= FEWEST_FOR_A_MEAN


def tau_interval_of(adjusted: Adjusted, taus: np.ndarray, context: Context, criterion: Criterion = spread) -> Interval:
    """``tau_interval`` of labels and how they are adjusted."""
    if not can_be_drawn(adjusted.hard):
        return None, None
    own = np.empty((len(adjusted.hard), len(taus)))
    for ids, part in adjusted.own_confidences(taus, context.part(0, 0.3)):
        own[ids] = part
    return tau_interval(own, adjusted.hard, taus, context.part(0.3, 1), criterion)


def tau_interval(
    own: np.ndarray, labels: np.ndarray, taus: np.ndarray, context: Context, criterion: Criterion = spread
) -> Interval:
    """The percentile bootstrap interval of the tau where ``criterion`` is least, samples drawn anew within each class.

    ``own`` (N, T) holds each sample's own-class probability under each of ``taus`` (T,), ``labels`` int64 (N,) its class;
    ``criterion`` takes the classes' means (T, C) to float64 (T,). Efron, Annals of Statistics 7 (1979) 1-26. (None, None)
    where ``can_be_drawn`` says no.
    """
    if not can_be_drawn(labels):
        return None, None
    order = np.argsort(labels, kind="stable")
    _, first, n = np.unique(labels[order], return_index=True, return_counts=True)
    rows, rng, draws = own[order], np.random.default_rng(0), draws_for(own.size)
    found = np.empty(draws)
    for draw in context.track(range(draws), draws, "Drawing samples anew"):
        times = np.concatenate([rng.multinomial(count, np.full(count, 1 / count)) for count in n])
        means = np.add.reduceat(rows * times[:, None], first, axis=0) / n[:, None]
        found[draw] = taus[np.argmin(criterion(means.T))]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
