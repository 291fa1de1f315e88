"""What to ask a person next: samples put in order by how probably wrong, and how telling, a decision on each would be.

Pure functions of arrays: ids in, an order out; the same input gives the same order, ties by id. Two orders rest on
*Robust Active Distillation* (Baykal et al., arXiv 2210.01213), whose game counts what a sample can teach for it where its
label is right and against it where it is wrong; annotating, training and ranking anew after every batch is the loop of
*Video Annotator*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

INFORMATIVE = 0.25
"""How much being telling counts beside being wrong: the more, the fewer errors the first decisions find, and the more they
teach about the others (benchmarks/asking.py prints what each weight finds)."""
LEAST_FACTOR = 0.5
SURE = 1e-4
SECONDS_A_DECISION = 5.0
"""Where a person has decided too little to be timed."""
FEWEST_TIMED = 5
PAUSE = 10.0
"""A decision that took this many times the median was interrupted, and counts as that long."""
PENALTY = 1.0
STEPS = 50
STILL = 1e-8
FARTHEST, CLOSE = 50.0, 1e-10


def entropy(p_wrong: np.ndarray) -> np.ndarray:
    """How unsure ``p_wrong`` (N,) in [0, 1] leaves one whether the label is wrong: bits in [0, 1]; NaN stays NaN."""
    p = np.clip(p_wrong, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.where((p == 0) | (p == 1), 0.0, bits)


def anchored(p_wrong: np.ndarray, errors: float) -> np.ndarray:
    """``p_wrong`` (N,) with one constant added to every log-odds, so that it sums to ``errors``; the order stays.

    A score orders labels without being a probability of anything; how many of them are wrong is better told by a count, such
    as confident learning's (arXiv 1911.00068). ``errors`` of none or all of the known samples leaves it as it is.
    """
    odds = logit(np.clip(p_wrong, SURE, 1 - SURE))
    known = odds[~np.isnan(odds)]
    if not 0 < errors < len(known):
        return np.asarray(p_wrong, dtype=float)
    shift = brentq(lambda shift: expit(known + shift).sum() - errors, -FARTHEST, FARTHEST, xtol=CLOSE)
    return expit(odds + shift)


def informativeness(uncertainty: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """How much a decision would teach, (N,) in [0, 1]: ``uncertainty`` (N,), weighed by whom the sample speaks for.

    ``crowd`` (N,), of any scale, says how many samples lie near each one (how often it is among the nearest neighbours of
    others); its rank counts, from a half for the loneliest to 1. None leaves it out; NaN counts as the middle.
    """
    return uncertainty if crowd is None else uncertainty * (LEAST_FACTOR + (1 - LEAST_FACTOR) * _rank(crowd))


def wrong_and_telling(p_wrong: np.ndarray, information: np.ndarray, weight: float = INFORMATIVE) -> np.ndarray:
    """What asking is worth where errors are sought, (N,) in [0, 1]: the expected number of errors found, each counting
    1 - ``weight`` for being found and ``weight`` x ``information`` for what it teaches. NaN where either is.
    """
    return p_wrong * (1 - weight + weight * information)


def right_and_telling(p_wrong: np.ndarray, information: np.ndarray) -> np.ndarray:
    """What asking is worth where labels to rely on are sought, (N,) in [-1, 1].

    The expected payoff of the game of arXiv 2210.01213: ``information`` is won where the label is right and lost where it
    is wrong, so (1 - 2 ``p_wrong``) x ``information``. The paper guards against the worst placing of a known number of
    wrong labels; here each sample has a probability of its own.
    """
    return (1.0 - 2.0 * p_wrong) * information


def ranked(worth: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """``ids`` int64 (n,) ascending, in falling order of ``worth[ids]``; NaN comes last, ties in the order of ids."""
    return ids[np.argsort(-worth[ids], kind="stable")]


def by_quota(order: np.ndarray, labels: np.ndarray, decided: np.ndarray, quota: int) -> np.ndarray:
    """The first of each class in ``order`` (n,) until every class has ``quota`` decisions, the least decided class first.

    ``labels`` (N,) are the given classes, ``decided`` (C,) how many samples of each people have settled. In every round each
    class that is still behind gets one sample, in order of ``order``; a class with too few samples gives all it has.
    """
    of_class = labels[order]
    level = decided[of_class] + place_in_class(of_class)
    wanted = np.flatnonzero(level < quota)
    return order[wanted[np.argsort(level[wanted], kind="stable")]]


def within_time(order: np.ndarray, seconds: np.ndarray, budget: float) -> np.ndarray:
    """As much of the beginning of ``order`` (n,) as fits into ``budget`` seconds, ``seconds`` (n,) being for each of it."""
    # Sums of many small numbers round: 20 decisions of 0.1 s fit into 2 s.
    return order[: int(np.searchsorted(np.cumsum(seconds), budget * (1 + 1e-9), side="right"))]


@dataclass(frozen=True)
class Pace:
    """Seconds that a person takes to keep a label and to change one; ``timed`` decisions told so, 0 where none did."""

    keep: float = SECONDS_A_DECISION
    change: float = SECONDS_A_DECISION
    timed: int = 0

    def seconds(self, p_wrong: np.ndarray) -> np.ndarray:
        """Expected seconds for samples that are wrong with probability ``p_wrong`` (n,); the mean of both where unknown."""
        return self.keep + np.where(np.isnan(p_wrong), 0.5, p_wrong) * (self.change - self.keep)


def pace(seconds: np.ndarray, changed: np.ndarray) -> Pace:
    """The pace of a person from ``seconds`` (n,) of past decisions and whether each ``changed`` something, bool (n,).

    Means, with pauses cut to ten medians. Fewer than five decisions say nothing: the stated default; fewer than five of
    one kind: the mean of all for that kind.
    """
    known = np.isfinite(seconds)
    seconds, changed = np.asarray(seconds, dtype=float)[known], np.asarray(changed, dtype=bool)[known]
    if len(seconds) < FEWEST_TIMED:
        return Pace()
    steady = np.minimum(seconds, PAUSE * np.median(seconds))
    parts = [steady[kind] if kind.sum() >= FEWEST_TIMED else steady for kind in (~changed, changed)]
    return Pace(float(parts[0].mean()), float(parts[1].mean()), len(steady))


def relearned(
    p_wrong: np.ndarray, features: np.ndarray, ids: np.ndarray, wrong: np.ndarray, penalty: float = PENALTY
) -> np.ndarray:
    """``p_wrong`` (N,) corrected by what people said: float64 (N,), NaN where it was.

    A logistic regression whose offset is logit(p_wrong): a level, and ``features`` (N, F), standardised, NaN counting as the
    mean, fitted to the decided samples ``ids`` (n,), of which ``wrong`` bool (n,) had a wrong label. The penalty pulls it
    towards ``p_wrong`` itself, so no decisions change nothing and few change little. The offset keeps its slope: where only
    the most suspicious were asked and nearly all were wrong, a free slope may turn the order of all others round.
    """
    prior = logit(np.clip(p_wrong, SURE, 1 - SURE))
    told = ~np.isnan(prior[ids])
    ids, target = ids[told], np.asarray(wrong, dtype=float)[told]
    if not len(ids):
        return np.asarray(p_wrong, dtype=float)
    columns = np.column_stack([np.ones(len(prior)), _standard(features)])
    weights = _fitted(columns[ids], prior[ids], target, penalty)
    return expit(prior + columns @ weights)


def place_in_class(of_class: np.ndarray) -> np.ndarray:
    """For each of ``of_class`` (n,), how many of the same class stand before it."""
    grouped = np.argsort(of_class, kind="stable")
    sizes = np.bincount(of_class)
    place = np.empty(len(of_class), dtype=np.int64)
    place[grouped] = np.arange(len(of_class)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place


def _fitted(columns: np.ndarray, offset: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    """Newton's method on sum of log-losses + penalty / 2 * |weights|², which is convex; halved steps never go uphill."""
    weights = np.zeros(columns.shape[1])

    def loss(candidate: np.ndarray) -> float:
        score = offset + columns @ candidate
        return float(np.logaddexp(0.0, score).sum() - target @ score + penalty / 2 * candidate @ candidate)

    for _ in range(STEPS):
        p = expit(offset + columns @ weights)
        gradient = columns.T @ (p - target) + penalty * weights
        if np.abs(gradient).max() < STILL:
            break
        curvature = (columns.T * (p * (1 - p))) @ columns + penalty * np.eye(len(weights))
        step, before = np.linalg.solve(curvature, gradient), loss(weights)
        while loss(weights - step) > before and np.abs(step).max() > STILL:
            step = step / 2
        weights = weights - step
    return weights


def _standard(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1; constant columns and missing values become 0."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.where(known, values, 0.0).sum(axis=0) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    return centred / np.where(deviation > 1e-12, deviation, 1.0)


def _rank(values: np.ndarray) -> np.ndarray:
    """Each value's share of others below it, ties sharing the middle, (N,) in [0, 1]; NaN is 0.5."""
    rank = np.full(len(values), 0.5)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 2:
        return rank
    _, where, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    rank[known] = ((below + (counts - 1) / 2) / (len(known) - 1))[where]
    return rank
