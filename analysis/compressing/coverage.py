"""Orders in which few images cover a class, so that near-copies come last, and groups of images unlike each other.

All take the unit rows of one class's vectors, float32 (n, D), as ``analysis.neighbours.unit_rows`` makes them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_GREEDY = 5_000
"""Images of a class that are ordered one by one; what is left after them goes by how far it lies from all of them."""

Tick = Callable[[], None]


def _quiet() -> None:
    return None


def k_centre_order(unit: np.ndarray, tick: Tick = _quiet, most: int = MOST_GREEDY) -> np.ndarray:
    """Row numbers int64 (n,): first the row nearest the mean, then always the one farthest from all before it.

    Greedy k-centre (Gonzalez 1985, doi:10.1016/0304-3975(85)90224-5), which core-set selection uses (Sener & Savarese,
    arXiv 1708.00489). Distance is 1 - cosine; of equal rows the lower number comes first. ``tick`` hears of every step.
    """
    if not len(unit):
        return np.zeros(0, np.int64)
    latest = int(np.argmax(unit @ unit.mean(axis=0)))
    order, closest = [], np.full(len(unit), -np.inf)
    for _ in range(min(len(unit), most)):
        tick()
        order.append(latest)
        closest = np.maximum(closest, unit @ unit[latest])
        closest[latest] = np.inf
        latest = int(np.argmin(closest))
    left = np.setdiff1d(np.arange(len(unit)), order)
    return np.concatenate([order, left[np.argsort(closest[left], kind="stable")]]).astype(np.int64)


def herding_order(unit: np.ndarray, tick: Tick = _quiet, most: int = MOST_GREEDY) -> np.ndarray:
    """Row numbers int64 (n,) such that the mean of the first k lies near the mean of all, for every k.

    Greedy: the next row is the one that brings the mean nearest (herding, Welling 2009, doi:10.1145/1553374.1553517, as
    iCaRL, arXiv 1611.07725, orders exemplars). Of equally good rows the lower number comes first.
    """
    if not len(unit):
        return np.zeros(0, np.int64)
    mean, squares = unit.mean(axis=0, dtype=np.float64), (unit.astype(np.float64) ** 2).sum(axis=1)
    taken, order, chosen = np.zeros(unit.shape[1]), [], np.zeros(len(unit), bool)
    distance = np.zeros(len(unit))
    for k in range(1, min(len(unit), most) + 1):
        tick()
        # |mean - (taken + x) / k|², less what is the same for every x
        distance = squares / k**2 + 2 * (unit @ (taken / k - mean)) / k
        distance[chosen] = np.inf
        latest = int(np.argmin(distance))
        order.append(latest)
        chosen[latest] = True
        taken += unit[latest]
    left = np.flatnonzero(~chosen)
    return np.concatenate([order, left[np.argsort(distance[left], kind="stable")]]).astype(np.int64)


def diverse_sequence(unit: np.ndarray, size: int, tick: Tick = _quiet) -> np.ndarray:
    """Row numbers int64 (n,) such that each ``size`` in a row are unlike each other.

    Each group begins with the first row that is left, and goes on with the one least like those in it (greedy k-centre
    within what is left).
    """
    left, sequence = list(range(len(unit))), []
    while left:
        tick()
        group = [left.pop(0)]
        while left and len(group) < size:
            closest = (unit[left] @ unit[group].T).max(axis=1)
            group.append(left.pop(int(np.argmin(closest))))
        sequence += group
    return np.asarray(sequence, dtype=np.int64)
