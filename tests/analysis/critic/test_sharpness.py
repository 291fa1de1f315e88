from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.sharpness import FEWEST_SETTLED, Sharpness, fitted_sharpness, sharpened
from analysis.critic.tournament import Standings
from data.verdicts import NO_VERDICTS, Verdicts


def drawn(n: int, power: float, seed: int = 0) -> tuple[Candidates, Standings, Verdicts]:
    """Two candidates each, whose stated probabilities are the true ones to the power 1 / ``power``."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.05, 0.95, n)
    stated = true ** (1 / power)
    stated = stated / (stated + (1 - true) ** (1 / power))
    labels = np.where(rng.random(n) < true, 0, 1)
    classes = np.tile([0, 1, NO_CLASS], (n, 1))
    p = np.stack([stated, 1 - stated, np.zeros(n)], axis=1)
    candidates = Candidates(np.arange(n), classes, p.astype(np.float32), np.full(classes.shape, "", object))
    return candidates, Standings(p, np.zeros(n, bool), np.ones(n)), Verdicts(np.arange(n), labels)


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_fitted_sharpness__equals_a_logistic_regression_on_the_strengths(power):
    candidates, standings, verdicts = drawn(4_000, power)
    odds = np.log(standings.p[:, 0] / standings.p[:, 1])[:, None]
    oracle = LogisticRegression(C=np.inf, fit_intercept=False).fit(odds, verdicts.labels == 0).coef_[0, 0]
    found = fitted_sharpness(candidates, standings, verdicts)
    assert found.power == pytest.approx(oracle, rel=1e-3) and found.n == 4_000
    assert found.power == pytest.approx(power, rel=0.1)


def test_fitted_sharpness__too_few_to_tell():
    assert fitted_sharpness(*drawn(FEWEST_SETTLED - 1, 3.0)) == Sharpness()
    candidates, standings, _ = drawn(100, 3.0)
    assert fitted_sharpness(candidates, standings, NO_VERDICTS) == Sharpness()
    unheard = Standings(standings.p, standings.cycle, np.zeros(100))
    assert fitted_sharpness(candidates, unheard, Verdicts(np.arange(100), np.zeros(100, int))) == Sharpness()


def test_fitted_sharpness__stays_in_its_bounds_where_people_always_agree():
    candidates, standings, _ = drawn(200, 1.0)
    agreed = Verdicts(np.arange(200), standings.p.argmax(axis=1))
    assert fitted_sharpness(candidates, standings, agreed).power == pytest.approx(8.0, rel=0.01)


def test_sharpened__same_ranking_and_sums():
    _, standings, _ = drawn(50, 1.0)
    found = sharpened(standings, Sharpness(2.5, 50))
    np.testing.assert_array_equal(found.best, standings.best)
    np.testing.assert_allclose(found.p.sum(axis=1), 1)
    assert (found.p[:, 2] == 0).all() and (found.p.max(axis=1) >= standings.p.max(axis=1) - 1e-12).all()
