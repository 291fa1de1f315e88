"""Glicko-2: ratings from games, with how sure each rating is.

Mark E. Glickman, "Example of the Glicko-2 system" (glicko.net/glicko/glicko2.pdf); used on problems as players, as in
Easy2Hard-Bench (arXiv 2409.18433), where a solver who gets a problem right has won a game against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.context import Context

SCALE = 173.7178
START_RATING, START_DEVIATION, START_VOLATILITY = 1500.0, 350.0, 0.06
TAU = 0.5
_CONVERGED = 1e-6
_MOST_STEPS = 200


@dataclass(frozen=True)
class Ratings:
    """Players (n,) float64 on Glicko's own scale: ``rating``, its ``deviation`` (one standard error) and ``volatility``."""

    rating: np.ndarray
    deviation: np.ndarray
    volatility: np.ndarray

    @property
    def _mu(self) -> np.ndarray:
        return (self.rating - START_RATING) / SCALE

    @property
    def _phi(self) -> np.ndarray:
        return self.deviation / SCALE

    def take(self, ids: np.ndarray) -> Ratings:
        """The players ``ids`` int64 or bool, in that order."""
        return Ratings(self.rating[ids], self.deviation[ids], self.volatility[ids])

    def weighed_against(self, other: Ratings) -> tuple[np.ndarray, np.ndarray]:
        """(g, E): how far each opponent's rating counts, and the expected score against it, elementwise (step 3)."""
        g = 1 / np.sqrt(1 + 3 * other._phi**2 / np.pi**2)
        return g, 1 / (1 + np.exp(-g * (self._mu - other._mu)))

    def after(self, information: np.ndarray, surplus: np.ndarray, tau: float = TAU) -> Ratings:
        """The ratings after one rating period (steps 4 to 8), from sums over each player's games, both (n,).

        ``information`` sums g² E (1 - E), ``surplus`` g (score - E); a player without games has both 0. ``tau`` limits how
        far the volatility changes.
        """
        played = information > 0
        variance = np.divide(1.0, information, out=np.full_like(information, np.inf), where=played)
        volatility = self.volatility.copy()
        improvement = variance[played] * surplus[played]
        volatility[played] = _volatility(self.take(played), variance[played], improvement, tau)
        before = self._phi**2 + volatility**2
        phi = 1 / np.sqrt(1 / before + information)
        return Ratings(self.rating + SCALE * phi**2 * surplus, SCALE * phi, volatility)


def start(n: int) -> Ratings:
    """``n`` players of whom nothing is known."""
    return Ratings(np.full(n, START_RATING), np.full(n, START_DEVIATION), np.full(n, START_VOLATILITY))


def samples_against(
    right: Iterable[np.ndarray], n: int, respondents: int, a_period: int, context: Context, tau: float = TAU
) -> tuple[Ratings, Ratings]:
    """Ratings of ``n`` samples and of ``respondents``, each of whom plays every sample once and wins by being right.

    ``right`` yields one bool (n,) a respondent. A rating period holds the games of ``a_period`` respondents, all played
    from the ratings before it, as Glickman has it; so ratings depend on the respondents' order, if little.
    Holds a few vectors of length n, no n x respondents array.
    """
    samples, people = start(n), start(respondents)
    information, surplus = np.zeros(n), np.zeros(n)
    own_information, own_surplus = np.zeros(respondents), np.zeros(respondents)
    for j, won in enumerate(context.track(right, respondents, "Rating samples by the answers they get")):
        one = people.take(np.array([j]))
        g, expected = one.weighed_against(samples)
        own_information[j] = (g**2 * expected * (1 - expected)).sum()
        own_surplus[j] = (g * (won - expected)).sum()
        g, expected = samples.weighed_against(one)
        information += g**2 * expected * (1 - expected)
        surplus += g * (~won - expected)
        if (j + 1) % a_period == 0 or j + 1 == respondents:
            samples, people = samples.after(information, surplus, tau), people.after(own_information, own_surplus, tau)
            for sums in (information, surplus, own_information, own_surplus):
                sums[:] = 0
    return samples, people


def _volatility(players: Ratings, variance: np.ndarray, improvement: np.ndarray, tau: float) -> np.ndarray:
    """Step 5: the root of Glickman's f by the Illinois algorithm, for all players at once, (n,)."""
    a, square, phi2 = np.log(players.volatility**2), improvement**2, players._phi**2

    def f(x: np.ndarray) -> np.ndarray:
        spread = phi2 + variance + np.exp(x)
        return np.exp(x) * (square - spread) / (2 * spread**2) - (x - a) / tau**2

    excess = square - phi2 - variance
    lower, upper = a.copy(), np.log(np.where(excess > 0, excess, 1.0))
    steps = np.ones_like(a)
    below = (excess <= 0) & (f(a - steps * tau) < 0)
    while below.any():
        steps[below] += 1
        below = (excess <= 0) & (f(a - steps * tau) < 0)
    upper = np.where(excess > 0, upper, a - steps * tau)
    f_lower, f_upper = f(lower), f(upper)
    for _ in range(_MOST_STEPS):
        open_still = np.abs(upper - lower) > _CONVERGED
        if not open_still.any():
            break
        middle = lower + (lower - upper) * f_lower / np.where(f_upper == f_lower, 1.0, f_upper - f_lower)
        f_middle = f(middle)
        crossed = f_middle * f_upper <= 0
        lower = np.where(open_still & crossed, upper, lower)
        f_lower = np.where(open_still, np.where(crossed, f_upper, f_lower / 2), f_lower)
        upper, f_upper = np.where(open_still, middle, upper), np.where(open_still, f_middle, f_upper)
    return np.exp(lower / 2)
