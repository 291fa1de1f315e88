"""Reference examples of a class to hold an image against: real images where there are any, else the set's own."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from analysis.critic.montage import MOST_EXAMPLES, TILE_PX, fitted
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest

SEED = 0
KEPT_IN_MEMORY = 512


class Examples:
    """Up to ``count`` examples of each class, the same whenever they are asked for.

    Raises ImpossibleRequest where the set has no images or ``count`` is not 0 to MOST_EXAMPLES.
    """

    def __init__(self, distilled_set: DistilledSet, count: int) -> None:
        if distilled_set.images is None:
            raise ImpossibleRequest(f"{distilled_set.name} holds labels only, so there is no image to show to a model.")
        if not 0 <= count <= MOST_EXAMPLES:
            raise ImpossibleRequest(f"one picture shows 0 to {MOST_EXAMPLES} examples of a class, not {count}.")
        own = distilled_set.reference is None
        self.own = own
        self.count = count
        self._pool = Reference(distilled_set.images, distilled_set.labels) if own else distilled_set.reference
        self._tile = lru_cache(KEPT_IN_MEMORY)(self._read)

    def of(self, label: int, sample_id: int) -> list[np.ndarray]:
        """Examples of class ``label`` for a question about ``sample_id``, never that sample itself; small uint8 RGB."""
        ids = spread(np.flatnonzero(self._pool.labels == label), self.count + self.own, SEED + label)
        if self.own:
            ids = ids[ids != sample_id]
        return [self._tile(int(i)) for i in ids[: self.count]]

    @property
    def identity(self) -> str:
        """The same for the same choice of examples."""
        parts = (self.own, self.count, len(self._pool.images), SEED)
        return hashlib.sha256(repr(parts).encode() + self._pool.labels.tobytes()).hexdigest()

    def _read(self, i: int) -> np.ndarray:
        image = self._pool.images.viewable(np.array([i]), most_px=TILE_PX)[0]
        return image if max(image.shape[:2]) <= TILE_PX else np.asarray(fitted(image, TILE_PX))


def spread(ids: np.ndarray, most: int, seed: int) -> np.ndarray:
    """``most`` of ``ids`` (n,) at even distances from a start that ``seed`` chooses, or all where there are no more."""
    if len(ids) <= most:
        return ids
    start = np.random.default_rng(seed).random()
    return ids[((np.arange(most) + start) * len(ids) / most).astype(np.int64)]
