"""Item response theory: how hard each sample is, from which respondents got it right.

A sample's difficulty b ~ N(0, 1) is integrated out, and each respondent's parameters are fitted by EM (Bock and Aitkin,
Psychometrika 46 (1981) 443-459):

    P(respondent j right on sample i) = sigmoid(intercept_j - slope_j b_i)

with one slope for all (1PL, the Rasch model) or one each (2PL). The usual roles of people and items are exchanged, because
here samples are many and respondents few: what is integrated out must be what there is much of. Easy2Hard-Bench (arXiv
2409.18433) rates problems by such models.

Scale and sign are fixed by b's distribution and slopes that start at 1; the location by b's mean 0. Weak priors, intercept
~ N(0, 3²) and log slope ~ N(0, 1), each worth less than one sample, keep respondents who are always right finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, log_expit, logsumexp

from analysis.context import Context

Model = Literal["1PL", "2PL"]

NODES = 41
FURTHEST = 5.0
INTERCEPT_SPREAD, LOG_SLOPE_SPREAD = 3.0, 1.0
MOST_ROUNDS = 500
CONVERGED = 1e-9
_VALUES_A_CHUNK = 1 << 21
_NEWTON_STEPS = 25
_LONGEST_STEP = 1.0


@dataclass(frozen=True)
class Answered:
    """``right`` of ``asked`` answers, unsigned or signed integers (N, S) each, by sample and respondent.

    Without names, S is 1 and ``asked`` the number of answers: respondents then count as exchangeable. An ``asked`` of 0 is
    a missing answer.
    """

    right: np.ndarray
    asked: np.ndarray

    def __len__(self) -> int:
        return len(self.right)


@dataclass(frozen=True)
class Fit:
    """``slope`` and ``intercept`` (S,) with their standard errors (NaN where the data do not tell); ``difficulty`` (N,)
    is each sample's posterior mean in standard deviations of all samples, ``difficulty_error`` its posterior deviation.

    ``objective`` is the log posterior after each round: it never falls.
    """

    slope: np.ndarray
    slope_error: np.ndarray
    intercept: np.ndarray
    intercept_error: np.ndarray
    difficulty: np.ndarray
    difficulty_error: np.ndarray
    objective: tuple[float, ...]
    converged: bool


def fit(answered: Answered, model: Model, context: Context | None = None, most_rounds: int = MOST_ROUNDS) -> Fit:
    """Maximum a posteriori estimates for S respondents by EM, on 41 equally spaced nodes from -5 to 5.

    A "2PL" needs three respondents to be identified, a "1PL" two answers a sample; the caller sees to that.
    """
    context, patterns = context or Context(), _patterns(answered)
    respondents = answered.right.shape[1]
    log_slope, intercept = np.zeros(1 if model == "1PL" else respondents), np.zeros(respondents)
    rounds = _by_number_right(patterns) if model == "1PL" else patterns
    objective: list[float] = []
    converged = False
    for done in range(most_rounds):
        context.report(done / most_rounds, "Fitting difficulties")
        expected = _expected(rounds, log_slope, intercept)
        objective.append(expected.log_likelihood + _log_prior(log_slope, intercept))
        if done and objective[-1] - objective[-2] < CONVERGED * (1 + abs(objective[-1])):
            converged = True
            break
        log_slope, intercept = _maximised(expected, log_slope, intercept)
    return _finished(patterns, log_slope, intercept, tuple(objective), converged)


@dataclass(frozen=True)
class _Patterns:
    """The different rows of answers, ``right`` and ``asked`` (P, S), how many samples have each, ``count`` (P,), and
    ``which`` (N,) each sample has. Most samples are answered alike, so rounds over patterns are far shorter."""

    right: np.ndarray
    asked: np.ndarray
    count: np.ndarray
    which: np.ndarray

    def chunks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """(rows, right, asked) of some patterns at a time, as float64."""
        rows = max(1, _VALUES_A_CHUNK // max(NODES, self.right.shape[1]))
        for start in range(0, len(self.right), rows):
            part = slice(start, start + rows)
            yield part, self.right[part].astype(float), self.asked[part].astype(float)


def _patterns(answered: Answered) -> _Patterns:
    first, which, count = _distinct(np.hstack([answered.right, answered.asked]))
    return _Patterns(answered.right[first], answered.asked[first], count, which)


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each different row stands first, which of those every row is, and how often each occurs.

    Rows are compared as bytes, which takes a tenth of the time of numpy's own comparison of rows.
    """
    rows = np.ascontiguousarray(rows)
    as_bytes = rows.view(f"S{rows.shape[1] * rows.itemsize}")[:, 0]
    _, first, which, count = np.unique(as_bytes, return_index=True, return_inverse=True, return_counts=True)
    return first, which, count


def _by_number_right(patterns: _Patterns) -> _Patterns:
    """One mean pattern for all that were asked the same and got as many right.

    With one slope that number decides the weights on the nodes, and all else is linear in ``right``: nothing changes.
    """
    number = patterns.right.sum(axis=1, dtype=np.int64)[:, None]
    first, group, _ = _distinct(np.hstack([patterns.asked, number]))
    count = np.bincount(group, patterns.count)
    right = [np.bincount(group, patterns.count * column) / count for column in patterns.right.T]
    return _Patterns(np.stack(right, axis=1), patterns.asked[first], count, group[patterns.which])


