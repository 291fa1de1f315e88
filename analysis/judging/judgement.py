"""Confident learning's answer for a set: with each class's own threshold, or with ones shrunk towards the pooled one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.confident.cleanlab_backend import ask_cleanlab
from analysis.confident.learning import (
    ConfidentLearning,
    Filter,
    Ranking,
    find_issues,
    learn,
    quality_scores,
    with_thresholds,
)
from analysis.context import Context
from analysis.device import pick
from analysis.judging.small_classes import SmallClasses, judge_small_classes
from analysis.probes.label_evidence import Evidence
from data.errors import ImpossibleRequest

Backend = Literal["stillroom", "cleanlab"]
Thresholds = Literal["automatic", "shrunk", "exact"]
Automatic = Literal["automatic"]
FilterChoice = Literal[Automatic, Filter]
RankingChoice = Literal[Automatic, Ranking]
LARGE = 100
"""Images from which on a class's own mean self-confidence is near enough (its standard error is a twentieth at most)."""

MOST_SHRUNK = 200_000
"""Samples up to which thresholds are shrunk unasked; explaining the predictions of more takes minutes."""


@dataclass(frozen=True)
class Rules:
    """What to judge by. ``filter_by``, ``ranking`` and ``backend`` are defined for exact thresholds only."""

    thresholds: Thresholds
    filter_by: FilterChoice
    ranking: RankingChoice
    backend: Backend
    min_per_class: int
    pool_weight: float

    @property
    def ordinary(self) -> bool:
        """Whether nothing is asked for that only exact thresholds have."""
        return (self.filter_by, self.ranking, self.backend) == ("automatic", "automatic", "stillroom")

    @property
    def exactly(self) -> tuple[Filter, Ranking]:
        """The filter and the ranking with exact thresholds; cleanlab's defaults where none is named."""
        return (
            "prune_by_noise_rate" if self.filter_by == "automatic" else self.filter_by,
            "self_confidence" if self.ranking == "automatic" else self.ranking,
        )

    def shrinks(self, per_class: np.ndarray) -> bool:
        """Whether thresholds are shrunk for a set with ``per_class`` (C,) images.

        "automatic" shrinks where a class has fewer than LARGE, unless there are more than MOST_SHRUNK altogether, or a
        filter, ranking or backend is asked for that only exact thresholds have; "shrunk" raises ImpossibleRequest there.
        """
        if self.thresholds == "shrunk" and not self.ordinary:
            raise ImpossibleRequest(
                "filters, rankings and cleanlab itself work with each class's own threshold; take thresholds 'exact' for "
                "them, or leave them as they are for 'shrunk'."
            )
        if self.thresholds == "automatic":
            few = bool((per_class[per_class > 0] < LARGE).any())
            return few and self.ordinary and per_class.sum() <= MOST_SHRUNK
        return self.thresholds == "shrunk"


@dataclass(frozen=True)
class Judged:
    """Confident learning's answer for the samples ``ids`` (M,) of N; ``found`` before flags are withheld.

    ``per_class`` (C,) counts the judged samples. ``small`` is what shrunk thresholds say, None with exact ones; ``learned``
    counts confident samples by the thresholds used, and ``self_confidence`` (C,) is each class's mean either way.
    """

    ids: np.ndarray
    learned: ConfidentLearning
    self_confidence: np.ndarray
    score: np.ndarray
    found: np.ndarray
    per_class: np.ndarray
    rules: Rules
    small: SmallClasses | None = None

    @property
    def labels(self) -> np.ndarray:
        return self.learned.labels

    @property
    def agreeing(self) -> int:
        """Samples whose most probable class is the given label."""
        return self.learned.agreeing

    @property
    def informed(self) -> bool:
        """Whether the predictions surely know more of the labels than chance."""
        return self.learned.informed

    @property
    def speaks(self) -> bool:
        """Whether anything is said of single labels: a filter, a ranking or cleanlab asked for by name always answers."""
        return self.informed or not self.rules.ordinary

    @property
    def trusted(self) -> np.ndarray:
        """Classes, (C,), with enough images for a noise rate, and with exact thresholds for flags."""
        return (self.per_class >= self.rules.min_per_class) & self.informed

    @property
    def flag(self) -> np.ndarray:
        if self.small is not None:
            return self.small.flag & self.informed
        return self.found & self.trusted[self.labels] if self.rules.ordinary else self.found

    def counted(self) -> tuple[np.ndarray, np.ndarray]:
        """(samples confidently in another class than given, samples confidently in any), each (C,) by given class."""
        counts = self.learned.counts
        return counts.sum(axis=1) - counts.diagonal(), counts.sum(axis=1)


def judge(labels: np.ndarray, evidence: Evidence, rules: Rules, context: Context) -> Judged:
    """Hold the given ``labels`` int64 (M,) of the samples in ``evidence`` against its probabilities.

    Raises ImpossibleRequest where ``rules`` contradict each other, where a probability is none, or where cleanlab refuses.
    """
    per_class = np.bincount(labels, minlength=evidence.probabilities.num_classes)
    shrinks = rules.shrinks(per_class)
    learned = learn(labels, evidence.probabilities, pick(context.device), context.part(0, 0.5))
    means = learned.thresholds
    if shrinks:
        small = judge_small_classes(learned, rules.pool_weight, context.part(0.5, 0.9))
        learned = with_thresholds(learned, small.thresholds.by_class, context.part(0.9, 1))
        return Judged(evidence.ids, learned, means, small.right, small.suspected, per_class, rules, small)
    filter_by, ranking = rules.exactly
    if rules.backend == "cleanlab":
        answer = ask_cleanlab(labels, evidence.probabilities, filter_by, ranking)
        learned, found, score = replace(learned, joint=answer.joint), answer.found, answer.scores
    else:
        found = find_issues(learned, filter_by, context=context.part(0.7, 0.9))
        score = quality_scores(learned, ranking, context.part(0.9, 1))
    return Judged(evidence.ids, learned, means, score.astype(np.float64).clip(0, 1), found, per_class, rules)
