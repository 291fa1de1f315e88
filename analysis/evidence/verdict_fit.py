"""What people's verdicts change: the weights that planted errors gave are the prior, and verdicts move them.

With no verdict the prior stands; with few it bends; with many it is forgotten. The prior lets all weights grow or shrink
together much more easily than one against another: equal trust is hard to beat until much is known (Dawes 1979,
doi 10.1037/0003-066X.34.7.571), and real errors are harder than planted ones for all sources alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from analysis.evidence.planted import Pool, fit_towards
from analysis.evidence.prior import with_rate
from analysis.probes.folds import spread_over_folds

INTERCEPT_MOVES, COMMON_MOVES, SINGLE_MOVES = 2.0, 0.5, 0.05
"""Standard deviations of the prior: of the intercept, of the weight that all sources share, of each one's own."""
DRAWS = 200


@dataclass(frozen=True)
class Combination:
    """``intercept`` + scaled log-odds (n, K) @ ``weights`` (K,) is the log-odds that the given label is wrong.

    ``covariance`` (K + 1, K + 1) says how sure intercept and weights are; None where no verdict was used.
    """

    intercept: float
    weights: np.ndarray
    covariance: np.ndarray | None = None

    def __call__(self, scaled: np.ndarray) -> np.ndarray:
        return self.intercept + scaled @ self.weights

    def shares(self, scaled: np.ndarray) -> np.ndarray:
        """Each source's share of the log-odds, (n, K): its Shapley value for a linear model whose features are independent
        (Lundberg and Lee, arXiv 1705.07874). They sum to the log-odds less ``intercept``, the log-odds of a sample against
        which every source says as much as on average."""
        return scaled * self.weights

    def rescaled(self, platt: Platt) -> Combination:
        """The same after Platt's calibration."""
        covariance = None if self.covariance is None else platt.slope**2 * self.covariance
        return Combination(platt.intercept + platt.slope * self.intercept, platt.slope * self.weights, covariance)


@dataclass(frozen=True)
class Platt:
    """Calibrated log-odds are ``intercept`` + ``slope`` * log-odds (Platt 1999), ``slope`` >= 0."""

    intercept: float = 0.0
    slope: float = 1.0


def from_planted(pool: Pool, rate: float) -> Combination:
    """What planted errors taught, where the share ``rate`` of labels is wrong."""
    return Combination(float(with_rate(np.array(pool.intercept), rate)), pool.weight * pool.slopes)


def learn_from_verdicts(prior: Combination, pool: Pool, scaled: np.ndarray, wrong: np.ndarray) -> Combination:
    """``prior`` moved by verdicts on samples of scaled log-odds (n, K), ``wrong`` bool (n,)."""
    precision = _precision(pool)
    centre = np.r_[prior.intercept, prior.weights]
    found = fit_towards(centre, precision, scaled, wrong.astype(float))
    inputs = np.column_stack([np.ones(len(scaled)), scaled])
    p = expit(inputs @ found)
    information = precision + (inputs * (p * (1 - p))[:, None]).T @ inputs
    return Combination(float(found[0]), found[1:], np.linalg.inv(information))


def calibrated(prior: Combination, pool: Pool, scaled: np.ndarray, wrong: np.ndarray, folds: int, seed: int) -> Combination:
    """The same with Platt's calibration learnt on the log-odds of verdicts that the weights had not seen."""
    held_out = _out_of_fold(prior, pool, scaled, wrong, folds, seed)
    return learn_from_verdicts(prior, pool, scaled, wrong).rescaled(fit_platt(held_out, wrong))


def cross_validated_log_odds(
    prior: Combination, pool: Pool, scaled: np.ndarray, wrong: np.ndarray, folds: int, seed: int = 0
) -> np.ndarray:
    """Log-odds (n,) of each verdict's sample from weights and calibration that had not seen that verdict."""
    found = np.empty(len(wrong))
    fold_of = spread_over_folds(wrong.astype(np.int64), folds, seed)
    for fold in range(folds):
        out = fold_of == fold
        found[out] = calibrated(prior, pool, scaled[~out], wrong[~out], folds, seed)(scaled[out])
    return found


def fit_platt(log_odds: np.ndarray, wrong: np.ndarray) -> Platt:
    """Platt's calibration with his targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), which keep it from certainty."""
    positive, negative = int(wrong.sum()), int((~wrong).sum())
    targets = np.where(wrong, (positive + 1) / (positive + 2), 1 / (negative + 2))
    intercept, slope = fit_towards(np.array([0.0, 1.0]), np.zeros((2, 2)), log_odds[:, None], targets)
    return Platt(float(intercept), float(slope))


def expected_errors(combination: Combination, scaled: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """The expected number of errors among samples of scaled log-odds (n, K), and its 95 % interval by drawing the weights
    from their Gaussian (Laplace's approximation)."""
    centre = np.r_[combination.intercept, combination.weights]
    drawn = rng.multivariate_normal(centre, combination.covariance, DRAWS, method="eigh")
    counts = [expit(row[0] + scaled @ np.maximum(row[1:], 0)).sum() for row in drawn]
    low, high = np.quantile(counts, [0.025, 0.975])
    return float(expit(combination(scaled)).sum()), float(low), float(high)


def _out_of_fold(prior: Combination, pool: Pool, scaled: np.ndarray, wrong: np.ndarray, folds: int, seed: int) -> np.ndarray:
    found = np.empty(len(wrong))
    fold_of = spread_over_folds(wrong.astype(np.int64), folds, seed)
    for fold in range(folds):
        out = fold_of == fold
        found[out] = learn_from_verdicts(prior, pool, scaled[~out], wrong[~out])(scaled[out])
    return found


def _precision(pool: Pool) -> np.ndarray:
    """Weights are slope * (common + own): what the prior's moves mean for them."""
    # A source that knows nothing of planted errors has slope 0; verdicts may still find a use for it.
    slopes = np.maximum(pool.slopes, 1e-2 * max(pool.slopes.max(), 1e-6))
    covariance = COMMON_MOVES**2 * np.outer(slopes, slopes) + np.diag((SINGLE_MOVES * slopes) ** 2)
    precision = np.zeros((len(slopes) + 1, len(slopes) + 1))
    precision[0, 0], precision[1:, 1:] = INTERCEPT_MOVES**-2, np.linalg.inv(covariance)
    return precision
