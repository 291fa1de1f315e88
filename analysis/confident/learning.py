"""Confident learning on streamed probabilities: which labels are probably wrong, and how noisy each class is.

The method is Northcutt, Jiang and Chuang's, *Confident Learning: Estimating Uncertainty in Dataset Labels*
(arXiv 1911.00068). Results equal ``cleanlab.filter.find_label_issues`` and ``cleanlab.rank.get_label_quality_scores``
(cleanlab 2.9) on the same probabilities in the same dtype, down to the order in which ties fall; that is why sorting
and the sums that decide a rounding are numpy's, in cleanlab's order, while the passes over the N x C probabilities run
on any device, a block at a time (``rows``). Beside the input this holds a few vectors of length N and the
non-zero part of the C x C joint (``joint``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from scipy import sparse

from analysis.confident.joint import Noise, calibrated, count, noise
from analysis.confident.pruning import Pruner
from analysis.confident.rows import NEAR, NOT_CONFIDENT, RowFacts, Rows, confident_labels, entropies, read_facts
from analysis.context import Context
from analysis.intervals import wilson
from analysis.label_sources import CPU
from data.soft_labels import SoftLabels

Filter = Literal[
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_self_confidence",
    "low_normalized_margin",
]
Ranking = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
FILTERS: tuple[Filter, ...] = get_args(Filter)
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)

_LOWEST_THRESHOLD = 2e-6
_UNREACHABLE = 2


@dataclass(frozen=True)
class ConfidentLearning:
    """Given ``labels`` (N,) against the probabilities of ``rows``, as far as all filters and rankings share it.

    ``by_class`` are the ids of each class's samples. ``thresholds`` (C,) is each class's mean self-confidence (2, out of
    reach, for a class nobody was given), unless others were put in their place. ``confident_label`` int64 (N,) is the class
    a sample is confidently in, or NOT_CONFIDENT. ``counts`` (C, C) sparse int64 counts given label against confident label;
    ``joint`` is the same calibrated to the true number of samples of each given class.
    """

    labels: np.ndarray
    rows: Rows
    facts: RowFacts
    by_class: list[np.ndarray]
    thresholds: np.ndarray
    confident_label: np.ndarray
    counts: sparse.csr_array
    joint: sparse.csr_array

    @property
    def num_classes(self) -> int:
        return len(self.thresholds)

    @cached_property
    def agreeing(self) -> int:
        """Samples whose most probable class is the given label."""
        return int((self.facts.top_label == self.labels).sum())

    @cached_property
    def informed(self) -> bool:
        """Whether the predictions surely agree with more labels than their classes, dealt out at random, would.

        That is Cohen's expected agreement (Educational and Psychological Measurement 20 (1960) 37-46); where one class is
        always named, it is that class's share.
        """
        n = len(self.labels)
        predicted, given = (np.bincount(of, minlength=self.num_classes) / n for of in (self.facts.top_label, self.labels))
        return bool(wilson(self.agreeing, n)[0] > predicted @ given)

    @property
    def noise(self) -> Noise:
        """The noise matrices and the true classes' prior that the joint implies; dense in C x C."""
        return noise(self.joint, np.bincount(self.labels, minlength=self.num_classes))


def learn(labels: np.ndarray, source: SoftLabels, device: torch.device, context: Context | None = None) -> ConfidentLearning:
    """One pass over ``source`` (N, C) with given ``labels`` int64 (N,), and a second over the rows that it leaves open.

    Stored probabilities are taken as they are, in their dtype; all else as float32 distributions. Raises ImpossibleRequest
    where a probability is not a number in [0, 1] (within 1e-6).
    """
    context = context or Context()
    rows = Rows(source, device)
    facts = read_facts(labels, rows, context.part(0, 0.7))
    by_class = ids_by_class(labels, rows.num_classes)
    return _counted(labels, rows, facts, by_class, class_thresholds(by_class, facts.given), context.part(0.7, 1))


