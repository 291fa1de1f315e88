"""Clusters of unexplained samples: how tight, how far from the classes, and whether wrong labels alone would make them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.clusters.unexplained import Explained, Near, Strictness, clusters, explain
from analysis.context import Context
from analysis.neighbours import unit_rows
from analysis.within_class import Estimate, mean_similarity

MOST_OF_IT = 0.9
"""A cluster whose labels are this far of one or two classes is about those, not a new class."""
NEAREST = 3
REPRESENTATIVES = 5


@dataclass(frozen=True)
class Cluster:
    """``members`` int64, ascending, and ``central``, the same from the medoid outwards.

    ``p`` is how often labels that go wrong as usual leave a cluster as large. ``classes`` are the labels that it takes to
    hold nine tenths of it, most frequent first, of ``labels`` (C,) counts. ``nearest`` are classes with the mean cosine of
    members to their core.
    """

    members: np.ndarray
    central: np.ndarray
    p: float
    cohesion: Estimate
    labels: np.ndarray
    nearest: tuple[tuple[int, float], ...]

    @property
    def classes(self) -> np.ndarray:
        order = np.argsort(-self.labels, kind="stable")
        wanted = np.searchsorted(np.cumsum(self.labels[order]), MOST_OF_IT * len(self.members)) + 1
        return order[:wanted]

    @property
    def new(self) -> bool:
        """Whether three classes or more are needed to name it."""
        return len(self.classes) > 2


@dataclass(frozen=True)
class Looked:
    """The M samples looked at: given ``labels``, neighbours, ``vectors`` (M, D); ``judged`` bool (M,), of classes large
    enough to be judged."""

    labels: np.ndarray
    near: Near
    vectors: np.ndarray
    judged: np.ndarray
    num_classes: int
    strictness: Strictness

    def explained(self, labels: np.ndarray) -> Explained:
        return explain(labels, self.near, self.num_classes, self.strictness)

    def groups(self, explained: Explained) -> list[np.ndarray]:
        return clusters(self.near, self.judged & explained.nobody, explained.reach)


def find_clusters(looked: Looked, explained: Explained, min_size: int) -> list[Cluster]:
    """Clusters of at least ``min_size`` samples that no class explains, largest first, p not known yet (NaN)."""
    groups = [group for group in looked.groups(explained) if len(group) >= min_size]
    if not groups:
        return []
    at_core = [np.flatnonzero(explained.core & (looked.labels == c)) for c in range(looked.num_classes)]
    cores = {c: unit_rows(looked.vectors[ids]).mean(axis=0) for c, ids in enumerate(at_core) if len(ids)}
    return [_described(group, looked, cores) for group in groups]


def largest_by_chance(
    looked: Looked, explained: Explained, groups: list[Cluster], times: int, seed: int, context: Context
) -> np.ndarray:
    """The size of the largest cluster in each of ``times`` draws of labels as they were if all were explained, (times,).

    Every sample is of the class that explains it; a cluster is of its most frequent label, and any other unexplained sample
    of its own. A sample then gets the label of a random explained one of its class, so labels go wrong as often, and the
    same way, as they do where a class explains them.
    """
    truth = np.where(explained.nobody, looked.labels, explained.by)
    for group in groups:
        truth[group.members] = group.labels.argmax()
    given = _Given(looked.labels, explained, looked.num_classes)
    rng = np.random.default_rng(seed)
    sizes = np.zeros(times, dtype=np.int64)
    for turn in context.track(range(times), times, "drawing labels without a new class"):
        found = looked.groups(looked.explained(given.draw(truth, rng)))
        sizes[turn] = len(found[0]) if found else 0
    return sizes


class _Given:
    """Labels that the explained samples of each class were given, to draw from."""

    def __init__(self, labels: np.ndarray, explained: Explained, num_classes: int) -> None:
        ids = np.flatnonzero(~explained.nobody)
        order = ids[np.argsort(explained.by[ids], kind="stable")]
        self._labels = labels[order]
        self._sizes = np.bincount(explained.by[order], minlength=num_classes)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def draw(self, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A label for each sample of class ``truth``; that class itself where it explains nothing."""
        some = self._sizes[truth] > 0
        drawn, of = truth.copy(), truth[some]
        drawn[some] = self._labels[self._starts[of] + rng.integers(0, self._sizes[of])]
        return drawn


def _described(members: np.ndarray, looked: Looked, cores: dict[int, np.ndarray]) -> Cluster:
    unit = unit_rows(looked.vectors[members])
    cohesion, to_others = mean_similarity(unit)
    middle = unit.mean(axis=0)
    near = sorted(((float(middle @ core), c) for c, core in cores.items()), key=lambda pair: (-pair[0], pair[1]))
    counts = np.bincount(looked.labels[members], minlength=looked.num_classes)
    central = members[np.argsort(-to_others, kind="stable")]
    return Cluster(members, central, float("nan"), cohesion, counts, tuple((c, s) for s, c in near[:NEAREST]))
