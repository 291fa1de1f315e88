"""Head, medium and tail: classes grouped by how many images each had; and how unequally classes fare."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import rankdata

from analysis.intervals import ratio

GROUPS = ("head", "medium", "tail")
HEAD, MEDIUM, TAIL = range(3)
Grouping = Literal["thirds", "counts"]


def group_classes(counts: np.ndarray, grouping: Grouping, head_above: int = 100, tail_below: int = 20) -> np.ndarray:
    """HEAD, MEDIUM or TAIL for each class, int64 (C,). In "thirds", equal counts are always in one group."""
    counts = np.asarray(counts)
    if grouping == "counts":
        return np.where(counts > head_above, HEAD, np.where(counts < tail_below, TAIL, MEDIUM))
    place = (rankdata(-counts, "average") - 0.5) / len(counts)
    return np.where(place < 1 / 3, HEAD, np.where(place > 2 / 3, TAIL, MEDIUM))


def normalised_deviation(values: np.ndarray) -> np.ndarray:
    """ABSLD's NSD (arXiv 2312.05508): the standard deviation of ``values`` (..., C) over classes, divided by their mean,
    float64 (...); lower is fairer.

    Classes that are NaN are left out; NaN where fewer than two are known, or their mean is 0.
    """
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    mean = ratio(np.where(known, values, 0).sum(axis=-1), n)
    spread = np.sqrt(ratio(np.where(known, np.square(values - mean[..., None]), 0).sum(axis=-1), n))
    return np.where(n > 1, ratio(spread, mean), np.nan)
