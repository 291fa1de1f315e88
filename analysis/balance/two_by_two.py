"""Two biases of soft labels told apart: {balanced, long-tailed} teacher x {balanced, long-tailed} images.

ADSA (arXiv 2511.17914) writes an observed label as the target plus what a long-tailed teacher and long-tailed images each
add. Here every measure of the four cells is taken apart as in a two-way layout: the teacher's effect is the mean of its
effects on either images, the images' effect the mean under either teacher, and both add up to what lies between all
balanced and all long-tailed; the interaction is how much larger the teacher's effect is on the long-tailed images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.balance.resampling import standard_errors
from analysis.class_groups import HEAD, TAIL
from analysis.context import Context
from analysis.intervals import FEWEST_FOR_A_MEAN, ratio

BALANCED, LONG_TAILED = range(2)
SIDES = ("balanced", "long-tailed")
MEASURES = ("spread", "tail_confidence", "head_minus_tail", "tail_to_head")
EFFECTS = (
    "teacher",
    "images",
    "interaction",
    "teacher, on balanced images",
    "teacher, on long-tailed images",
    "images, under the balanced teacher",
    "images, under the long-tailed teacher",
)
"""The first three need all four cells, each of the others two."""
WHOLE = 3
OWN, TO_HEAD = range(2)


@dataclass(frozen=True, eq=False)
class OneSet:
    """Samples of one set: ``labels`` int64 (N,), ``mass`` float64 (2 teachers, N, 2), the mass on the own class and that on
    head classes beside it; NaN for a teacher who did not label them."""

    labels: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True, eq=False)
class TwoByTwo:
    """The long-tailed set, or the balanced one, or both, by place (``BALANCED``, ``LONG_TAILED``), and each class's
    ``group`` (C,)."""

    sets: dict[int, OneSet]
    group: np.ndarray

    @cached_property
    def compared(self) -> np.ndarray:
        """Classes that have samples in every set, bool (C,): cells of different classes could not be compared."""
        return np.all([self._samples(one) > 0 for one in self.sets.values()], axis=0)

    @property
    def divided(self) -> bool:
        """Whether there is a head and a tail among the classes compared."""
        return bool((self.compared & (self.group == HEAD)).any() and (self.compared & (self.group == TAIL)).any())

    @property
    def fewest(self) -> int:
        """Samples of the smallest class compared, in either set."""
        if not self.compared.any():
            return 0
        return min(int(self._samples(one)[self.compared].min()) for one in self.sets.values())

    @cached_property
    def confidence(self) -> np.ndarray:
        """Mean own-class probability of each class, float64 (2 teachers, 2 images, C); NaN where there is no such cell."""
        return self._means(self._everyone)[..., OWN]

    @cached_property
    def cells(self) -> np.ndarray:
        """``MEASURES`` of each cell, float64 (2 teachers, 2 images, 4); NaN where there is no such cell, no head or tail."""
        return self._measured(self._everyone)

    def errors(self, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """Bootstrap standard errors of ``cells`` and of ``effects`` of them, in their shapes, by samples drawn anew within
        the classes of each set; images that both teachers labelled are drawn together. NaN where a class is too small."""

        def statistics(ids: np.ndarray) -> np.ndarray:
            cells = self._measured(ids)
            return np.concatenate([cells.ravel(), effects(cells).ravel()])

        shapes = self.cells.shape, (len(EFFECTS), len(MEASURES))
        if self.fewest < FEWEST_FOR_A_MEAN or np.isnan(self.cells).all():
            return np.full(shapes[0], np.nan), np.full(shapes[1], np.nan)
        found = standard_errors(statistics, self._labels, context)
        return found[: self.cells.size].reshape(shapes[0]), found[self.cells.size :].reshape(shapes[1])

    @cached_property
    def _labels(self) -> np.ndarray:
        """Classes of all samples, those of one set numbered behind those of the other."""
        return np.concatenate([one.labels + place * len(self.group) for place, one in self.sets.items()])

    @cached_property
    def _mass(self) -> np.ndarray:
        return np.concatenate([one.mass for one in self.sets.values()], axis=1)

    @property
    def _everyone(self) -> np.ndarray:
        return np.arange(len(self._labels))

    def _samples(self, one: OneSet) -> np.ndarray:
        return np.bincount(one.labels, minlength=len(self.group))

    def _means(self, ids: np.ndarray) -> np.ndarray:
        """Class means over the samples ``ids``, (2 teachers, 2 images, C, 2 masses)."""
        labels, classes = self._labels[ids], 2 * len(self.group)
        n = np.bincount(labels, minlength=classes)
        sums = [[np.bincount(labels, part, classes) for part in teacher[ids].T] for teacher in self._mass]
        means = ratio(np.asarray(sums), n)  # (teachers, masses, images and classes)
        return means.reshape(2, 2, 2, len(self.group)).transpose(0, 2, 3, 1)

    def _measured(self, ids: np.ndarray) -> np.ndarray:
        means = self._means(ids)
        head, tail = self.compared & (self.group == HEAD), self.compared & (self.group == TAIL)
        own, to_head = means[..., OWN], means[..., TO_HEAD]
        tail_confidence = _mean(own[..., tail])
        spread = own[..., self.compared].std(axis=-1) if self.compared.sum() > 1 else np.full((2, 2), np.nan)
        return np.stack(
            [spread, tail_confidence, _mean(own[..., head]) - tail_confidence, _mean(to_head[..., tail])], axis=-1
        )


def effects(cells: np.ndarray) -> np.ndarray:
    """``EFFECTS`` on each measure of ``cells`` (2 teachers, 2 images, M): float64 (7, M), NaN where a cell is missing."""
    teacher = cells[LONG_TAILED] - cells[BALANCED]  # (images, M)
    images = cells[:, LONG_TAILED] - cells[:, BALANCED]  # (teachers, M)
    whole = teacher.mean(axis=0), images.mean(axis=0), teacher[LONG_TAILED] - teacher[BALANCED]
    return np.stack([*whole, *teacher, *images])


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, each class counting once; NaN where there is none."""
    return values.mean(axis=-1) if values.shape[-1] else np.full(values.shape[:-1], np.nan)
