"""How far a source's confidence may be believed, told apart by group of classes: Platt's sigmoid for each group.

Platt, Probabilistic Outputs for Support Vector Machines (1999), with his smoothed targets, so that few samples that all
happen to be right do not make a source certain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

FEWEST_IN_A_GROUP = 10
"""Groups that a source names less often are believed as the source is in all of them together."""
STEPS = 50
LONGEST_STEP = 4.0
LEAST_CONFIDENCE = 1e-7


@dataclass(frozen=True, eq=False)
class Expertise:
    """σ(``offset`` + ``slope`` · log-odds of the confidence) is the chance to be right, both float64 (G,) by group."""

    offset: np.ndarray
    slope: np.ndarray

    def chance(self, confidence: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Of answers held with ``confidence`` (n,) in classes of ``group`` int64 (n,): the chance to be right, (n,)."""
        return expit(self.offset[group] + self.slope[group] * log_odds(confidence))


def fit_expertise(confidence: np.ndarray, right: np.ndarray, group: np.ndarray, groups: int) -> Expertise:
    """``confidence`` (N,) in the answer, whether it was ``right``, bool (N,), and which ``group`` int64 (N,) it is of.

    Two numbers a group, from FEWEST_IN_A_GROUP samples or more. More confidence never counts as less chance to be right:
    where the samples say so, the group's share of right answers stands for all.
    """
    odds, right = log_odds(confidence), np.asarray(right, dtype=bool)
    offset, slope = _sigmoids(odds, right, group, groups)
    (pooled_offset,), (pooled_slope,) = _sigmoids(odds, right, np.zeros(len(odds), np.int64), 1)
    few = np.bincount(group, minlength=groups) < FEWEST_IN_A_GROUP
    return Expertise(np.where(few, pooled_offset, offset), np.where(few, pooled_slope, slope))


def log_odds(confidence: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), float64, of probabilities kept 1e-7 away from 0 and 1."""
    return logit(np.clip(np.asarray(confidence, dtype=np.float64), LEAST_CONFIDENCE, 1 - LEAST_CONFIDENCE))


def _sigmoids(odds: np.ndarray, right: np.ndarray, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Offset and slope of each group, (G,): Newton's method on all groups' cross-entropies at once."""
    hits, n = np.bincount(group[right], minlength=groups), np.bincount(group, minlength=groups)
    high, low = (hits + 1) / (hits + 2), 1 / (n - hits + 2)
    target = np.where(right, high[group], low[group])
    mean = _mean(odds, group, n)
    spread = np.sqrt(_mean((odds - mean[group]) ** 2, group, n))
    # In units of each group's spread: log-odds of saturated confidences reach 16. Without a spread there is no slope.
    centred = np.divide(odds - mean[group], spread[group], out=np.zeros_like(odds), where=spread[group] > 0)
    rate = np.where(n > 0, _mean(target, group, n), 0.5)
    flat = logit(rate)
    a, b = flat.copy(), np.zeros(groups)
    for _ in range(STEPS):
        step_a, step_b = _newton_step(a, b, centred, target, group)
        a, b = a - step_a, b - step_b
        if max(np.abs(step_a).max(), np.abs(step_b).max()) < 1e-10:
            break
    rising = b > 0
    slope = np.divide(b, spread, out=np.zeros(groups), where=rising & (spread > 0))
    return np.where(rising, a - slope * mean, flat), slope


def _newton_step(
    a: np.ndarray, b: np.ndarray, x: np.ndarray, target: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    chance = expit(a[group] + b[group] * x)
    off, weight = chance - target, chance * (1 - chance)
    down_a, down_b = _sums(off, group, len(a)), _sums(off * x, group, len(a))
    aa, ab, bb = (_sums(weight * x**power, group, len(a)) for power in (0, 1, 2))
    # The smallest of ridges: a group of one confidence has no curvature along its slope, and none to find there.
    aa, bb = aa + 1e-12, bb + 1e-12
    determinant = aa * bb - ab**2
    steps = (bb * down_a - ab * down_b) / determinant, (aa * down_b - ab * down_a) / determinant
    return steps[0].clip(-LONGEST_STEP, LONGEST_STEP), steps[1].clip(-LONGEST_STEP, LONGEST_STEP)


def _sums(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    return np.bincount(group, values, groups)


def _mean(values: np.ndarray, group: np.ndarray, n: np.ndarray) -> np.ndarray:
    return _sums(values, group, len(n)) / np.maximum(n, 1)