def with_thresholds(learned: ConfidentLearning, thresholds: np.ndarray, context: Context | None = None) -> ConfidentLearning:
    """The same samples counted by other class ``thresholds`` (C,)."""
    return _counted(learned.labels, learned.rows, learned.facts, learned.by_class, thresholds, context or Context())


def class_thresholds(by_class: list[np.ndarray], given: np.ndarray) -> np.ndarray:
    """Mean self-confidence of each class's samples, (C,) (equation 2 of the paper)."""
    means = [given[ids].mean() if len(ids) else _UNREACHABLE for ids in by_class]
    return np.clip(means, _LOWEST_THRESHOLD, None)


def quality_scores(learned: ConfidentLearning, ranking: Ranking, context: Context | None = None) -> np.ndarray:
    """(N,), 1 where the given label is surely right; unclipped, as cleanlab's. Only the entropy needs another pass."""
    facts = learned.facts
    if ranking == "self_confidence":
        return facts.given
    if ranking == "normalized_margin":
        return (facts.given - facts.other + 1) / 2
    weighted = entropies(learned.rows, context or Context()) / np.log(learned.num_classes) / np.clip(facts.given, NEAR, None)
    return np.log(weighted + 1) / np.clip(weighted, NEAR, None)


def find_issues(
    learned: ConfidentLearning,
    filter_by: Filter = "prune_by_noise_rate",
    min_examples_per_class: int = 1,
    context: Context | None = None,
) -> np.ndarray:
    """Samples whose label is probably wrong, bool (N,).

    ``min_examples_per_class``: prune no class down to fewer than this, nor any class that has no more.
    """
    facts = learned.facts
    confidently_other = (learned.confident_label != NOT_CONFIDENT) & (learned.confident_label != learned.labels)
    if filter_by in ("low_self_confidence", "low_normalized_margin"):
        lowest = np.argsort(quality_scores(learned, filter_by.removeprefix("low_")))  # type: ignore[arg-type]
        mask = np.zeros(len(learned.labels), dtype=bool)
        mask[lowest[: np.count_nonzero(confidently_other & ~facts.agrees)]] = True
        return mask
    if filter_by == "confident_learning":
        return confidently_other & ~facts.agrees
    if filter_by == "predicted_neq_given":
        return (facts.top_label != learned.labels) & ~facts.agrees
    return _pruned(learned, filter_by, min_examples_per_class, context or Context()) & ~facts.agrees


def ids_by_class(labels: np.ndarray, num_classes: int) -> list[np.ndarray]:
    """Sample ids of each class, ascending, C arrays."""
    order = np.argsort(labels.astype(np.min_scalar_type(num_classes)), kind="stable")  # 16 bits or fewer are radix sorted
    return np.split(order, np.cumsum(np.bincount(labels, minlength=num_classes))[:-1])


def _counted(
    labels: np.ndarray,
    rows: Rows,
    facts: RowFacts,
    by_class: list[np.ndarray],
    thresholds: np.ndarray,
    context: Context,
) -> ConfidentLearning:
    confident = confident_labels(rows, facts, thresholds, context)
    counts = count(labels, confident, rows.num_classes)
    joint = calibrated(counts, np.bincount(labels, minlength=rows.num_classes))
    return ConfidentLearning(labels, rows, facts, by_class, thresholds, confident, counts, joint)


def _pruned(learned: ConfidentLearning, filter_by: Filter, fewest: int, context: Context) -> np.ndarray:
    on_cpu = Rows(learned.rows.source, CPU)  # few rows, which numpy sorts
    pruner = Pruner(on_cpu, learned.facts, learned.by_class, learned.joint, fewest)
    if filter_by == "prune_by_class":
        return pruner.lowest_of_class()
    furthest = pruner.furthest_towards_others(context)
    return furthest & pruner.lowest_of_class() if filter_by == "both" else furthest
