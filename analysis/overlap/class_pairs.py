"""Which pairs of classes are confused, how surely, and whether more than chance: statistics of a sparse confusion.

Counts are of samples by given class (row) and the class they surely are of (column). A sample counts as *astray* where the
two differ. All arrays over pairs hold a < b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import betaln

from analysis.intervals import share, wilson

SATURATION = 10
"""With so many samples astray a class says half as much of where they go as it ever can."""
EVEN_WEIGHT = 0.5
TERMS_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Estimates:
    """One number a pair with its interval; all arrays (P,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """Pairs of classes ``a`` < ``b`` (P,) and the samples between them: ``ab`` given a but surely of b, ``ba`` the reverse.

    ``n_a`` and ``n_b`` are the samples of either class that are surely of some class.
    """

    a: np.ndarray
    b: np.ndarray
    ab: np.ndarray
    ba: np.ndarray
    n_a: np.ndarray
    n_b: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    def overlap(self) -> Estimates:
        """P(of b | given a) + P(of a | given b), at most 1: 0 = apart, 1 = not to be told apart, or one within the other."""
        found = self._weighted(np.ones(len(self)), np.ones(len(self)))
        return Estimates(*(np.minimum(bound, 1) for bound in (found.value, found.low, found.high)))

    def joint(self, weight_a: np.ndarray, weight_b: np.ndarray) -> Estimates:
        """P(given a, of b) + P(given b, of a), where ``weight_a`` and ``weight_b`` (P,) are the shares given a and b."""
        return self._weighted(weight_a, weight_b)

    def leaning(self) -> np.ndarray:
        """1 where a is surely more often taken for b than b for a, -1 for the reverse, 0 where it cannot be told; (P,)."""
        found = self._weighted(np.ones(len(self)), -np.ones(len(self)))
        return (found.low > 0).astype(np.int64) - (found.high < 0)

    def _weighted(self, weight_a: np.ndarray, weight_b: np.ndarray) -> Estimates:
        """The weighted sum of both shares with its interval, from their Wilson intervals by squaring and adding.

        Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702; Newcombe's method 10 for a difference.
        """
        value, below, above = np.zeros(len(self)), np.zeros(len(self)), np.zeros(len(self))
        for hits, n, weight in ((self.ab, self.n_a, weight_a), (self.ba, self.n_b, weight_b)):
            low, high = wilson(hits, n)
            ends = np.sort(np.stack([weight * low, weight * high]), axis=0)
            here = weight * share(hits, n)
            value, below, above = value + here, below + (here - ends[0]) ** 2, above + (ends[1] - here) ** 2
        return Estimates(value, value - np.sqrt(below), value + np.sqrt(above))


def confusion(counts: sparse.csr_array, also: np.ndarray | None = None) -> Confusion:
    """All pairs of classes with samples between them in ``counts`` (C, C), and the pairs ``also`` int64 (n, 2), a < b."""
    classes = counts.shape[0]
    entries = counts.tocoo()
    row, column = (index.astype(np.int64) for index in entries.coords)
    apart = (row != column) & (entries.data > 0)
    keys = np.minimum(row, column)[apart] * classes + np.maximum(row, column)[apart]
    wanted = np.empty(0, np.int64) if also is None else also[:, 0] * classes + also[:, 1]
    a, b = np.divmod(np.unique(np.concatenate([keys, wanted])), classes)
    surely = np.asarray(counts.sum(axis=1))
    return Confusion(a, b, looked_up(counts, a, b), looked_up(counts, b, a), surely[a], surely[b])


def looked_up(matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """``matrix[rows, columns]``, (n,)."""
    return np.asarray(matrix[rows, columns]) if len(rows) else np.empty(0, matrix.dtype)


def p_values(pairs: Confusion, counts: sparse.csr_array, known: np.ndarray) -> np.ndarray:
    """How likely as many samples between each pair are, if those astray went where any class's go; (P,).

    ``known`` bool (C,) marks the classes that have samples. Given how many samples of a and of b went astray, those that
    went to the other follow a beta-binomial law: the ``Habit`` of the other classes is the mean chance, and counts as little
    as the samples that it is known from. All are 1 for fewer than three classes: there is no other to compare with. Of
    three, one that both others are often taken for cannot be told from two pairs that overlap.
    """
    if known.sum() < 3 or not len(pairs):
        return np.ones(len(pairs))
    to_b, to_a = habit(counts, known, pairs.a, pairs.b), habit(counts, known, pairs.b, pairs.a)
    lost = astray(counts)
    lost_a, lost_b = lost[pairs.a], lost[pairs.b]
    trials, hits = lost_a + lost_b, pairs.ab + pairs.ba
    chance = np.divide(lost_a * to_b.chance + lost_b * to_a.chance, trials, out=np.ones(len(pairs)), where=trials > 0)
    return _tail(hits, trials, chance, np.minimum(to_b.samples, to_a.samples))


def _tail(hits: np.ndarray, trials: np.ndarray, chance: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """P(at least ``hits`` of ``trials``) where the chance is beta with this mean and sum of parameters; (P,).

    1 where no more than expected were hit. A few million terms at a time.
    """
    p = np.ones(len(hits))
    more = np.flatnonzero(hits > trials * chance)
    terms = (trials - hits)[more] + 1
    for part in np.split(more, np.flatnonzero(np.diff(np.cumsum(terms) // TERMS_AT_ONCE)) + 1):
        length = (trials - hits)[part] + 1
        first = np.cumsum(length) - length
        pair = np.repeat(part, length)
        x = hits[pair] + np.arange(len(pair)) - np.repeat(first, length)
        n, alpha, beta = trials[pair], (chance * samples)[pair], ((1 - chance) * samples)[pair]
        log = betaln(x + alpha, n - x + beta) - betaln(alpha, beta) - betaln(n - x + 1, x + 1) - np.log(n + 1)
        if len(part):
            p[part] = np.minimum(np.add.reduceat(np.exp(log), first), 1)
    return p


@dataclass(frozen=True)
class Habit:
    """Where samples of other classes go astray to: the ``chance`` of each class asked for, (P,), known as well as from
    ``samples`` (P,) draws."""

    chance: np.ndarray
    samples: np.ndarray


def habit(counts: sparse.csr_array, known: np.ndarray, a: np.ndarray, b: np.ndarray) -> Habit:
    """The chance that a sample of ``a`` that goes astray goes to ``b``, judged by all classes but these two; (P,).

    A weighted mean over those classes of the share of their samples astray that went to b, scaled so that the chances of a
    add up to 1. A class with n such samples weighs n / (n + 10), so at most 1: a few classes that are confused among
    themselves must not make each other look like what everything is taken for. Ten samples spread evenly over all classes
    are added as one more class of half that weight, so that there is a habit where nothing else went astray.
    """
    lost = astray(counts).astype(float)
    weight = lost / (lost + SATURATION)
    noise = lost / (lost + SATURATION) ** 2  # weight² / n, of which each class's part in the variance is a multiple
    entries = counts.tocoo()
    row, column = entries.coords
    apart = row != column
    to = np.bincount(column[apart], entries.data[apart] / (lost[row[apart]] + SATURATION), len(known))
    from_others = to[b] - looked_up(counts, a, b) / (lost[a] + SATURATION)
    chance = (from_others + EVEN_WEIGHT / (known.sum() - 1)) / (weight.sum() - weight[a] - to[a] + EVEN_WEIGHT)
    total = weight.sum() - weight[a] - weight[b] + EVEN_WEIGHT
    spread = noise.sum() - noise[a] - noise[b] + EVEN_WEIGHT**2 / SATURATION
    return Habit(chance, total**2 / spread)


def astray(counts: sparse.csr_array) -> np.ndarray:
    """Samples of each given class that are surely of another, (C,)."""
    return np.asarray(counts.sum(axis=1)) - counts.diagonal()


def benjamini_hochberg(p: np.ndarray, tests: int) -> np.ndarray:
    """p-values (P,) corrected for a false discovery rate over ``tests`` >= P, those not given being 1.

    Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289-300.
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * tests / np.arange(1, len(p) + 1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return corrected
