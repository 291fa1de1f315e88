"""Samples rated by who gets them right: item response models and Glicko-2, where there are respondents enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from analysis.answers.glicko import samples_against
from analysis.answers.irt import Answered, Fit, fit
from analysis.context import Context

Irt = Literal["1PL", "2PL", "none"]
FEWEST_FOR_SLOPES = 3


@dataclass(frozen=True)
class Rated:
    """Difficulty by respondents' answers, where it can be told: each array (N,), NaN otherwise; ``why_not`` a sentence for
    each that cannot. ``respondents`` is a table of them, by name."""

    difficulty: np.ndarray
    difficulty_error: np.ndarray
    rating: np.ndarray
    rating_deviation: np.ndarray
    respondents: pd.DataFrame
    why_not: tuple[str, ...]


def rated_by_sources(names: list[str], right: np.ndarray, model: Irt, fewest: int, context: Context) -> Rated:
    """Difficulties from which of the sources ``names`` got each sample right, ``right`` uint8 (N, S); none where there are
    fewer than ``fewest`` sources."""
    table = pd.DataFrame({"respondent": names, "right": right.mean(axis=0)})
    nothing = _nothing(len(right), table)
    if model == "none":
        return nothing
    needed = max(fewest, FEWEST_FOR_SLOPES if model == "2PL" else 2)
    if len(names) < needed:
        return _without(nothing, f"Item response needs {needed} label sources as respondents; there are {len(names)}.")
    found = fit(Answered(right, np.ones_like(right)), model, context)
    return _with_difficulty(nothing, found)


def rated_by_votes(right: np.ndarray, votes: int, name: str, how: tuple[Irt, int], context: Context) -> Rated:
    """Difficulties from ``right`` int64 (N,) of ``votes`` answers a sample, whose voters have no names."""
    model, fewest = how
    table = pd.DataFrame({"respondent": [f"{votes} voters of '{name}'"], "right": [right.mean() / votes]})
    rated = _without(
        _nothing(len(right), table),
        "The voters have no names: they count as equally able, and difficulty follows from the number right alone. Glicko-2 "
        "rates named players and would only repeat that number, so there is no rating.",
    )
    if model == "none":
        return rated
    if votes < fewest:
        return _without(rated, f"Item response needs {fewest} votes a sample; there are {votes}.")
    if model == "2PL":
        rated = _without(rated, "A slope for each respondent cannot be told without names, so the model is the 1PL.")
    answered = Answered(right[:, None], np.full((len(right), 1), votes))
    return _with_difficulty(rated, fit(answered, "1PL", context))


def with_ratings(rated: Rated, right: np.ndarray, how: tuple[int, int, float], context: Context) -> Rated:
    """The same with Glicko-2's ratings from ``right`` uint8 (N, S).

    ``how``: the fewest sources for any, how many of them play in a rating period, and Glicko's tau.
    """
    (n, respondents), (fewest, a_period, tau) = right.shape, how
    if respondents < fewest:
        return _without(rated, f"Glicko-2 needs {fewest} label sources as players; there are {respondents}.")
    won = (right[:, j] > 0 for j in range(respondents))
    samples, people = samples_against(won, n, respondents, a_period, context, tau)
    table = rated.respondents.assign(rating=people.rating, rating_deviation=people.deviation)
    return replace(rated, rating=samples.rating, rating_deviation=samples.deviation, respondents=table)


def _nothing(n: int, respondents: pd.DataFrame) -> Rated:
    unknown = np.full(n, np.nan)
    return Rated(unknown, unknown, unknown, unknown, respondents, ())


def _without(rated: Rated, why: str) -> Rated:
    return replace(rated, why_not=(*rated.why_not, why))


def _with_difficulty(rated: Rated, found: Fit) -> Rated:
    table = rated.respondents.assign(
        intercept=found.intercept,
        intercept_error=found.intercept_error,
        slope=found.slope,
        slope_error=found.slope_error,
    )
    why_not = rated.why_not
    if not found.converged:
        why_not += (f"The item response model still improved after {len(found.objective)} rounds, where it was stopped.",)
    return replace(
        rated,
        difficulty=found.difficulty,
        difficulty_error=found.difficulty_error,
        respondents=table,
        why_not=why_not,
    )
