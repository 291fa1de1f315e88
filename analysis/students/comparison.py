"""What students' marks differ by, and how sure that is.

Two kinds of chance are kept apart, as an interval says nothing about the one that it does not hold (Dror et al., "The
Hitchhiker's Guide to Testing Statistical Significance in Natural Language Processing", doi:10.18653/v1/P18-1128):

* the **seeds**: other weights, batches and augmentation on the same set and the same exam;
* the **images** of the exam: other real images, judged by the same students.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import binom
from scipy.stats import t as student

from analysis.intervals import FEWEST_FOR_A_MEAN, LEVEL
from analysis.students.task import Marks

RESAMPLES = 10_000
LEAST_P = 1e-12
NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """The ``mean`` over seeds of one measure or of many at once, and its t interval; float64, all of one shape.

    ``low`` and ``high`` are NaN where fewer than three seeds, or seeds that all agree, leave the spread unknown.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Paired:
    """``after`` less ``before``, in shares of the exam, by the same seeds and the same images.

    ``seeds`` holds Student's interval over seeds, ``t_p`` the paired t-test's p and ``flip_p`` the exact sign-flip test's,
    which with S seeds is at least 2 / 2^S; NaN where nothing can be said. ``images_low`` and ``images_high`` bound the
    bootstrap interval over images, ``images_p`` is the exact sign-flip test over them: McNemar's where there is one seed.
    """

    seeds: Estimate
    t_p: float
    flip_p: float
    images_low: float
    images_high: float
    images_p: float

    @property
    def difference(self) -> float:
        return float(self.seeds.mean)

    @property
    def p(self) -> float:
        """That of both kinds of chance: the larger of the t-test's over seeds and the sign-flip test's over images, as the
        intersection of two hypotheses is only refuted where each is; NaN where the first is."""
        return float(np.maximum(self.t_p, self.images_p))

    @property
    def sure(self) -> bool:
        """Whether neither interval holds 0: beyond what seeds alone, or images alone, would bring."""
        intervals = ((float(self.seeds.low), float(self.seeds.high)), (self.images_low, self.images_high))
        return all(low > 0 or high < 0 for low, high in intervals)


def over_seeds(values: np.ndarray) -> Estimate:
    """Mean and Student's t interval of ``values`` (S, ...) over the first axis."""
    values = np.asarray(values, dtype=float)
    mean, seeds = values.mean(axis=0), len(values)
    if seeds < FEWEST_FOR_A_MEAN:
        unknown = np.full(mean.shape, np.nan)
        return Estimate(mean, unknown, unknown)
    half = student.ppf((1 + LEVEL) / 2, seeds - 1) * values.std(axis=0, ddof=1) / np.sqrt(seeds)
    # Student's interval of values that all agree has no width, whatever their number: it knows nothing.
    half = np.where(np.ptp(values, axis=0) == 0, np.nan, half)
    return Estimate(mean, mean - half, mean + half)


def group_accuracies(marks: Marks, labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Share of right answers on the exam's images of each ``group`` of classes, int64 (C,): (S, groups), NaN without any."""
    right, of_image = marks.predictions == labels, group[labels]
    found = np.full((len(right), groups), np.nan)
    for place in np.unique(of_image):
        found[:, place] = right[:, of_image == place].mean(axis=1)
    return found


def paired(before: Marks, after: Marks, labels: np.ndarray) -> Paired:
    """Compare two lessons on an exam with ``labels`` int64 (M,). Raises ValueError where their seeds differ in number."""
    if before.predictions.shape != after.predictions.shape:
        raise ValueError("paired students need the same seeds and the same exam")
    gained = (after.predictions == labels).astype(np.int64) - (before.predictions == labels)
    by_seed, by_image, seeds = gained.sum(axis=1), gained.sum(axis=0), len(gained)
    known = over_seeds(by_seed / len(labels))
    low, high = bootstrap(by_image)
    flip = sign_flip_p(by_seed) if seeds >= FEWEST_FOR_A_MEAN else NAN
    return Paired(known, t_test_p(by_seed / len(labels)), flip, low / seeds, high / seeds, sign_flip_p(by_image))


def t_test_p(differences: np.ndarray) -> float:
    """Two-sided p of the paired t-test that ``differences`` (S,) have mean 0; NaN below three or without any spread."""
    seeds = len(differences)
    if seeds < FEWEST_FOR_A_MEAN or np.ptp(differences) == 0:
        return NAN
    standard_error = np.std(differences, ddof=1) / np.sqrt(seeds)
    return float(2 * student.sf(abs(np.mean(differences)) / standard_error, seeds - 1))


def sign_flip_p(differences: np.ndarray) -> float:
    """Exact two-sided p that integer ``differences`` (n,) would sum to as much, were the sign of each a coin's.

    The permutation test of paired samples. With differences in {-1, 0, 1} it is McNemar's exact test. Exact, since sums of
    integers have few values: their distribution is the convolution of one binomial for each size of difference. No less
    than 1e-12, where rounding begins.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    chances = np.ones(1)
    for size, n in zip(sizes, counts, strict=True):
        part = np.zeros(2 * size * n + 1)
        part[:: 2 * size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chances = fftconvolve(chances, part)
    sums = np.arange(len(chances)) - len(chances) // 2
    as_far = np.abs(sums) >= abs(int(differences.sum()))
    return float(np.clip(chances[as_far].sum(), LEAST_P, 1))


def bootstrap(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean of integer ``values`` (n,) over ``resamples`` draws of n with replacement.

    Drawn as counts of each distinct value, of which there are few, which is the same and needs no draw an image.
    """
    distinct, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(values), counts / len(values), resamples)
    low, high = np.quantile(drawn @ distinct / len(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p values, float64 (n,); NaN stays and counts as no test. Holm, Scand. J. Stat. 6 (1979) 65-70."""
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted
