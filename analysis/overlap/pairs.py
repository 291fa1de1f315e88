"""What is known of each pair of a set's classes, and what is proposed for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import sparse

from analysis.confident.learning import ConfidentLearning, learn
from analysis.context import Context
from analysis.intervals import ratio
from analysis.label_sources import choose
from analysis.overlap.class_mass import NO_PARTNER, heaviest_pairs, mass
from analysis.overlap.class_pairs import Confusion, Estimates, benjamini_hochberg, confusion, looked_up, p_values
from analysis.overlap.super_classes import Tree, grow
from analysis.probes.label_evidence import Evidence
from data.distilled_set import DistilledSet

MERGE, OVERLAP, NOTHING, TOO_FEW = "merge", "overlap", "none", "too few"


@dataclass(frozen=True)
class Rules:
    """``fewest`` samples in each class of a pair, the corrected p-value ``alpha``, the overlap from which to merge."""

    fewest: int
    alpha: float
    merge_at: float


@dataclass(frozen=True)
class Exchange:
    """Summed soft labels by given class (row) and class (column), (C, C) sparse, of ``n`` (C,) samples of each."""

    sums: sparse.csr_array
    n: np.ndarray
    basis: str
    caveats: tuple[str, ...] = ()

    def onto(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Mean probability that samples of ``a`` have on ``b``, (P,); NaN for classes without samples."""
        return ratio(looked_up(self.sums, a, b), self.n[a])

    def exchanged(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Mean probability on the other class over the samples of both, (P,)."""
        return ratio(looked_up(self.sums, a, b) + looked_up(self.sums, b, a), self.n[a] + self.n[b])


@dataclass(frozen=True)
class Judged:
    """The pairs of classes that are confused or exchange most, of a set whose samples ``ids`` (M,) were judged.

    ``per_class`` (C,) counts those samples. ``q`` (P,) are p-values corrected for ``tests`` pairs, NaN for pairs with too
    few samples.
    """

    ids: np.ndarray
    learned: ConfidentLearning
    exchange: Exchange
    pairs: Confusion
    q: np.ndarray
    tests: int
    rules: Rules

    @cached_property
    def per_class(self) -> np.ndarray:
        return np.bincount(self.learned.labels, minlength=self.learned.num_classes)

    @cached_property
    def surely(self) -> np.ndarray:
        """Samples of each given class that are surely of some class, (C,)."""
        return np.asarray(self.learned.counts.sum(axis=1))

    @cached_property
    def enough(self) -> np.ndarray:
        """Classes, (C,), with enough such samples to say anything."""
        return self.surely >= self.rules.fewest

    @property
    def informed(self) -> bool:
        """Whether the predictions surely know more of the labels than chance."""
        return self.learned.informed

    @cached_property
    def tested(self) -> np.ndarray:
        """Pairs, (P,), of classes with enough samples."""
        return self.enough[self.pairs.a] & self.enough[self.pairs.b]

    @cached_property
    def sure(self) -> np.ndarray:
        """Pairs, (P,), confused more than chance, after correction for all pairs tested."""
        return self.tested & (self.q <= self.rules.alpha) & self.informed

    @cached_property
    def overlap(self) -> Estimates:
        return self.pairs.overlap()

    @cached_property
    def joint(self) -> Estimates:
        """The calibrated joint's probability of each pair, equal to cleanlab's, widened to hold it where it was rounded."""
        n, a, b = len(self.ids), self.pairs.a, self.pairs.b
        value = (looked_up(self.learned.joint, a, b) + looked_up(self.learned.joint, b, a)) / n
        found = self.pairs.joint(self.per_class[a] / n, self.per_class[b] / n)
        return Estimates(value, np.minimum(found.low, value), np.maximum(found.high, value))

    @cached_property
    def tree(self) -> Tree:
        """Linked by the lower bound of each sure overlap: what is merged is merged on what is certain."""
        sure = self.sure & (self.overlap.low > 0)
        return grow(self.learned.num_classes, self.pairs.a[sure], self.pairs.b[sure], self.overlap.low[sure])

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The super-classes proposed."""
        return self.tree.cut(self.rules.merge_at)

    @cached_property
    def super_class(self) -> np.ndarray:
        """The super-class of each class, int64 (C,), -1 for those that stay alone."""
        of = np.full(self.learned.num_classes, -1, dtype=np.int64)
        for number, members in enumerate(self.groups):
            of[list(members)] = number
        return of

    @cached_property
    def proposal(self) -> np.ndarray:
        """MERGE, OVERLAP, NOTHING or TOO_FEW for each pair, (P,)."""
        left, right = self.super_class[self.pairs.a], self.super_class[self.pairs.b]
        together = (left == right) & (left >= 0)
        return np.select([~self.tested, together, self.sure], [TOO_FEW, MERGE, OVERLAP], NOTHING).astype(object)

    def partners(self, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each class its pair of the largest overlap ``among`` bool (P,) some, and the other class of that; (C,) each.

        NO_PARTNER for classes in none.
        """
        best, other = (np.full(self.learned.num_classes, NO_PARTNER, dtype=np.int64) for _ in range(2))
        chosen = np.flatnonzero(among & (self.overlap.value > 0))
        pair = np.concatenate([chosen, chosen])
        own = np.concatenate([self.pairs.a[chosen], self.pairs.b[chosen]])
        facing = np.concatenate([self.pairs.b[chosen], self.pairs.a[chosen]])
        rising = np.lexsort((-pair, self.overlap.low[pair], self.overlap.value[pair]))
        best[own[rising]], other[own[rising]] = pair[rising], facing[rising]  # of several writes the last stays
        return best, other


def judge(
    distilled_set: DistilledSet,
    evidence: Evidence,
    source: str,
    rules: Rules,
    listed: int,
    device: torch.device,
    context: Context,
) -> Judged:
    """All confused pairs of the set's classes and the ``listed`` that exchange most. Raises ImpossibleRequest."""
    learned = learn(distilled_set.labels[evidence.ids], evidence.probabilities, device, context.part(0, 0.6))
    exchange = _exchange(distilled_set, evidence, source, device, context.part(0.6, 1))
    pairs = confusion(learned.counts, heaviest_pairs(exchange.sums, listed))
    enough = np.asarray(learned.counts.sum(axis=1)) >= rules.fewest
    tested = enough[pairs.a] & enough[pairs.b]
    known = np.bincount(learned.labels, minlength=learned.num_classes) > 0
    tests = int(enough.sum() * (enough.sum() - 1) // 2)
    q = np.full(len(pairs), np.nan)
    q[tested] = benjamini_hochberg(p_values(pairs, learned.counts, known)[tested], tests)
    return Judged(evidence.ids, learned, exchange, pairs, q, tests, rules)


def _exchange(
    distilled_set: DistilledSet, evidence: Evidence, source: str, device: torch.device, context: Context
) -> Exchange:
    """From the set's own soft labels where it has some, so that there is a second witness beside a probe."""
    if not distilled_set.label_sources:
        labels = distilled_set.labels[evidence.ids]
        sums = mass(labels, evidence.probabilities, device, context)
        return Exchange(sums, np.bincount(labels, minlength=distilled_set.num_classes), evidence.basis)
    chosen = choose(distilled_set, source)
    sums = mass(distilled_set.labels, chosen.labels, device, context)
    caveats = tuple(caveat for caveat in chosen.caveats if caveat not in evidence.caveats)
    return Exchange(sums, distilled_set.per_class, f"soft labels of '{chosen.name}'", caveats)
