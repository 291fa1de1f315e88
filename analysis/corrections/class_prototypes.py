"""How alike each image is to every class: cosine similarities to prototypes that leave the image itself out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from analysis.balance.class_sums import add_by_class
from analysis.context import Context
from analysis.embedding import embed
from analysis.neighbours import unit_rows
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Kind = Literal["mean", "medoid"]
NO_IMAGE = -1.0
"""The similarity to a class without images: the smallest there is."""
DECIMALS = 6
"""What float32 tells apart: beyond, which of two classes is first would depend on how many images are asked for at once."""
ROWS_A_CHUNK = 4_096


@dataclass(frozen=True, eq=False)
class Prototypes:
    """``vectors`` float32 (N, D) of length 1 (or 0), their ``labels`` int64 (N,), and the ``prototypes`` (C, D), of length
    1, or 0 for a class without images.

    So that an image does not vote for itself, means come with the ``total`` float64 (C, D) of each class's vectors, from
    which an image takes its own away; medoids with the image that each class's ``medoid`` int64 (C,) sees instead of
    itself, ``second`` int64 (C,), -1 where there is none.
    """

    vectors: np.ndarray
    labels: np.ndarray
    prototypes: np.ndarray
    total: np.ndarray | None = None
    medoid: np.ndarray | None = None
    second: np.ndarray | None = None

    def similarities(self, ids: np.ndarray) -> torch.Tensor:
        """Cosine similarity of images ``ids`` to every class, float32 (n, C).

        An image does not vote for itself, but for the only one of its class, which has no other prototype. -1 for a class
        without images.
        """
        rows, own = self.vectors[ids], self.labels[ids]
        found = rows @ self.prototypes.T
        found[:, np.bincount(self.labels, minlength=len(self.prototypes)) == 0] = NO_IMAGE
        found[np.arange(len(ids)), own] = self._own(ids, rows, own)
        return torch.from_numpy(found.clip(-1, 1).round(DECIMALS))

    def _own(self, ids: np.ndarray, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
        if self.total is not None:
            others = self.total[own] - rows
            length = np.linalg.norm(others, axis=1)
            seen = length > 1e-6
            without = np.einsum("nd,nd->n", rows, others) / np.where(seen, length, 1.0)
            return np.where(seen, without, np.einsum("nd,nd->n", rows, self.prototypes[own])).astype(np.float32)
        second = self.second[own]
        instead = np.where((self.medoid[own] == ids) & (second >= 0), second, self.medoid[own])
        return np.einsum("nd,nd->n", rows, self.vectors[instead])


def class_prototypes(distilled_set: DistilledSet, embedding: str, kind: Kind, context: Context) -> Prototypes:
    """Of the set's images by their hard labels: the mean direction of each class, or its medoid, the image most similar to
    the others of its class. Raises ImpossibleRequest without images, and as ``analysis.embedding.embed`` does."""
    if distilled_set.images is None:
        raise ImpossibleRequest(f"{distilled_set.name} holds no images, so there is nothing to make prototypes from.")
    vectors = unit_rows(embed(distilled_set.images, embedding, context))
    labels, classes = distilled_set.labels, distilled_set.num_classes
    total = np.zeros((classes, vectors.shape[1]))
    for start in range(0, len(vectors), ROWS_A_CHUNK):
        add_by_class(total, labels[start : start + ROWS_A_CHUNK], vectors[start : start + ROWS_A_CHUNK])
    if kind == "mean":
        return Prototypes(vectors, labels, unit_rows(total), total)
    medoid, second = _medoids(vectors, labels, total)
    return Prototypes(vectors, labels, vectors[medoid.clip(0)] * (medoid >= 0)[:, None], None, medoid, second)


def prototype_caveats(distilled_set: DistilledSet) -> tuple[str, ...]:
    """What to know of classes with one image or none."""
    n = distilled_set.per_class
    caveats = []
    if (n == 1).any():
        caveats.append(
            f"{int((n == 1).sum())} of {len(n)} classes have one image, which is its own prototype: nothing else can say "
            "how much it is of its class."
        )
    if (n == 0).any():
        caveats.append(f"{int((n == 0).sum())} of {len(n)} classes have no image and are taken to be like none.")
    return tuple(caveats)


def _medoids(vectors: np.ndarray, labels: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each class the image whose mean similarity to the others is largest, and the one that were it if the class did not
    have that; both int64 (C,), -1 where there is none."""
    # An image's similarity to itself is 1 and so changes no order.
    score = _products(vectors, total, labels)
    medoid = _best(score, labels, len(total))
    without = score - _products(vectors, vectors[medoid.clip(0)], labels)
    without[medoid[medoid >= 0]] = -np.inf
    return medoid, np.where(np.bincount(labels, minlength=len(total)) > 1, _best(without, labels, len(total)), -1)


def _products(vectors: np.ndarray, of_class: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The product of each vector with the one of its class in ``of_class`` (C, D), float64 (N,)."""
    starts = range(0, len(vectors), ROWS_A_CHUNK)
    parts = ((vectors[s : s + ROWS_A_CHUNK], of_class[labels[s : s + ROWS_A_CHUNK]]) for s in starts)
    return np.concatenate([np.einsum("nd,nd->n", rows, others) for rows, others in parts]).astype(float)


def _best(score: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Of each class the image with the highest score, the first of equal ones, int64 (C,); -1 for a class without."""
    order = np.lexsort((np.arange(len(labels)), -score.round(DECIMALS), labels))
    found = np.full(classes, -1)
    present, first = np.unique(labels[order], return_index=True)
    found[present] = order[first]
    return found
