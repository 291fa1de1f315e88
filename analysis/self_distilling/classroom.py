"""Which images of a set can be self-distilled, what they are taught first, and in which folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from analysis.corrections.as_logits import LEAST_PROBABILITY
from analysis.label_sources import rows_a_chunk
from analysis.probes.folds import spread_over_folds
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import SoftLabels, hard_labels

FEWEST_FOLDS = 3
"""A chain that one fold is kept from needs two more, so that each of them can be judged by the other."""
SEED = 0


@dataclass(frozen=True, eq=False)
class Taught:
    """The labels to start from: ``soft`` where a label source gives them, and the ``classes`` int64 (N,) that they name."""

    classes: np.ndarray
    num_classes: int
    soft: SoftLabels | None = None

    def probabilities(self, ids: np.ndarray) -> torch.Tensor:
        """Float32 (n, C); one-hot where there are hard labels only."""
        if self.soft is not None:
            return self.soft.probabilities(ids)
        return torch.nn.functional.one_hot(torch.from_numpy(self.classes[ids]), self.num_classes).float()

    def lesson(self, ids: np.ndarray) -> torch.Tensor:
        """What a solver is taught of these images: distributions, or classes."""
        return torch.from_numpy(self.classes[ids]) if self.soft is None else self.soft.probabilities(ids)


@dataclass(frozen=True, eq=False)
class Seating:
    """``ids`` int64 (n,) of the judged images, fold after fold, ``sizes`` of the folds, and the ``left_out`` ids."""

    ids: np.ndarray
    sizes: tuple[int, ...]
    left_out: np.ndarray

    @property
    def folds(self) -> tuple[np.ndarray, ...]:
        """The ids of each fold."""
        return tuple(np.split(self.ids, np.cumsum(self.sizes)[:-1]))

    @property
    def fold_of(self) -> np.ndarray:
        """The fold of each of ``ids``, int64 (n,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def taught(distilled_set: DistilledSet, soft: SoftLabels | None) -> Taught:
    """Raises ImpossibleRequest where fewer than two classes are named."""
    classes = distilled_set.labels if soft is None else hard_labels(soft)
    if len(np.unique(classes)) < 2:
        raise ImpossibleRequest("self-distillation needs images of at least two classes to tell apart.")
    return Taught(classes, distilled_set.num_classes, soft)


def seated(classes: np.ndarray, folds: int, crossed: bool) -> Seating:
    """All images in one fold, or those that share their class with another one dealt out over at least three.

    Raises ImpossibleRequest where fewer than two classes have two images, so that nothing can be kept from a model.
    """
    if not crossed:
        return Seating(np.arange(len(classes)), (len(classes),), np.zeros(0, np.int64))
    sizes = np.bincount(classes)
    if (sizes >= 2).sum() < 2:
        raise ImpossibleRequest(
            "cross-fitted self-distillation needs two classes with at least two images each; with one image a class choose "
            "a teacher's labels, or turn cross-fitting off and know that each image then repeats its own label."
        )
    judged = np.flatnonzero(sizes[classes] >= 2)
    fold_of = spread_over_folds(classes[judged], max(FEWEST_FOLDS, min(folds, int(sizes.max()))), SEED)
    order = np.argsort(fold_of, kind="stable")
    return Seating(judged[order], tuple(np.bincount(fold_of).tolist()), np.flatnonzero(sizes[classes] < 2))


def mixed(said: torch.Tensor, given: torch.Tensor, weight: float) -> torch.Tensor:
    """Logits of (1 - ``weight``) ``said`` + ``weight`` ``given``, distributions (n, C) both; finite float32."""
    return ((1 - weight) * said + weight * given).clamp_min(LEAST_PROBABILITY).log().float()


def in_chunks(n: int, num_classes: int) -> list[np.ndarray]:
    """Ids 0 to n - 1, as many at a time as distributions fit in the caches."""
    rows = rows_a_chunk(num_classes)
    return [np.arange(start, min(start + rows, n)) for start in range(0, n, rows)]
