"""Item response models, against a brute-force maximum, simulated truths and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, norm

from analysis.answers.irt import Answered, fit
from analysis.context import Cancelled, Context


def simulated(n: int, slope: np.ndarray, intercept: np.ndarray, seed: int = 0) -> tuple[Answered, np.ndarray]:
    rng = np.random.default_rng(seed)
    difficulty = rng.standard_normal(n)
    right = rng.random((n, len(slope))) < expit(intercept - slope * difficulty[:, None])
    return Answered(right.astype(np.uint8), np.ones_like(right, dtype=np.uint8)), difficulty


def brute_force(answered: Answered, shared: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(slopes, intercepts, difficulties) by a general optimiser on the marginal posterior, by Gauss-Hermite's nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    respondents = answered.right.shape[1]

    def likelihood(parameters: np.ndarray) -> np.ndarray:
        slope, intercept = np.exp(parameters[:-respondents]), parameters[-respondents:]
        p = expit(intercept[:, None] - slope[:, None] * nodes)
        one = np.where(answered.right[:, :, None] > 0, p, 1 - p)
        return np.where(answered.asked[:, :, None] > 0, one, 1.0).prod(axis=1) * weights

    def objective(parameters: np.ndarray) -> float:
        prior = (parameters[:-respondents] ** 2).sum() / 2 + (parameters[-respondents:] ** 2).sum() / 18
        return prior - np.log(likelihood(parameters).sum(axis=1)).sum()

    best = minimize(objective, np.zeros((1 if shared else respondents) + respondents), tol=1e-10).x
    posterior = likelihood(best)
    slope = np.exp(best[:-respondents]) * np.ones(respondents)
    return slope, best[-respondents:], posterior @ nodes / posterior.sum(axis=1)


@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_fit__reaches_the_brute_force_maximum(model):
    answered, _ = simulated(400, np.array([0.6, 1.0, 1.5, 2.0]), np.array([-0.5, 0.3, 1.0, 2.0]))
    answered.asked[::7, 2] = answered.right[::7, 2] = 0
    slope, intercept, difficulty = brute_force(answered, model == "1PL")
    found = fit(answered, model)
    assert found.converged
    np.testing.assert_allclose(found.slope, slope, rtol=0.02)
    np.testing.assert_allclose(found.intercept, intercept, atol=0.02)
    np.testing.assert_allclose(found.difficulty, difficulty, atol=0.02)


def test_fit__recovers_what_was_simulated():
    slope, intercept = np.linspace(0.5, 2, 20), np.linspace(-1, 2, 20)
    answered, difficulty = simulated(4_000, slope, intercept)
    found = fit(answered, "2PL")
    assert np.abs((found.slope - slope) / found.slope_error).max() < 4
    assert np.abs((found.intercept - intercept) / found.intercept_error).max() < 4
    assert np.sqrt((((found.slope - slope) / found.slope_error) ** 2).mean()) == pytest.approx(1, abs=0.45)
    assert np.corrcoef(found.difficulty, difficulty)[0, 1] > 0.85
    covered = np.abs(found.difficulty - difficulty) < 1.96 * found.difficulty_error
    assert covered.mean() == pytest.approx(0.95, abs=0.02)


def test_fit__one_slope_orders_samples_by_answers_right():
    answered, _ = simulated(500, np.full(8, 1.2), np.linspace(-1, 1, 8), seed=3)
    found, right = fit(answered, "1PL"), answered.right.sum(axis=1)
    assert len(set(found.slope)) == 1
    by_count = [found.difficulty[right == k] for k in range(9) if (right == k).any()]
    assert all(np.ptp(some) < 1e-9 for some in by_count), "the number right is all that counts (Rasch)"
    assert (np.diff([some[0] for some in by_count]) < 0).all()


def test_fit__counts_equal_a_numerical_integral():
    rng = np.random.default_rng(2)
    right = rng.binomial(30, expit(1.5 - 1.4 * rng.standard_normal(3_000)))[:, None]
    found = fit(Answered(right, np.full_like(right, 30)), "1PL")
    assert found.slope[0] == pytest.approx(1.4, abs=4 * found.slope_error[0])
    assert found.intercept[0] == pytest.approx(1.5, abs=4 * found.intercept_error[0])

    def weighed(b: float, k: int, power: int) -> float:
        return norm.pdf(b) * binom.pmf(k, 30, expit(found.intercept[0] - found.slope[0] * b)) * b**power

    for k in (0, 7, 30):
        total, first, second = (quad(weighed, -9, 9, (k, power))[0] for power in range(3))
        i = int(np.flatnonzero(right[:, 0] == k)[0])
        assert found.difficulty[i] == pytest.approx(first / total, abs=1e-3)
        assert found.difficulty_error[i] == pytest.approx(np.sqrt(second / total - (first / total) ** 2), abs=2e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6), st.sampled_from(["1PL", "2PL"]))
def test_fit__never_gets_worse(seed, n, respondents, model):
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, 4, (n, respondents))
    found = fit(Answered(rng.binomial(asked, rng.random()), asked), model, most_rounds=30)
    steps = np.diff(found.objective)
    assert (steps >= -1e-8 * (1 + np.abs(found.objective[-1]))).all()
    assert np.isfinite(found.difficulty).all() and (found.difficulty_error <= 1 + 1e-9).all()


def test_fit__nobody_asked_is_nothing_known():
    found = fit(Answered(np.zeros((3, 2), int), np.zeros((3, 2), int)), "1PL")
    np.testing.assert_allclose(found.difficulty, 0, atol=1e-12)
    np.testing.assert_allclose(found.difficulty_error, 1, atol=1e-3)
    assert (found.intercept_error > 2.9).all(), "the prior's own spread"


def test_fit__always_right_stays_finite():
    found = fit(Answered(np.ones((50, 4), int), np.ones((50, 4), int)), "2PL")
    assert np.isfinite(found.intercept).all() and (found.intercept > 1).all()


def test_fit__stops_where_told():
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fit(Answered(np.ones((5, 2), int), np.ones((5, 2), int)), "1PL", Context(report=stop))
