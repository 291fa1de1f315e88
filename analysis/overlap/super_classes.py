"""Classes that might be one: average linkage over the overlaps that are sure, cut where the overlap grows too small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from analysis.label_sources import MOST_CLASSES_IN_A_MATRIX


@dataclass(frozen=True)
class Join:
    """Two groups of classes become one at this mean ``overlap`` over all pairs across them."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    overlap: float


@dataclass(frozen=True)
class Tree:
    """``joins`` from the largest overlap down, none at 0; ``left_out`` classes hang together in too large a group."""

    num_classes: int
    joins: tuple[Join, ...]
    left_out: tuple[int, ...]

    def cut(self, least: float) -> tuple[tuple[int, ...], ...]:
        """The groups of two classes or more that joins of at least ``least`` overlap make, largest first."""
        group: dict[int, tuple[int, ...]] = {}
        for join in self.joins:
            if join.overlap < least:
                continue
            merged = tuple(sorted(join.left + join.right))
            group |= dict.fromkeys(merged, merged)
        return tuple(sorted(set(group.values()), key=lambda members: (-len(members), members)))

    def order(self) -> np.ndarray:
        """All classes, int64 (C,), those that join beside each other and the others after them, in their own order."""
        tips: dict[int, tuple[int, ...]] = {}
        for join in self.joins:
            merged = tips.get(join.left[0], join.left) + tips.get(join.right[0], join.right)
            tips |= dict.fromkeys(merged, merged)
        groups = sorted(set(tips.values()), key=min)
        joined = [c for members in groups for c in members]
        return np.array(joined + sorted(set(range(self.num_classes)) - set(joined)), dtype=np.int64)

    def joined_at(self) -> np.ndarray:
        """The overlap at which each class first joins another, (C,); NaN for those that never do."""
        first = np.full(self.num_classes, np.nan)
        for join in self.joins:
            for c in join.left + join.right:
                first[c] = join.overlap if np.isnan(first[c]) else first[c]
        return first


def grow(num_classes: int, a: np.ndarray, b: np.ndarray, overlap: np.ndarray, most: int = MOST_CLASSES_IN_A_MATRIX) -> Tree:
    """Average linkage (UPGMA) over pairs ``a`` != ``b`` (P,) with their ``overlap`` in [0, 1]; other pairs have 0.

    Groups that no pair connects never join, so each connected part is linked alone and no C x C table is made; a part of
    more than ``most`` classes is left out.
    """
    shape = (num_classes, num_classes)
    graph = sparse.coo_array((overlap, (a, b)), shape=shape).tocsr()
    joins: list[Join] = []
    left_out: list[int] = []
    for members in _parts(graph):
        if len(members) > most:
            left_out += members.tolist()
        else:
            joins += _joins(graph, members)
    return Tree(num_classes, tuple(sorted(joins, key=lambda j: (-j.overlap, len(j.left) + len(j.right)))), tuple(left_out))


def _parts(graph: sparse.csr_array) -> Iterator[np.ndarray]:
    """The classes of each connected part of two or more, ascending."""
    _, part = connected_components(graph, directed=False)
    order = np.argsort(part, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(part))[:-1]):
        if len(members) > 1:
            yield members


def _joins(graph: sparse.csr_array, members: np.ndarray) -> list[Join]:
    near = graph[members][:, members].toarray()
    distance = 1 - (near + near.T)
    np.fill_diagonal(distance, 0)
    groups: list[tuple[int, ...]] = [(int(c),) for c in members]
    joins = []
    for left, right, height, _ in linkage(squareform(distance, checks=False), "average"):
        sides = sorted((groups[int(left)], groups[int(right)]), key=min)
        groups.append(tuple(sorted(sides[0] + sides[1])))
        if height < 1:
            joins.append(Join(sides[0], sides[1], float(1 - height)))
    return joins
