"""Preferences written down row by row, and those of simulated judges whose accuracy is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.critic.votes import Preferences
from data.verdicts import Verdicts

Row = tuple[int, int, int, str, float, float, float, float]
"""sample, first, second, judge, rounds for the first, for the second, tied, unanswered."""


def preferences_of(rows: Sequence[Row]) -> Preferences:
    sample, first, second, judge, *rounds = zip(*rows, strict=True) if rows else [[]] * 8
    integers = (np.array(values, np.int64) for values in (sample, first, second))
    return Preferences(*integers, np.array(judge, object), *(np.array(values, np.float64) for values in rounds))


def verdicts_of(labels: dict[int, int]) -> Verdicts:
    ids = sorted(labels)
    return Verdicts(np.array(ids, np.int64), np.array([labels[i] for i in ids], np.int64))


def simulated(
    accuracy: dict[str, float], samples: int, seed: int, others: int = 1, spread: float = 0.0
) -> tuple[Preferences, Verdicts]:
    """Judges that prefer people's label with their ``accuracy``, independently of each other, on ``others`` pairs a sample.

    With ``spread`` 1 a judge answers all pairs of one sample alike. Class 5 is always right, 6, 7, ... never.
    """
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for judge, chance in accuracy.items():
        first_hit = rng.random(samples) < chance
        for other in range(others):
            hit = np.where(rng.random(samples) < spread, first_hit, rng.random(samples) < chance)
            rows += [(i, 5, 6 + other, judge, float(h), float(not h), 0.0, 0.0) for i, h in enumerate(hit)]
    return preferences_of(rows), verdicts_of(dict.fromkeys(range(samples), 5))
