"""How far the tournament's probabilities are to be believed: one power, fitted to what people settled.

Luce's choice says which label a voter would choose, not how probable it is that the label is right: many judges who are each
a little surer than not make a sure case together. One power of the probabilities, which is a temperature of the strengths
(Guo et al., arXiv 1706.04599), is fitted where people have settled enough samples to tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.critic.candidates import Candidates
from analysis.critic.tournament import Standings, places_of, rows_of
from data.verdicts import Verdicts

FEWEST_SETTLED = 50
LOWEST, HIGHEST = 0.25, 8.0
LEAST_P = 1e-6


@dataclass(frozen=True)
class Sharpness:
    """The ``power`` to raise probabilities to, and the number of settled samples ``n`` that it was fitted to, 0 for none."""

    power: float = 1.0
    n: int = 0


def fitted_sharpness(candidates: Candidates, standings: Standings, verdicts: Verdicts) -> Sharpness:
    """The power under which people's labels are likeliest; 1 where fewer than FEWEST_SETTLED samples can tell.

    Samples count that judges answered about and whose label, by people, is among the candidates.
    """
    row = rows_of(candidates, verdicts.ids)
    place = places_of(candidates, row, verdicts.labels)
    told = (place >= 0) & (standings.rounds[row] > 0)
    p, place = np.maximum(standings.p[row[told]], LEAST_P) * (standings.p[row[told]] > 0), place[told]
    if len(p) < FEWEST_SETTLED:
        return Sharpness()

    def surprise(log_power: float) -> float:
        raised = p ** np.exp(log_power)
        return -np.log(raised[np.arange(len(p)), place] / raised.sum(axis=1)).sum()

    found = minimize_scalar(surprise, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return Sharpness(float(np.exp(found.x)), len(p))


def sharpened(standings: Standings, sharpness: Sharpness) -> Standings:
    """The same ranking with the probabilities raised to the power, rows summing to 1."""
    raised = standings.p**sharpness.power
    return replace(standings, p=raised / raised.sum(axis=1, keepdims=True))
