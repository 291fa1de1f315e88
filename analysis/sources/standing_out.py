"""Which samples stand out by how far several label sources are apart on them, and which source stands alone there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.intervals import usual_limit
from analysis.sources.disagreement_scan import Disagreement

ROUNDING = 1e-5
"""Nats; below this two divergences count as the same."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A scan of the sources of samples given ``labels`` int64 (N,), with what makes one of them stand out.

    ``most`` is the largest divergence there can be, in nats. ``limits`` (C,) bound each class's usual distances, NaN where
    there are too few samples to say; ``pooled`` (C,) are classes that have the limit of all classes together.
    """

    found: Disagreement
    labels: np.ndarray
    most: float
    limits: np.ndarray
    pooled: np.ndarray

    @property
    def voices(self) -> int:
        return self.found.apart.shape[1]

    @property
    def told(self) -> bool:
        """Whether there are enough samples to say of any that it stands out."""
        return not np.isnan(self.limits).all()

    @property
    def share(self) -> np.ndarray:
        """Divergence of each sample over the largest there can be, float64 (N,) in [0, 1]."""
        return _share(self.found.divergence, self.most)

    @property
    def differ(self) -> np.ndarray:
        """Whether not all voices name the same class, bool (N,)."""
        return self.found.winners_differ > 0

    @property
    def flag(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self.differ & (np.sqrt(self.share) > self.limits[self.labels])

    @property
    def farthest(self) -> np.ndarray:
        """The voice farthest from the others in each sample, int64 (N,); -1 where there is none, as between two."""
        apart = self.found.apart
        if self.voices < 3:
            return np.full(len(apart), -1)
        second, first = np.sort(apart, axis=1)[:, -2:].T
        return np.where(first - second > ROUNDING, apart.argmax(axis=1), -1)


def judge(found: Disagreement, labels: np.ndarray, classes: int, outlier: float, fewest: int) -> Judged:
    """What is unusual among samples of given ``labels`` int64 (N,): more than ``outlier`` robust standard deviations above
    the median of the class, or of all samples for classes with fewer than ``fewest``.

    Distances are square roots of divergences, which are a metric (Endres and Schindelin, doi:10.1109/TIT.2003.813506).
    """
    most = float(np.log(min(found.apart.shape[1], classes)))
    distance = np.sqrt(_share(found.divergence, most))
    n = np.bincount(labels, minlength=classes)
    pooled = n < fewest
    limits = np.full(classes, usual_limit(distance, outlier) if len(labels) >= fewest else np.nan)
    ids = np.split(np.argsort(labels, kind="stable"), np.cumsum(n)[:-1])
    for c in np.flatnonzero(~pooled):
        limits[c] = usual_limit(distance[ids[c]], outlier)
    return Judged(found, labels, most, limits, pooled)


def _share(divergence: np.ndarray, most: float) -> np.ndarray:
    return (divergence.astype(float) / most).clip(0, 1)
