"""How alike the images of one class are, and how far from real ones: the statistics behind ``analysis.diversity``.

All take unit rows, float32 (n, D), as ``analysis.neighbours.unit_rows`` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

ROWS_A_CHUNK = 4_096
NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where nothing can be said. ``error`` is the standard error."""

    value: float = NAN
    low: float = NAN
    high: float = NAN
    error: float = NAN


def mean_similarity(unit: np.ndarray) -> tuple[Estimate, np.ndarray]:
    """Mean cosine over all pairs of rows, and each row's mean cosine to the others, float64 (n,).

    S = (|Σz|² - Σ|z|²) / (n (n - 1)): all pairs at the cost of one sum. The error is the jackknife's over rows, the interval
    Student's; both need n >= 3, the value n >= 2.
    """
    n = len(unit)
    if n < 2:
        return Estimate(), np.full(n, NAN)
    total = unit.sum(axis=0, dtype=np.float64)
    to_total, squares = _rowwise(unit, total)
    sum_of_pairs = total @ total - squares.sum()
    own = to_total - squares  # each row's summed cosine to the others
    value = float(sum_of_pairs / (n * (n - 1)))
    if n == 2:
        return Estimate(value), own / (n - 1)
    left_out = (sum_of_pairs - 2 * own) / ((n - 1) * (n - 2))
    error = float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
    margin = float(stats.t.ppf(0.975, n - 1)) * error
    return Estimate(value, value - margin, value + margin, error), own / (n - 1)


def draw(m: int, n: int, times: int, rng: np.random.Generator) -> np.ndarray:
    """``times`` random choices of ``n`` out of ``m`` without repetition, as 0/1 rows, float64 (times, m)."""
    chosen = np.argsort(rng.random((times, m)), axis=1)[:, :n]
    rows = np.zeros((times, m))
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows


def similarity_of_draws(unit: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mean pairwise cosine within each draw of n rows, float64 (times,)."""
    n = draws[0].sum()
    sums = draws.astype(np.float32) @ unit
    squares = draws @ _rowwise(unit, np.zeros(unit.shape[1]))[1]
    return ((sums.astype(np.float64) ** 2).sum(axis=1) - squares) / (n * (n - 1))


def bandwidth(unit: np.ndarray) -> float:
    """Median distance over pairs of rows (the median heuristic); NaN for fewer than two rows or where it is 0."""
    if len(unit) < 2:
        return NAN
    above = np.triu_indices(len(unit), k=1)
    median = float(np.sqrt(np.median(_squared_distances(unit, unit)[above])))
    return median if median > 1e-6 else NAN


def kernel(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """exp(-|x - y|² / (2 width²)), float64 (len(a), len(b))."""
    return np.exp(-_squared_distances(a, b) / (2 * width**2))


def mmd2(samples: np.ndarray, reference: np.ndarray, width: float) -> float:
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, JMLR 13, Lemma 6), a U-statistic.

    It is 0 on average where both come from one distribution, and may then be negative. NaN for fewer than two rows a side.
    """
    if len(samples) < 2 or len(reference) < 2 or not np.isfinite(width):
        return NAN
    within = _mean_of_pairs(kernel(samples, samples, width)) + _mean_of_pairs(kernel(reference, reference, width))
    return float(within - 2 * kernel(samples, reference, width).mean())


def mmd2_of_draws(gram: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """``mmd2`` of each draw of n rows against the m - n others, from the kernel matrix (m, m); float64 (times,)."""
    m, n = len(gram), draws[0].sum()
    rest, diagonal = 1 - draws, np.diag(gram)
    products = draws @ gram
    inside = (products * draws).sum(axis=1)
    across = (products * rest).sum(axis=1)
    outside = gram.sum() - inside - 2 * across
    return (
        (inside - draws @ diagonal) / (n * (n - 1))
        + (outside - rest @ diagonal) / ((m - n) * (m - n - 1))
        - 2 * across / (n * (m - n))
    )


def range_of(values: np.ndarray) -> Estimate:
    """Mean of ``values`` and the range that holds the middle 95 % of them; NaN where there are none."""
    if not len(values):
        return Estimate()
    low, high = np.quantile(values, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high), float(values.std(ddof=1)))


def _rowwise(unit: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(each row times ``total``, each row's squared length), in float64 without a float64 copy of all rows."""
    to_total, squares = np.empty(len(unit)), np.empty(len(unit))
    for start in range(0, len(unit), ROWS_A_CHUNK):
        rows = slice(start, start + ROWS_A_CHUNK)
        part = unit[rows].astype(np.float64)
        to_total[rows], squares[rows] = part @ total, (part**2).sum(axis=1)
    return to_total, squares


def _mean_of_pairs(gram: np.ndarray) -> float:
    n = len(gram)
    return (gram.sum() - np.trace(gram)) / (n * (n - 1))


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)
