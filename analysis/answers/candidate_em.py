"""Samples whose label is only known to lie in a set of classes, resolved by expectation-maximisation.

Imprecise Label Learning (Chen et al., arXiv 2305.12715) takes the true label as latent and lets EM weigh every labelling
that the candidates allow. Here nothing is trained: sources give P(class | sample) under their own class shares, and EM finds
the class prior of this set (for full candidate sets the prior adjustment of Saerens, Latinne and Decaestecker, Neural
Computation 14 (2002) 21-41) and, if asked, how often each class is given which label:

    q_n(k) ~ prior_k  p_n(k) / base_k  P(given_n | k)     for k among the candidates of sample n
    prior_k = mean of q_n(k),   P(y | k) = (sum of q_n(k) over samples given y + strength R_yk) / (sum of q_n(k) + strength)

The second line is exact for a Dirichlet prior of ``strength`` samples on each class's label rates, so that the log posterior
never falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.context import Context

CONVERGED = 1e-9
_TINY = 1e-300


@dataclass(frozen=True)
class Candidates:
    """The candidate classes of N samples, one after the other: those of sample n are ``starts[n]`` to ``starts[n + 1]``.

    ``starts`` int64 (N + 1,) rises strictly: no set is empty. ``classes`` int64 (M,) and their ``evidence`` float64 (M,), in
    proportion to P(class | sample); each sample has some above 0.
    """

    starts: np.ndarray
    classes: np.ndarray
    evidence: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Candidates a sample, int64 (N,)."""
        return np.diff(self.starts)

    def summed(self, values: np.ndarray) -> np.ndarray:
        """``values`` (M,) added up for each sample, (N,)."""
        return np.add.reduceat(values, self.starts[:-1])

    def best(self, values: np.ndarray) -> np.ndarray:
        """Where in (M,) each sample's largest value stands, the first of equal ones, int64 (N,)."""
        largest = np.maximum.reduceat(values, self.starts[:-1])
        hits = np.flatnonzero(values == np.repeat(largest, self.sizes))
        return hits[np.searchsorted(hits, self.starts[:-1])]


@dataclass(frozen=True)
class LabelRates:
    """What is known beforehand of P(given label | true class): ``given`` int64 (N,) labels, right with probability ``right``
    and else any other class, weighed as ``strength`` samples a class."""

    given: np.ndarray
    right: float
    strength: float


@dataclass(frozen=True)
class Resolved:
    """``probability`` (M,) of each candidate, summing to 1 a sample; ``prior`` (C,); ``kept`` (C,) is P(given k | true k),
    NaN where labels were not asked for; ``objective`` the log posterior before each round; it never falls."""

    probability: np.ndarray
    prior: np.ndarray
    kept: np.ndarray
    objective: tuple[float, ...]
    converged: bool


def resolve(
    candidates: Candidates,
    base: np.ndarray,
    rates: LabelRates | None = None,
    learn_prior: bool = True,
    most_rounds: int = 200,
    context: Context | None = None,
) -> Resolved:
    """EM from ``base`` (C,), the class shares under which the evidence was made, which is the prior unless learnt.

    With one candidate a sample its probability is 1; with the prior kept and no ``rates`` it is the evidence, normalised.
    """
    state = _State.start(candidates, base, rates, learn_prior)
    context, objective, converged = context or Context(), [], False
    for done in range(most_rounds):
        context.report(done / most_rounds, "Resolving candidates")
        objective.append(state.objective)
        if done and objective[-1] - objective[-2] <= CONVERGED * (1 + abs(objective[-1])):
            converged = True
            break
        state = state.maximised()
    context.report(1.0, "Resolving candidates")
    return Resolved(state.probability, state.prior, state.kept, tuple(objective), converged)


@dataclass(frozen=True)
class _Pairs:
    """Label rates at the pairs (given label, candidate) that occur: ``of`` (M,) is each candidate's place among them.

    ``true`` (P,) is each pair's candidate, ``beforehand`` (P,) its pseudo-samples; ``unseen`` (C,) those of all pairs that
    do not occur, which have no sample to move them and matter only in the sum.
    """

    of: np.ndarray
    true: np.ndarray
    own: np.ndarray
    beforehand: np.ndarray
    unseen: np.ndarray
    strength: float

    @classmethod
    def made(cls, candidates: Candidates, classes: int, rates: LabelRates) -> _Pairs:
        keys = np.repeat(rates.given, candidates.sizes) * classes + candidates.classes
        pairs, of = np.unique(keys, return_inverse=True)
        given, true = np.divmod(pairs, classes)
        share = np.where(given == true, rates.right, (1 - rates.right) / max(classes - 1, 1))
        beforehand = rates.strength * share
        unseen = np.maximum(rates.strength - np.bincount(true, beforehand, classes), 0)
        return cls(of, true, given == true, beforehand, unseen, rates.strength)


@dataclass(frozen=True)
class _State:
    """The parameters after a round, and what they make of the candidates. ``rate`` (P,) and ``total`` (C,) belong to the
    label rates: samples of each true class, pseudo-samples included."""

    candidates: Candidates
    weight: np.ndarray
    prior: np.ndarray
    learn_prior: bool
    pairs: _Pairs | None
    rate: np.ndarray
    total: np.ndarray
    probability: np.ndarray
    log_likelihood: float

    @classmethod
    def start(cls, candidates: Candidates, base: np.ndarray, rates: LabelRates | None, learn_prior: bool) -> _State:
        base = np.maximum(base, _TINY)  # a class that the sources never give anything may be what people said
        weight = candidates.evidence / base[candidates.classes]
        pairs = _Pairs.made(candidates, len(base), rates) if rates else None
        rate = pairs.beforehand / pairs.strength if pairs else np.empty(0)
        total = np.full(len(base), pairs.strength if pairs else 0.0)
        return cls._expected(candidates, weight, base / base.sum(), learn_prior, pairs, rate, total)

    @classmethod
    def _expected(
        cls,
        candidates: Candidates,
        weight: np.ndarray,
        prior: np.ndarray,
        learn_prior: bool,
        pairs: _Pairs | None,
        rate: np.ndarray,
        total: np.ndarray,
    ) -> _State:
        joint = prior[candidates.classes] * weight * (rate[pairs.of] if pairs else 1.0)
        sums = candidates.summed(joint)
        probability = joint / np.repeat(sums, candidates.sizes)
        likelihood = float(np.log(sums).sum())
        return cls(candidates, weight, prior, learn_prior, pairs, rate, total, probability, likelihood)

    @property
    def objective(self) -> float:
        """The log posterior, up to a constant."""
        if self.pairs is None:
            return self.log_likelihood
        log_prior = (self.pairs.beforehand * np.log(self.rate)).sum() - (self.pairs.unseen * np.log(self.total)).sum()
        return self.log_likelihood + float(log_prior)

    @property
    def kept(self) -> np.ndarray:
        kept = np.full(len(self.prior), np.nan)
        if self.pairs is not None:
            kept[self.pairs.true[self.pairs.own]] = self.rate[self.pairs.own]
        return kept

    def maximised(self) -> _State:
        prior, rate, total, classes = self.prior, self.rate, self.total, len(self.prior)
        found = np.bincount(self.candidates.classes, self.probability, classes)
        if self.learn_prior:
            prior = found / len(self.candidates)
        if self.pairs is not None:
            total = found + self.pairs.strength
            hits = np.bincount(self.pairs.of, self.probability, len(self.pairs.true))
            rate = (hits + self.pairs.beforehand) / total[self.pairs.true]
        return self._expected(self.candidates, self.weight, prior, self.learn_prior, self.pairs, rate, total)
