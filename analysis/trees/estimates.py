"""How sure a mean over crops is that come in clusters: by image, or by epoch where only some epochs were read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from analysis.findings import SHARE, Figure
from analysis.intervals import FEWEST_FOR_A_MEAN, LEVEL, ratio


@dataclass(frozen=True)
class Clusters:
    """``above`` and ``below`` (n,) are sums by cluster. ``of_all`` is how many clusters there are where these n are a sample
    of them without replacement, which makes the error smaller; None where they stand for endlessly many."""

    above: np.ndarray
    below: np.ndarray
    of_all: int | None = None


def ratio_interval(
    clusters: Clusters, groups: np.ndarray | None = None, num_groups: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum of above over sum of below in each group of clusters, with its bounds, each float64 (num_groups,).

    The classical ratio estimator of cluster sampling (Cochran, Sampling Techniques, 3rd ed., 1977, §6.2 to 6.4): variance
    (1 - n / N) Σ (y - R x)² / ((n - 1) n x̄²), with Student's t on n - 1. Clusters with nothing below are none. Bounds are
    NaN for fewer than three clusters, and the value itself where all of N were seen.
    """
    present = clusters.below > 0
    above, below = clusters.above[present], clusters.below[present]
    groups = np.zeros(len(above), np.int64) if groups is None else groups[present]
    n = np.bincount(groups, minlength=num_groups)
    total = np.bincount(groups, below, num_groups)
    value = ratio(np.bincount(groups, above, num_groups), total)
    residual = np.bincount(groups, (above - value[groups] * below) ** 2, num_groups)
    left = 1.0 if clusters.of_all is None else np.clip(1 - n / clusters.of_all, 0, 1)
    error = np.sqrt(left * ratio(residual * n, n - 1)) / np.where(total > 0, total, np.nan)
    half = np.where(n >= FEWEST_FOR_A_MEAN, student.ppf((1 + LEVEL) / 2, np.maximum(n - 1, 1)) * error, np.nan)
    return value, value - half, value + half


def ratio_figure(label: str, clusters: Clusters, basis: str, n: int, unit: str = SHARE, most: float = 1.0) -> Figure:
    """The ratio over all clusters as a figure of ``n`` crops, for quantities between 0 and ``most``."""
    value, low, high = (float(bound[0]) for bound in ratio_interval(clusters))
    if np.isnan(value):
        return Figure(label, None, f"no crops to tell from; {basis}", 0, unit)
    if np.isnan(low):
        return Figure(label, value, basis, n, unit)
    return Figure(label, value, basis, n, unit, max(low, 0.0), min(high, most))