@dataclass(frozen=True)
class _Expected:
    """Expected answers at each node: ``right`` and ``asked`` (S, Q); and the marginal log likelihood."""

    right: np.ndarray
    asked: np.ndarray
    log_likelihood: float


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Difficulties (Q,) and their log prior weights (Q,)."""
    nodes = np.linspace(-FURTHEST, FURTHEST, NODES)
    weights = -(nodes**2) / 2
    return nodes, weights - logsumexp(weights)


def _posterior(
    right: np.ndarray, asked: np.ndarray, log_slope: np.ndarray, intercept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each sample's weights on the nodes, (n, Q), and its log likelihood (n,)."""
    nodes, log_weights = _nodes()
    logit = intercept[:, None] - np.exp(log_slope)[:, None] * nodes
    # right log p + (asked - right) log (1 - p) = right logit + asked log (1 - p)
    joint = right @ logit + asked @ log_expit(-logit) + log_weights
    total = logsumexp(joint, axis=1)
    return np.exp(joint - total[:, None]), total


def _expected(patterns: _Patterns, log_slope: np.ndarray, intercept: np.ndarray) -> _Expected:
    shape = len(intercept), NODES
    right, asked, likelihood = np.zeros(shape), np.zeros(shape), 0.0
    for rows, some_right, some_asked in patterns.chunks():
        weights, total = _posterior(some_right, some_asked, log_slope, intercept)
        counted = weights * patterns.count[rows, None]
        right += some_right.T @ counted
        asked += some_asked.T @ counted
        likelihood += float(total @ patterns.count[rows])
    return _Expected(right, asked, likelihood)


def _log_prior(log_slope: np.ndarray, intercept: np.ndarray) -> float:
    return float(-(log_slope**2).sum() / (2 * LOG_SLOPE_SPREAD**2) - (intercept**2).sum() / (2 * INTERCEPT_SPREAD**2))


def _maximised(expected: _Expected, log_slope: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The M-step: Fisher scoring on the expected answers, halved wherever a step would lower the objective."""
    best = _completed(expected, log_slope, intercept)
    for _ in range(_NEWTON_STEPS):
        step_slope, step_intercept = _step(expected, log_slope, intercept)
        size = min(1.0, _LONGEST_STEP / max(np.abs(step_slope).max(), np.abs(step_intercept).max(), 1e-12))
        while size > 1e-8:
            trial = log_slope + size * step_slope, intercept + size * step_intercept
            value = _completed(expected, *trial)
            if value >= best:
                break
            size /= 2
        else:
            return log_slope, intercept
        gained, best = value - best, value
        log_slope, intercept = trial
        if gained < 1e-10 * (1 + abs(best)):
            break
    return log_slope, intercept


def _completed(expected: _Expected, log_slope: np.ndarray, intercept: np.ndarray) -> float:
    """The expected complete-data log posterior."""
    logit = intercept[:, None] - np.exp(log_slope)[:, None] * _nodes()[0]
    return float((expected.right * logit + expected.asked * log_expit(-logit)).sum()) + _log_prior(log_slope, intercept)


def _step(expected: _Expected, log_slope: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fisher-scoring steps for log slopes (1,) or (S,) and intercepts (S,); each intercept is eliminated first."""
    along = -np.exp(log_slope)[:, None] * _nodes()[0] + np.zeros_like(expected.asked)
    p = expit(intercept[:, None] + along)
    residual, weight = expected.right - expected.asked * p, expected.asked * p * (1 - p)
    gradient = residual.sum(axis=1) - intercept / INTERCEPT_SPREAD**2
    information = weight.sum(axis=1) + INTERCEPT_SPREAD**-2
    mixed = (weight * along).sum(axis=1)
    own_gradient, own_information = (residual * along).sum(axis=1), (weight * along**2).sum(axis=1)
    reduced_gradient = own_gradient - mixed * gradient / information
    reduced_information = own_information - mixed**2 / information
    if len(log_slope) == 1:
        reduced_gradient, reduced_information = reduced_gradient.sum(keepdims=True), reduced_information.sum(keepdims=True)
    step = (reduced_gradient - log_slope / LOG_SLOPE_SPREAD**2) / (reduced_information + LOG_SLOPE_SPREAD**-2)
    return step, (gradient - mixed * step) / information


def _finished(
    patterns: _Patterns, log_slope: np.ndarray, intercept: np.ndarray, objective: tuple[float, ...], converged: bool
) -> Fit:
    """Difficulties, and standard errors from the summed outer products of each sample's score, plus the priors."""
    nodes, slope, each = _nodes()[0], np.exp(log_slope), np.ones(len(intercept))
    p = expit(intercept[:, None] - slope[:, None] * nodes)
    difficulty, error = np.empty(len(patterns.count)), np.empty(len(patterns.count))
    spreads = np.concatenate([LOG_SLOPE_SPREAD * np.ones(len(slope)), INTERCEPT_SPREAD * each])
    information = np.diag(spreads**-2)
    for rows, right, asked in patterns.chunks():
        weights, _ = _posterior(right, asked, log_slope, intercept)
        difficulty[rows] = weights @ nodes
        error[rows] = np.sqrt(np.maximum(weights @ nodes**2 - difficulty[rows] ** 2, 0))
        towards_intercept = right - asked * (weights @ p.T)
        towards_slope = slope * (asked * (weights @ (p * nodes).T) - right * difficulty[rows, None])
        if len(slope) == 1:
            towards_slope = towards_slope.sum(axis=1, keepdims=True)
        score = np.hstack([towards_slope, towards_intercept])
        information += (score * patterns.count[rows, None]).T @ score
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    of_slope, of_intercept = slope * errors[: len(slope)] * each, errors[len(slope) :]
    which = patterns.which
    return Fit(slope * each, of_slope, intercept, of_intercept, difficulty[which], error[which], objective, converged)
