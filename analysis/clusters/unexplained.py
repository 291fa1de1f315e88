"""Which samples no class explains, by their nearest neighbours, and which of those lie together.

A sample is at the *core* of its class where most of its nearest neighbours share its label. A class *explains* a sample
where enough of the sample's nearest neighbours are at its core and no farther than such neighbours usually are in that
class. So a class may have many modes, a wrong label here and there changes nothing, and samples that lie together under
labels dealt at random are at no core and explained by none. All arrays are over the M samples looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from analysis.intervals import usual_limit

FEWEST_FOR_A_LEVEL = 5
NOBODY = -1


@dataclass(frozen=True)
class Near:
    """Each sample's nearest neighbours: ``found`` int64 (M, K), nearest first, at ``distance`` (M, K) (1 - cosine)."""

    found: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Explained:
    """``core`` bool (M,); ``by`` int64 (M,), the class that explains a sample best, or NOBODY; ``votes`` (M,), how many of
    its neighbours say so; ``reach``, up to which neighbours are near in the loosest class (-inf without any)."""

    core: np.ndarray
    by: np.ndarray
    votes: np.ndarray
    reach: float

    @property
    def nobody(self) -> np.ndarray:
        return self.by == NOBODY


@dataclass(frozen=True)
class Strictness:
    """``votes``: neighbours it takes to explain a sample; ``tolerance``: robust deviations from the median called far."""

    votes: int
    tolerance: float


def explain(labels: np.ndarray, near: Near, num_classes: int, strictness: Strictness) -> Explained:
    """Which class explains each sample, given ``labels`` int64 (M,)."""
    if not near.found.shape[1]:  # an image alone
        return Explained(np.zeros(len(labels), bool), np.full(len(labels), NOBODY), np.zeros(len(labels), np.int64), -np.inf)
    their = labels[near.found]
    own = their == labels[:, None]
    core = _core(labels, own, num_classes)
    at_core = core[near.found]
    level = _levels(labels, near, own & at_core & core[:, None], num_classes, strictness)
    counted = at_core & (near.distance <= level[their])
    votes, best = _most_frequent(their, counted)
    by = np.where(core, labels, np.where(votes >= strictness.votes, best, NOBODY))
    return Explained(core, by, votes, float(np.nanmax(level, initial=-np.inf)))


def clusters(near: Near, among: np.ndarray, reach: float) -> list[np.ndarray]:
    """Samples ``among`` bool (M,) that are linked, each to each of a pair among the other's neighbours within ``reach``.

    Ids int64, ascending, of each group of two or more, the largest first.
    """
    linked = among[:, None] & among[near.found] & (near.distance <= reach)
    row, slot = np.nonzero(linked)
    graph = sparse.coo_array((np.ones(len(row), bool), (row, near.found[row, slot])), shape=(len(among),) * 2).tocsr()
    _, part = connected_components(graph.multiply(graph.T), directed=False)
    order = np.argsort(part, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(part))[:-1])
    return sorted((g for g in groups if len(g) > 1), key=lambda g: (-len(g), g[0]))


def _core(labels: np.ndarray, own: np.ndarray, num_classes: int) -> np.ndarray:
    """Whether more than half of as many neighbours as a sample's class has others, all K at most, share its label."""
    others = np.minimum(np.bincount(labels, minlength=num_classes)[labels] - 1, own.shape[1])
    within = np.arange(own.shape[1]) < others[:, None]
    return 2 * (own & within).sum(axis=1) > others


def _levels(labels: np.ndarray, near: Near, same_core: np.ndarray, num_classes: int, strictness: Strictness) -> np.ndarray:
    """How far each class's core samples usually are from the last neighbour whose vote they need, (C,).

    Median + tolerance x 1.4826 x median absolute deviation. Classes with too few core samples get the largest level of
    the others, which errs on the side of explaining; -inf where no class has enough.
    """
    enough = np.cumsum(same_core, axis=1) >= strictness.votes
    told = enough.any(axis=1)
    needed = near.distance[np.arange(len(labels)), enough.argmax(axis=1)]
    level = np.full(num_classes, np.nan)
    order = np.flatnonzero(told)[np.argsort(labels[told], kind="stable")]
    sizes = np.bincount(labels[order], minlength=num_classes)
    for c, ids in zip(np.flatnonzero(sizes), np.split(order, np.cumsum(sizes[sizes > 0])[:-1]), strict=bool(len(order))):
        if len(ids) >= FEWEST_FOR_A_LEVEL:
            level[c] = usual_limit(needed[ids], strictness.tolerance)
    return np.where(np.isnan(level), np.nanmax(level, initial=-np.inf), level)


def _most_frequent(values: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In each row the most frequent of the ``values`` (M, K) that are ``counted``, and its count; the nearest of ties."""
    count = np.zeros(values.shape, dtype=np.int64)
    for slot in range(values.shape[1]):
        count += (values == values[:, slot, None]) & counted & counted[:, slot, None]
    best = count.argmax(axis=1)
    rows = np.arange(len(values))
    return count[rows, best], values[rows, best]
