"""Which given labels are probably wrong in a set with a few images a class, down to one.

Confident learning sets each class's threshold by that class's own samples, which with one of them is that sample's own
score. Here class thresholds are shrunk towards the pooled one and leave the sample out (``shrunk_thresholds``), and what no
class can tell is learnt from the whole set: how noisy it is, how over-confident its predictor, which class is labelled as
which (``posterior``; the noise matrix by EM, its rows Dirichlet around no preference).

Labels are flagged from the least probable on, as far as the expected F1 of the flags grows (Lipton, Elkan and
Narayanaswamy, *Thresholding Classifiers to Maximize F1 Score*, arXiv 1402.1892).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import expit, logit

from analysis.confident.learning import ConfidentLearning
from analysis.context import Context
from analysis.intervals import LEVEL
from analysis.judging.posterior import LabelPosterior, label_posterior
from analysis.judging.row_shortlist import REST, Shortlist, shortlist
from analysis.judging.shrunk_thresholds import AUTOMATIC, ShrunkThresholds, shrink

ROUNDS = 6
STILL = 1e-3
ROW_STRENGTH = 5.0
"""How many wrong labels' worth the absence of any preference counts for in a row of the noise matrix."""
LEAST_SUSPICION = 0.25
"""No label is flagged whose probability of being wrong is lower, however few wrong ones there are to find."""
CLASS_SPREAD = 0.5
"""How far, in nats, a class's offset may be from the pooled one while no sample of the class tells: widens intervals."""
ROWS_AT_ONCE = 1 << 15
SURELY = 0.5
TELLS_NOTHING = 0.99
SURE, MAYBE, TOO_FEW, NOTHING = "surely wrong", "maybe wrong", "too few to tell", ""


@dataclass(frozen=True)
class SmallClasses:
    """``right`` (N,) is the probability that a given label is right, ``low`` and ``high`` its 95 % interval. ``verdict``
    (N,) is one of SURE (flagged, and the interval below even odds), MAYBE (flagged), TOO_FEW (suspected, but the interval
    reaches from there to almost certainly right, so not flagged) and NOTHING."""

    posterior: LabelPosterior
    thresholds: ShrunkThresholds
    low: np.ndarray
    high: np.ndarray
    verdict: np.ndarray

    @property
    def right(self) -> np.ndarray:
        return self.posterior.right

    @property
    def suspected(self) -> np.ndarray:
        return self.verdict != NOTHING

    @property
    def flag(self) -> np.ndarray:
        return (self.verdict == SURE) | (self.verdict == MAYBE)


def judge_small_classes(
    learned: ConfidentLearning, pool_weight: float = AUTOMATIC, context: Context | None = None
) -> SmallClasses:
    """Judge all samples of ``learned``; ``pool_weight`` as in ``shrunk_thresholds.shrink``."""
    context = context or Context()
    labels, own = learned.labels, learned.facts.given.astype(float)
    listed = shortlist(labels, learned.rows, context.part(0, 0.3))
    weights, confusion = np.ones(len(labels)), _confusion(listed, None)
    for round_ in range(ROUNDS):
        part = context.part(0.3 + 0.7 * round_ / ROUNDS, 0.3 + 0.7 * (round_ + 1) / ROUNDS)
        thresholds = shrink(labels, own, weights, learned.num_classes, pool_weight)
        posterior = label_posterior(listed, _offsets(listed, thresholds), confusion, part)
        moved = np.abs(posterior.right - weights).max()
        weights, confusion = posterior.right, _confusion(listed, posterior.other)
        if moved < STILL:
            break
    low, high = _interval(listed, posterior, thresholds, learned.num_classes)
    wrong = 1 - posterior.right
    suspected = (wrong >= suspicion(wrong)) & ~learned.facts.agrees
    return SmallClasses(posterior, thresholds, low, high, _verdicts(suspected, high))


def suspicion(wrong: np.ndarray) -> float:
    """The probability of being wrong from which flagging gives the best expected F1, at least LEAST_SUSPICION.

    The expected F1 of the k most suspicious is taken as 2 * (their sum) / (k + the sum of all), for ``wrong`` (N,).
    """
    falling = np.sort(wrong)[::-1]
    expected = 2 * falling.cumsum() / (np.arange(1, len(falling) + 1) + falling.sum())
    return max(LEAST_SUSPICION, float(falling[expected.argmax()]))


def _offsets(listed: Shortlist, thresholds: ShrunkThresholds) -> np.ndarray:
    """float32 (N, K + 1): each class's own, and for the given one that which leaves the sample out."""
    by_class = np.append(thresholds.class_offsets, 0.0).astype(np.float32)  # REST, the last
    offsets = by_class[listed.classes]
    offsets[:, 0] = thresholds.own_offsets
    return offsets


def _confusion(listed: Shortlist, other: np.ndarray | None) -> np.ndarray:
    """For each listed class but the given one, how often its wrong labels are the given one, float32 (N, K); without the
    sample.

    ``other`` (N, K) is the probability that the sample is of that class, or None where nothing is known yet.
    """
    even = 1 / (listed.num_classes - 1)
    known = np.full((len(listed), listed.classes.shape[1] - 1), even, dtype=np.float32)
    if other is None:
        return known
    held, truth, pairs = other[:, :-1], listed.classes[:, 1:-1], listed.pairs
    of_class, of_pair = np.zeros(listed.num_classes), np.zeros(int(pairs.max(initial=-1)) + 1)
    parts = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(listed), ROWS_AT_ONCE)]
    for part in parts:
        of_class += np.bincount(truth[part].ravel(), held[part].ravel(), len(of_class))
        of_pair += np.bincount(pairs[part].ravel(), held[part].ravel(), len(of_pair))
    for part in parts:
        taken, all_of_class = of_pair[pairs[part]] - held[part], of_class[truth[part]] - held[part]
        known[part, :-1] = (taken.clip(0) + ROW_STRENGTH * even) / (all_of_class.clip(0) + ROW_STRENGTH)
    return known


def _interval(
    listed: Shortlist, posterior: LabelPosterior, thresholds: ShrunkThresholds, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The posterior's, widened in log-odds by how far two offsets may be off: of the given and the likeliest other class."""
    mass = np.append(np.bincount(listed.classes[:, 0], posterior.right, num_classes), 0.0)
    likeliest = listed.classes[np.arange(len(listed)), 1 + posterior.other.argmax(axis=1)]
    samples = np.where(likeliest == REST, 0.0, mass[likeliest])
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * CLASS_SPREAD * np.sqrt(1 / (1 + thresholds.others) + 1 / (1 + samples))
    centre, low, high = (_log_odds(bound) for bound in (posterior.right, posterior.low, posterior.high))
    return expit(centre - np.hypot(half, np.maximum(centre - low, 0))), expit(
        centre + np.hypot(half, np.maximum(high - centre, 0))
    )


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return logit(probability.clip(1e-15, 1 - 1e-15))


def _verdicts(suspected: np.ndarray, high: np.ndarray) -> np.ndarray:
    words = np.where(high > TELLS_NOTHING, TOO_FEW, np.where(high < SURELY, SURE, MAYBE))
    return np.where(suspected, words, NOTHING).astype(object)
