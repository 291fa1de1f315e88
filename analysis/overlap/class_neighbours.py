"""How mixed two classes lie among each other: the share of nearest neighbours across the two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from analysis.context import Context
from analysis.embedding import embed
from analysis.even_sample import evenly_over_classes
from analysis.intervals import share, wilson
from analysis.neighbours import nearest
from analysis.overlap.class_pairs import Estimates, looked_up
from data.distilled_set import DistilledSet
from data.images import Images

MOST_IMAGES = 20_000
"""More are sampled, evenly by class: all pairs of a million images would take days."""


@dataclass(frozen=True)
class Mixing:
    """Neighbours found: ``counts`` (C, C) sparse, by the class of a sample (row) and of its neighbour (column).

    ``sampled`` (C,) are the images of each class that were looked at.
    """

    counts: sparse.csr_array
    sampled: np.ndarray

    def across(self, a: np.ndarray, b: np.ndarray) -> Estimates:
        """Of the neighbours of a's and b's samples that are of a or b, the share that is of the other one; (P,) each.

        The neighbours of one sample depend on each other, so the interval is Wilson's for as many draws as samples. NaN
        where no neighbour was found.
        """
        crossing = looked_up(self.counts, a, b) + looked_up(self.counts, b, a)
        inside = crossing + looked_up(self.counts, a, a) + looked_up(self.counts, b, b)
        value = share(crossing, inside)
        samples = np.minimum(self.sampled[a] + self.sampled[b], inside)
        low, high = wilson(value * samples, samples)
        return Estimates(value, low, high)

    def expected(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The same share if a and b were one class, labelled at random: Schilling's test (JASA 81 (1986) 799-806); (P,)."""
        n_a, n_b = self.sampled[a].astype(float), self.sampled[b].astype(float)
        return share(2 * n_a * n_b, (n_a + n_b) * (n_a + n_b - 1))


def mixing(distilled_set: DistilledSet, embedding: str, k: int, context: Context, most: int = MOST_IMAGES) -> Mixing:
    """The ``k`` nearest neighbours, by cosine, of the set's images, or of ``most`` of them spread over its classes."""
    ids = evenly_over_classes(distilled_set.labels, most)
    vectors = embed_some(distilled_set.images, ids, embedding, context.part(0, 0.7))
    labels, classes = distilled_set.labels[ids], distilled_set.num_classes
    found, _ = nearest(vectors, k, context.part(0.7, 1))
    keys, counts = np.unique(labels[:, None] * classes + labels[found], return_counts=True)
    matrix = sparse.csr_array((counts, np.divmod(keys, classes)), shape=(classes, classes))
    return Mixing(matrix, np.bincount(labels, minlength=classes))


def embed_some(images: Images, ids: np.ndarray, embedding: str, context: Context) -> np.ndarray:
    """Vectors of the images ``ids`` (n,); all of them at once where all are wanted, which other analyses may have done."""
    some = images if len(ids) == len(images) else Images(images.store.take(ids), images.pixel_space)
    return embed(some, embedding, context)
