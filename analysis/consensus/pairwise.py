"""How far annotators agree beyond chance: Cohen's kappa of each pair, Krippendorff's alpha of all of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.consensus.votes import Votes
from analysis.findings import Figure
from analysis.intervals import ratio

MOST_ANNOTATORS = 40
"""Pairs are made of those with the most answers: 780 of them at most."""
RESAMPLES = 400
RESAMPLED_AT_ONCE = 4_000_000
NORMAL = 1.959964


def kappas(votes: Votes) -> pd.DataFrame:
    """Cohen's kappa (doi 10.1177/001316446002000104) of each pair of annotators with samples in common, by name.

    ``kappa_low`` and ``kappa_high`` are kappa -/+ 1.96 standard errors by Cohen's large-sample formula, cut at -1 and 1; NaN
    with the kappa where both always name one and the same class, so that chance alone explains all agreement.
    """
    own = _own(votes)
    busiest = sorted(np.argsort([-len(samples) for samples, _ in own], kind="stable")[:MOST_ANNOTATORS].tolist())
    rows = []
    for one, other in combinations(busiest, 2):
        _, mine, theirs = np.intersect1d(own[one][0], own[other][0], assume_unique=True, return_indices=True)
        if len(mine):
            names = f"{votes.annotators[one]} and {votes.annotators[other]}"
            rows.append((names, len(mine), *kappa(own[one][1][mine], own[other][1][theirs])))
    return pd.DataFrame(rows, columns=["pair", "n", "agreement", "kappa", "kappa_low", "kappa_high"])


def kappa(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float, float]:
    """(agreement, kappa, its low and high end) of two annotators' classes int64 (n,), n >= 1."""
    n, classes = len(one), int(max(one.max(), other.max())) + 1
    agreed = float((one == other).mean())
    chance = float((np.bincount(one, minlength=classes) / n) @ (np.bincount(other, minlength=classes) / n))
    if chance >= 1:
        return agreed, np.nan, np.nan, np.nan
    value = (agreed - chance) / (1 - chance)
    half = NORMAL * np.sqrt(agreed * (1 - agreed) / n) / (1 - chance)
    return agreed, value, max(value - half, -1.0), min(value + half, 1.0)


def alpha(counts: sparse.csr_array) -> float:
    """Krippendorff's alpha for nominal data of ``counts`` (n, C), votes by sample and class: 1 is full agreement, 0 what
    chance gives; any number of annotators, any of them missing anywhere. NaN without overlap, or where only one class is
    ever named. Krippendorff, Content Analysis (2004), ch. 11; for two annotators it is close to Scott's pi."""
    return float(_alphas(counts, np.ones((1, counts.shape[0])))[0])


def alpha_figure(votes: Votes) -> Figure:
    """Alpha with its bootstrap interval over samples."""
    label, counts = "Agreement beyond chance (Krippendorff's alpha)", votes.counts
    several = counts[np.flatnonzero(counts.sum(axis=1) > 1)]
    n = several.shape[0]
    value = alpha(several) if n else np.nan
    if np.isnan(value):
        why = "all answers name one class, so chance alone would agree as much" if n else "no sample has two answers"
        return Figure(label, None, why, n)
    rng, drawn = np.random.default_rng(0), []
    step = max(1, RESAMPLED_AT_ONCE // n)
    for start in range(0, RESAMPLES, step):
        weights = rng.multinomial(n, np.full(n, 1 / n), min(step, RESAMPLES - start))
        drawn.append(_alphas(several, weights.astype(float)))
    drawn = np.concatenate(drawn)
    known = drawn[~np.isnan(drawn)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) and n > 2 else (None, None)
    basis = "samples with at least two answers; interval by resampling them"
    return Figure(label, value, basis, n, "", None if low is None else float(low), None if high is None else float(high))


def _alphas(counts: sparse.csr_array, weights: np.ndarray) -> np.ndarray:
    """Alpha of ``counts`` (n, C) with each sample taken ``weights`` (b, n) times, (b,)."""
    answers = np.asarray(counts.sum(axis=1), dtype=float)
    paired = answers > 1
    same = np.asarray((counts * counts).sum(axis=1), dtype=float)
    differing = np.where(paired, (answers**2 - same) / np.maximum(answers - 1, 1), 0)
    totals = np.asarray((counts.T @ (weights * paired).T).T, dtype=float)
    n = totals.sum(axis=1)
    observed = weights @ differing
    expected = ratio(n**2 - (totals**2).sum(axis=1), n - 1)
    return np.where(n > 1, 1 - ratio(observed, expected), np.nan)


def _own(votes: Votes) -> list[tuple[np.ndarray, np.ndarray]]:
    """(samples, classes) of each annotator's votes that name one class."""
    hard = votes.hard
    order = hard[np.argsort(votes.annotator[hard], kind="stable")]
    ends = np.cumsum(np.bincount(votes.annotator[hard], minlength=len(votes.annotators)))[:-1]
    return list(zip(np.split(votes.sample[order], ends), np.split(votes.label[order], ends), strict=True))
