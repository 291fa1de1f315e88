"""How probable it is that a given label is right, from the predicted probabilities and what the whole set tells of noise.

The model: the true class of a sample has the predicted probabilities after temperature scaling (Guo et al., *On Calibration
of Modern Neural Networks*, arXiv 1706.04599) and class offsets; with probability e its label is another class, drawn from
that class's row of the noise matrix. Temperature and noise rate are those of the whole set and are integrated over on a
grid, not fixed at their best values, because ten samples cannot tell them apart: an over-confident predictor and a noisy
set look alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from analysis.context import Context
from analysis.intervals import LEVEL
from analysis.judging.row_shortlist import Shortlist

NODES = 13
LOG_TEMPERATURE = (0.35, 0.5)
"""Mean and standard deviation of the prior, 0.5 to 3.8 by 95 %: predictors are sharper than they should be more often than
not (1706.04599)."""
NOISE_PRIOR = (1.5, 8.5)
"""Beta prior of the noise rate: ten samples' worth, mean 15 %."""
TEMPERATURES, NOISE_RATES = (np.log(0.4), np.log(12.0)), (logit(0.002), logit(0.7))
MOST_REFINEMENTS = 5
WIDE = 4.0
ROWS_AT_ONCE = 1 << 13
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
WEIGHING = "Weighing labels against predictions"
_TINY = 1e-300


@dataclass(frozen=True)
class LabelPosterior:
    """``right`` (N,) is the probability that the given label is right; ``low`` (N,) and ``high`` (N,) are its 95 % interval
    over the grid. ``other`` (N, K) is the probability of each listed other class
    and of the rest. ``temperature`` and ``noise_rate`` are posterior means; ``noise_low`` and ``noise_high`` 95 % bounds.
    """

    right: np.ndarray
    low: np.ndarray
    high: np.ndarray
    other: np.ndarray
    temperature: float
    noise_rate: float
    noise_low: float
    noise_high: float


def label_posterior(
    listed: Shortlist, offsets: np.ndarray, confusion: np.ndarray, context: Context | None = None
) -> LabelPosterior:
    """From the shortlist, ``offsets`` (N, K + 1) on its log-probabilities, and ``confusion`` (N, K): for each listed class
    but the given one (REST last) how probable the given label is, were that class true and the label wrong."""
    temperatures, rates = np.linspace(*TEMPERATURES, NODES), np.linspace(*NOISE_RATES, NODES)
    context = context or Context()
    for done in range(MOST_REFINEMENTS):
        nodes = context.part(done / MOST_REFINEMENTS, (done + 1) / MOST_REFINEMENTS).track(temperatures, NODES, WEIGHING)
        parts = [_split(listed, offsets, confusion, np.exp(node)) for node in nodes]
        weights = _weights(parts, temperatures, rates)
        finer = _finer(temperatures, weights.sum(axis=1)), _finer(rates, weights.sum(axis=0))
        if finer[0] is None and finer[1] is None:
            break
        temperatures = temperatures if finer[0] is None else finer[0]
        rates = rates if finer[1] is None else finer[1]
    return _averaged(listed, offsets, confusion, parts, weights, (temperatures, rates))


def _split(listed: Shortlist, offsets: np.ndarray, confusion: np.ndarray, temperature: float) -> tuple[np.ndarray, ...]:
    """(probability of the given class, that of the given label were it wrong), each (N,)."""
    mine, wrong = np.empty(len(listed)), np.empty(len(listed))
    for start in range(0, len(listed), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        tempered = _tempered(listed, offsets, part, temperature)
        mine[part], wrong[part] = tempered[:, 0], (tempered[:, 1:] * confusion[part]).sum(axis=1)
    return mine, wrong


def _tempered(listed: Shortlist, offsets: np.ndarray, part: slice, temperature: float) -> np.ndarray:
    scaled = listed.log_probability[part].astype(float) / temperature + offsets[part]
    scaled[:, -1] += np.log(listed.rest) if listed.rest else -np.inf
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


def _weights(parts: list[tuple[np.ndarray, ...]], temperatures: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """The posterior on the grid (temperatures, rates), sums to 1."""
    e = expit(rates)
    likelihood = [[np.log((1 - rate) * mine + rate * wrong + _TINY).sum() for rate in e] for mine, wrong in parts]
    mean, deviation = LOG_TEMPERATURE
    a, b = NOISE_PRIOR
    log_prior = -(((temperatures - mean) / deviation) ** 2)[:, None] / 2
    log_prior = log_prior + a * np.log(e) + b * np.log1p(-e)  # one power each more than Beta's: the grid is in log-odds
    posterior = np.asarray(likelihood) + log_prior
    posterior = np.exp(posterior - posterior.max())
    return posterior / posterior.sum()


def _finer(nodes: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Nodes over where the weight lies; None where that is already most of their range."""
    mean = float(weights @ nodes)
    deviation = float(np.sqrt(weights @ (nodes - mean) ** 2))
    half = max(WIDE * deviation, 1.5 * (nodes[1] - nodes[0]))
    low, high = max(nodes[0], mean - half), min(nodes[-1], mean + half)
    return None if high - low > 0.7 * (nodes[-1] - nodes[0]) else np.linspace(low, high, NODES)


def _averaged(
    listed: Shortlist,
    offsets: np.ndarray,
    confusion: np.ndarray,
    parts: list[tuple[np.ndarray, ...]],
    weights: np.ndarray,
    nodes: tuple[np.ndarray, np.ndarray],
) -> LabelPosterior:
    temperatures, rates = nodes
    right, low, high = (np.empty(len(listed)) for _ in range(3))
    mean_temperature = float(np.exp(weights.sum(axis=1) @ temperatures))
    other = np.empty(confusion.shape, dtype=np.float32)
    for start in range(0, len(listed), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        ratios = [np.log(mine[part] + _TINY) - np.log(wrong[part] + _TINY) for mine, wrong in parts]
        odds = np.stack(ratios, axis=1)[:, :, None] - rates
        odds = odds.reshape(len(odds), -1)
        right[part] = expit(odds) @ weights.ravel()
        low[part], high[part] = expit(_quantiles(odds, weights.ravel(), TAILS))
        likely = _tempered(listed, offsets, part, mean_temperature)[:, 1:] * confusion[part]
        other[part] = likely / np.maximum(likely.sum(axis=1, keepdims=True), _TINY) * (1 - right[part, None])
    by_rate = weights.sum(axis=0)
    bounds = expit(_quantiles(rates[None], by_rate, TAILS))[:, 0]
    return LabelPosterior(right, low, high, other, mean_temperature, float(by_rate @ expit(rates)), *map(float, bounds))


def _quantiles(values: np.ndarray, weights: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Quantiles of each row of ``values`` (n, m), all with ``weights`` (m,); (shares, n)."""
    order = values.argsort(axis=1)
    below = weights[order].cumsum(axis=1)
    found = [(below < share).sum(axis=1).clip(0, values.shape[1] - 1) for share in shares]
    return np.stack([np.take_along_axis(values, order, axis=1)[np.arange(len(values)), at] for at in found])
