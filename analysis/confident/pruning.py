"""Which samples of each class the confident joint's counts fall on: the three pruning filters.

Ties fall as in cleanlab, whose order is numpy's unstable one. That order needs all samples of a class, but only where equal
numbers meet at the border; everywhere else the set of the n largest is the same whoever sorts. So of most classes only
those rows are read that could be among them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from analysis.confident.joint import to_prune
from analysis.confident.rows import RowFacts, Rows
from analysis.context import Context
from analysis.label_sources import rows_a_chunk

_VALUES_A_TABLE = 1 << 24
_SPARE = 8


@dataclass(frozen=True)
class Pruner:
    """``joint`` (C, C) applied to the samples of each class ``by_class``; no class keeps fewer than ``fewest``."""

    rows: Rows
    facts: RowFacts
    by_class: list[np.ndarray]
    joint: sparse.csr_array
    fewest: int

    def lowest_of_class(self) -> np.ndarray:
        """The least self-confident samples of each class, as many as the joint takes for noise, bool (N,)."""
        mask = np.zeros(len(self.facts.labels), dtype=bool)
        for k, ids in self._classes():
            kept, _, _ = to_prune(self.joint, k, self.fewest)
            mask[ids[np.argsort(self.facts.given[ids])[: max(0, len(ids) - kept)]]] = True
        return mask

    def furthest_towards_others(self, context: Context) -> np.ndarray:
        """For each class and each other one, as many samples as the joint says are truly of that other: those whose
        probability of it exceeds that of their own by most, bool (N,)."""
        mask = np.zeros(len(self.facts.labels), dtype=bool)
        searches = [search for k, ids in self._classes() if len((search := self._search(k, ids)).others)]
        started = len(searches)
        while searches:
            together = _batches(searches, rows_a_chunk(self.rows.num_classes))
            part = context.part(1 - len(searches) / started, 1)
            searches = []
            for batch in self.rows.each(self._decide, together, part, "Comparing classes"):
                for found, undecided in batch:
                    mask[found] = True
                    searches += [undecided] if undecided is not None else []
        return mask

    def _decide(self, searches: list[_Search]) -> list[tuple[np.ndarray, _Search | None]]:
        return [search.decide(columns) for search, columns in _columns(self.rows, searches)]

    def _classes(self) -> list[tuple[int, np.ndarray]]:
        return [(k, ids) for k, ids in enumerate(self.by_class) if len(ids) > max(self.fewest, 1)]

    def _search(self, k: int, ids: np.ndarray) -> _Search:
        _, others, counts = to_prune(self.joint, k, self.fewest)
        given = self.facts.given[ids]
        bounds = self.facts.other[ids] - given
        order = np.argsort(-bounds, kind="stable")
        ids, given, bounds = ids[order], given[order], bounds[order]
        disagreeing = len(ids) - int(self.facts.agrees[ids].sum())
        return _Search(ids, given, bounds, others, counts, _first_size(disagreeing, counts, len(ids)))


@dataclass(frozen=True)
class _Search:
    """The ``counts`` (m,) samples of one class that lie furthest towards each of the ``others`` (m,).

    ``ids``, ``given`` and ``bounds`` are (n,), in falling order of ``bounds``: a sample's margin, its probability of another
    class less that of the ``given`` one, is its bound at most. The first ``size`` samples are read.
    """

    ids: np.ndarray
    given: np.ndarray
    bounds: np.ndarray
    others: np.ndarray
    counts: np.ndarray
    size: int

    def decide(self, columns: np.ndarray) -> tuple[np.ndarray, _Search | None]:
        """Samples found, given ``columns`` (m, size) of probabilities, and the search for what these leave open."""
        margins = columns - self.given[: self.size]
        if self.size == len(self.ids):
            return self._as_cleanlab_orders(margins), None
        falling = -np.sort(-margins, axis=1)
        each = np.arange(len(self.counts))
        last, next_one = falling[each, self.counts - 1], falling[each, self.counts]
        decided = last > np.maximum(next_one, self.bounds[self.size])
        found = (margins[decided] >= last[decided, None]).any(axis=0)
        return self.ids[: self.size][found], None if decided.all() else self._open(~decided, last)

    def _as_cleanlab_orders(self, margins: np.ndarray) -> np.ndarray:
        rising = np.argsort(self.ids)
        found = np.zeros(len(self.ids), dtype=bool)
        for margin, count in zip(margins[:, rising], self.counts, strict=True):
            found[np.argsort(-margin)[:count]] = True
        return self.ids[rising[found]]

    def _open(self, undecided: np.ndarray, last: np.ndarray) -> _Search:
        """Reading all samples that could reach what was found so far leaves nothing open but ties."""
        size = int(np.count_nonzero(self.bounds >= last[undecided].min()))
        if size <= self.size:
            size = len(self.ids)
        return replace(self, others=self.others[undecided], counts=self.counts[undecided], size=size)


def _first_size(disagreeing: int, counts: np.ndarray, n: int) -> int:
    """Few agreeing samples lie further towards a class than a disagreeing one; one more than is sought shows a tie."""
    return min(n, max(disagreeing, int(counts.max(initial=0))) + _SPARE)


def _batches(searches: list[_Search], most: int) -> list[list[_Search]]:
    """Small searches together, because a read for each would cost more than the rest; those of more than ``most`` samples
    by themselves."""
    large = [[search] for search in searches if search.size > most]
    small = [search for search in searches if search.size <= most]
    batch_of = np.cumsum([search.size for search in small]) // most
    bounds = np.flatnonzero(np.diff(batch_of)) + 1
    edges = [0, *bounds.tolist(), len(small)] if small else [0]
    return large + [small[start:end] for start, end in itertools.pairwise(edges)]


def _columns(rows: Rows, searches: list[_Search]) -> Iterator[tuple[_Search, np.ndarray]]:
    """Each search with the probabilities of its samples for its other classes, (m, size); a large one in several parts, of
    some of its classes each."""
    most = rows_a_chunk(rows.num_classes)
    if searches[0].size > most:
        yield from _large(rows, searches[0], most)
        return
    table = rows.of(np.concatenate([search.ids[: search.size] for search in searches])).numpy()
    parts = np.split(table, np.cumsum([search.size for search in searches])[:-1])
    for search, part in zip(searches, parts, strict=True):
        yield search, part.T[search.others]


def _large(rows: Rows, search: _Search, most: int) -> Iterator[tuple[_Search, np.ndarray]]:
    ids = search.ids[: search.size]
    for classes in _slices(len(search.others), max(1, _VALUES_A_TABLE // len(ids))):
        some = replace(search, others=search.others[classes], counts=search.counts[classes])
        index = torch.from_numpy(some.others)
        parts = [rows.of(ids[part])[:, index].T.contiguous() for part in _slices(len(ids), most)]
        yield some, torch.cat(parts, dim=1).numpy()


def _slices(n: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, n, size)]
