"""A budget of images divided over classes, exactly, with a floor and never more than there are."""

from __future__ import annotations

from typing import Literal

import numpy as np

from data.errors import ImpossibleRequest

Spread = Literal["equal", "what is there", "original counts"]
DECIMALS = 9
"""Quotas are compared to that many: what lies beyond is rounding, and must not decide between equal classes."""


def spread_weights(spread: Spread, there: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """What a class's part of the budget is in proportion to, float64 (C,): one each, the images that are ``there`` (C,), or
    the original training ``counts`` (C,). Raises ImpossibleRequest where those are not known."""
    if spread == "equal":
        return np.ones(len(there))
    if spread == "what is there":
        return there.astype(float)
    if counts is None:
        raise ImpossibleRequest("a budget by original counts needs the class counts, which this set does not have.")
    return np.asarray(counts, dtype=float)


def allocate(total: int, weights: np.ndarray, there: np.ndarray, floor: int = 0) -> np.ndarray:
    """How many of the ``there`` int64 (C,) images of each class to keep, int64 (C,).

    Quotas are in proportion to ``weights`` (C,), none below min(``floor``, there) and none above ``there``; what a bound
    takes or leaves is shared by the classes within their bounds. Quotas are rounded down, and the images still missing go
    to the largest remainders (Hamilton's method), of equal ones to the lower class index. The sum is ``total``, or the sum
    of the floors where that is more, or all images where those are fewer. A heavier class never gets less than a lighter
    one with as many images; a larger total may still give some class one image less, as with any largest-remainder method.
    """
    there = np.asarray(there, dtype=np.int64)
    low = np.minimum(floor, there)
    total = int(min(max(total, low.sum()), there.sum()))
    quota = np.round(_quotas(total, np.asarray(weights, dtype=float), low, there), DECIMALS)
    kept = np.floor(quota).astype(np.int64)
    remainder = np.where(kept < there, quota - kept, -1.0)
    first = np.lexsort((np.arange(len(there)), -remainder))
    kept[first[: total - kept.sum()]] += 1
    return kept


def _quotas(total: int, weights: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """clip(level * weights, low, high) float64 (C,) with the level at which they sum to ``total``.

    Where classes of weight 0 have to make up the sum, because all others are at their bound, they share the rest evenly.
    """
    if total > high[weights > 0].sum() + low[weights == 0].sum():
        full = np.where(weights > 0, high, low)
        return _quotas(total, np.ones(len(weights)), full, high)
    weighed = weights > 0
    bends = np.unique(np.concatenate([[0.0], *(bound[weighed] / weights[weighed] for bound in (low, high))]))

    def at(level: float) -> np.ndarray:
        return np.clip(level * weights, low, high)

    place, last = 0, len(bends) - 1  # the sum only rises with the level, linearly between two bends
    while place < last:
        middle = (place + last + 1) // 2
        place, last = (middle, last) if at(bends[middle]).sum() <= total else (place, middle - 1)
    before = at(bends[place])
    if place == len(bends) - 1:
        return before
    rising = at(bends[place + 1]) - before
    missing = total - before.sum()
    return before + (rising * (missing / rising.sum()) if missing > 0 else 0.0)
