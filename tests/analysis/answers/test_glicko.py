"""Glicko-2, against the example in Glickman's own paper and a plain loop over one player."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from analysis.answers.glicko import SCALE, Ratings, samples_against, start
from analysis.context import Context

# "Example of the Glicko-2 system", page 4: a player of 1500 (RD 200, volatility 0.06) beats 1400 (RD 30), loses to 1550
# (RD 100) and to 1700 (RD 300), with tau = 0.5.
PLAYER = Ratings(np.array([1500.0]), np.array([200.0]), np.array([0.06]))
OPPONENTS = Ratings(np.array([1400.0, 1550.0, 1700.0]), np.array([30.0, 100.0, 300.0]), np.full(3, 0.06))
SCORES = np.array([1.0, 0.0, 0.0])


def after_games(player: Ratings, opponents: Ratings, scores: np.ndarray, tau: float) -> Ratings:
    g, expected = player.weighed_against(opponents)
    information = np.array([(g**2 * expected * (1 - expected)).sum()])
    return player.after(information, np.array([(g * (scores - expected)).sum()]), tau)


def by_hand(player: tuple[float, float, float], opponents: list[tuple[float, float]], scores: list[float], tau: float):
    """The paper's steps one after the other in plain floats, its step 5 solved by scipy instead."""
    mu, phi, sigma = (player[0] - 1500) / SCALE, player[1] / SCALE, player[2]
    others = [((r - 1500) / SCALE, rd / SCALE) for r, rd in opponents]
    g = [1 / math.sqrt(1 + 3 * p**2 / math.pi**2) for _, p in others]
    e = [1 / (1 + math.exp(-w * (mu - m))) for w, (m, _) in zip(g, others, strict=True)]
    v = 1 / sum(w**2 * x * (1 - x) for w, x in zip(g, e, strict=True))
    total = sum(w * (s - x) for w, s, x in zip(g, scores, e, strict=True))
    delta, a = v * total, math.log(sigma**2)

    def f(x: float) -> float:
        return math.exp(x) * (delta**2 - phi**2 - v - math.exp(x)) / (2 * (phi**2 + v + math.exp(x)) ** 2) - (x - a) / tau**2

    sigma = math.exp(brentq(f, a - 60, a + 60, xtol=1e-13) / 2)
    phi = 1 / math.sqrt(1 / (phi**2 + sigma**2) + 1 / v)
    return 1500 + SCALE * (mu + phi**2 * total), SCALE * phi, sigma


def test_weighed_against__glickmans_table():
    g, expected = PLAYER.weighed_against(OPPONENTS)
    assert g == pytest.approx([0.9955, 0.9531, 0.7242], abs=5e-5)
    assert expected == pytest.approx([0.639, 0.432, 0.303], abs=5e-4)
    assert 1 / (g**2 * expected * (1 - expected)).sum() == pytest.approx(1.7785, abs=6e-4), "v, from rounded g and E there"


def test_after__glickmans_example():
    found = after_games(PLAYER, OPPONENTS, SCORES, tau=0.5)
    # The paper prints 1464.06 and 151.52 from values rounded on the way; unrounded it is 1464.05 and 151.52.
    assert found.rating[0] == pytest.approx(1464.06, abs=0.011)
    assert found.deviation[0] == pytest.approx(151.52, abs=0.005)
    assert found.volatility[0] == pytest.approx(0.05999, abs=1e-5)


@given(
    st.floats(500, 2500), st.floats(20, 350), st.floats(0.02, 0.3), st.sampled_from([0.3, 0.5, 1.2]),
    st.lists(st.tuples(st.floats(500, 2500), st.floats(20, 350), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=20),
)  # fmt: skip
def test_after__equals_the_steps_by_hand(rating, deviation, volatility, tau, games):
    player = Ratings(np.array([rating]), np.array([deviation]), np.array([volatility]))
    others = np.array([game[:2] for game in games])
    scores = np.array([game[2] for game in games])
    found = after_games(player, Ratings(others[:, 0], others[:, 1], np.full(len(games), 0.06)), scores, tau)
    expected = by_hand((rating, deviation, volatility), [game[:2] for game in games], scores.tolist(), tau)
    assert (found.rating[0], found.deviation[0], found.volatility[0]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_after__without_games_only_the_deviation_grows():
    found = PLAYER.after(np.zeros(1), np.zeros(1))
    assert found.rating[0] == pytest.approx(1500) and found.volatility[0] == 0.06
    assert found.deviation[0] == pytest.approx(math.hypot(200, SCALE * 0.06)), "the paper's step 6 alone"


def test_after__players_do_not_touch_each_other():
    two = Ratings(np.array([1500.0, 1800.0]), np.array([200.0, 60.0]), np.array([0.06, 0.2]))
    sums = np.array([0.5, 0.2]), np.array([-0.7, 3.0])
    both = two.after(*sums)
    alone = [two.take(np.array([i])).after(sums[0][[i]], sums[1][[i]]) for i in range(2)]
    assert both.rating.tolist() == pytest.approx([one.rating[0] for one in alone], rel=1e-7)
    assert both.volatility.tolist() == pytest.approx([one.volatility[0] for one in alone], rel=1e-6)


def test_samples_against__equals_games_played_one_by_one():
    right = np.random.default_rng(0).random((4, 5)) < 0.6
    samples, people = samples_against(iter(right), 5, 4, 2, Context())
    new = 1500.0, 350.0, 0.06
    rated, answered = [new] * 5, [new] * 4
    for period in ([0, 1], [2, 3]):
        before_samples, before_people = list(rated), list(answered)
        for i in range(5):
            opponents = [before_people[j][:2] for j in period]
            rated[i] = by_hand(before_samples[i], opponents, [float(not right[j, i]) for j in period], 0.5)
        for j in period:
            opponents = [before_samples[i][:2] for i in range(5)]
            answered[j] = by_hand(before_people[j], opponents, right[j].astype(float).tolist(), 0.5)
        for j in {0, 1, 2, 3} - set(period):
            rating, deviation, volatility = before_people[j]
            answered[j] = rating, math.hypot(deviation, SCALE * volatility), volatility
    assert samples.rating.tolist() == pytest.approx([r[0] for r in rated], rel=1e-5)
    assert samples.deviation.tolist() == pytest.approx([r[1] for r in rated], rel=1e-5)
    assert people.rating.tolist() == pytest.approx([r[0] for r in answered], rel=1e-5)


def test_samples_against__what_everyone_gets_right_is_easy():
    rng = np.random.default_rng(1)
    difficulty, ability = rng.normal(size=300), rng.normal(size=20)
    right = rng.random((20, 300)) < 1 / (1 + np.exp(difficulty - ability[:, None]))
    samples, people = samples_against(iter(right), 300, 20, 10, Context())
    assert np.corrcoef(samples.rating, difficulty)[0, 1] > 0.85
    assert np.corrcoef(people.rating, ability)[0, 1] > 0.95
    assert (samples.deviation < start(1).deviation[0] / 2).all()
