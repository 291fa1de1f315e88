"""Class thresholds for classes of a few images: shrunk towards the pooled one, and never a sample's own score.

A class's threshold is its samples' mean self-confidence, as in confident learning (arXiv 1911.00068, equation 2), taken
together with ``pool_weight`` samples' worth of the pooled mean: the normal-normal empirical Bayes estimate (Efron and
Morris, *Data Analysis Using Stein's Estimator and its Generalizations*, JASA 70 (1975) 311-319), whose weight is the
variance within classes by that between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AUTOMATIC = 0.0
LEAST_WEIGHT, MOST_WEIGHT = 2.0, 1e6
CERTAIN = 2.0
"""Between-class variance counts as far as it exceeds chance by this many standard errors: with one or two images a class
its plain estimate is mostly chance, and too little shrinking costs more than too much."""
_LOWEST = 1e-3


@dataclass(frozen=True)
class ShrunkThresholds:
    """``by_class`` (C,) and ``left_out`` (N,): the threshold of each sample's given class without that sample.

    ``pooled`` is the mean over all, and ``pool_weight`` how many samples it counts for beside a class's own. ``others``
    (N,) is how many samples (weighed) of its class each sample's own threshold rests on.
    """

    by_class: np.ndarray
    left_out: np.ndarray
    pooled: float
    pool_weight: float
    others: np.ndarray

    @property
    def class_offsets(self) -> np.ndarray:
        """What to add to a class's log-probability, (C,), so that all are held against the pooled threshold."""
        return np.log(self.pooled / self.by_class)

    @property
    def own_offsets(self) -> np.ndarray:
        """The same for each sample's given class, (N,)."""
        return np.log(self.pooled / self.left_out)


def shrink(
    labels: np.ndarray, own: np.ndarray, weights: np.ndarray, num_classes: int, pool_weight: float = AUTOMATIC
) -> ShrunkThresholds:
    """Thresholds from self-confidences ``own`` (N,) of samples that count by ``weights`` (N,) in [0, 1].

    ``pool_weight`` AUTOMATIC estimates it. A sample that is the only one of its class gets the pooled threshold exactly.
    """
    weights = np.maximum(weights, 1e-9)
    mass, total = np.bincount(labels, weights, num_classes), np.bincount(labels, weights * own, num_classes)
    pooled = float(total.sum() / mass.sum())
    strength = pool_weight or estimated_pool_weight(labels, own, weights, num_classes)
    by_class = (total + strength * pooled) / (mass + strength)
    others = np.where(np.bincount(labels, minlength=num_classes)[labels] > 1, mass[labels] - weights, 0.0)
    of_others = np.where(others > 0, total[labels] - weights * own, 0.0)
    left_out = (of_others + strength * pooled) / (others + strength)
    floor = max(_LOWEST, _LOWEST * pooled)
    return ShrunkThresholds(by_class.clip(floor), left_out.clip(floor), max(pooled, floor), strength, others)


def estimated_pool_weight(labels: np.ndarray, own: np.ndarray, weights: np.ndarray, num_classes: int) -> float:
    """The variance of ``own`` within classes by that between them, from LEAST_WEIGHT to MOST_WEIGHT.

    The between-class variance is DerSimonian and Laird's (Controlled Clinical Trials 7 (1986) 177-188), less CERTAIN
    standard errors of its statistic under no difference. MOST_WEIGHT where no class has two samples.
    """
    mass, total = np.bincount(labels, weights, num_classes), np.bincount(labels, weights * own, num_classes)
    seen = mass > 0
    means = np.divide(total, mass, out=np.zeros(num_classes), where=seen)
    free = len(labels) - int(seen.sum())
    if free < 1 or seen.sum() < 2:
        return MOST_WEIGHT
    pooled, groups = total.sum() / mass.sum(), int(seen.sum()) - 1
    share_free = free / len(labels)
    within = float((weights * (own - means[labels]) ** 2).sum() / (mass.sum() * share_free))
    excess = float((mass * (means - pooled) ** 2).sum()) - within * (groups + CERTAIN * np.sqrt(2 * groups))
    between = excess / (mass.sum() - (mass**2).sum() / mass.sum())
    return float(np.clip(within / between, LEAST_WEIGHT, MOST_WEIGHT)) if between > 0 else MOST_WEIGHT
