"""The images of each class put in order by several scores at once: ranks within the class, and their weighted mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

Direction = Literal["easy first", "hard first", "middle first"]


@dataclass(frozen=True, eq=False)
class Score:
    """One score of each image, float64 (N,), larger being better, NaN where it says nothing.

    ``ease``: larger also means easier, so that it turns with the direction; a copy or a wrong label is worse in every
    direction.
    """

    name: str
    values: np.ndarray
    weight: float
    ease: bool
    basis: str


@dataclass(frozen=True, eq=False)
class Ranking:
    """``place`` float64 (N,) from 0, first of its class, to 1, last; ``order`` (N,) all ids, class by class, best first;
    ``of_score`` each score's own place (N,) by name, NaN where it says nothing."""

    place: np.ndarray
    order: np.ndarray
    of_score: dict[str, np.ndarray]


def rank(labels: np.ndarray, scores: Sequence[Score], direction: Direction) -> Ranking:
    """Rank the images of each class, ``labels`` int64 (N,), by the weighted mean of their ranks.

    A score's rank is (r - 1/2) / n of the class's n images that it speaks of, equal values sharing their mean rank. The
    scores of ease are turned around for "hard first", and for "middle first" rank by the distance of that from 1/2. Scores
    that say nothing of an image are left out of its mean; an image of which none speaks counts as 1/2. Of equal means the
    lower id comes first.
    """
    of_score = {score.name: _places(labels, score, direction) for score in scores}
    weighed, weight = np.zeros(len(labels)), np.zeros(len(labels))
    for score in scores:
        known = ~np.isnan(of_score[score.name])
        weighed[known] += score.weight * of_score[score.name][known]
        weight[known] += score.weight
    mean = np.divide(weighed, weight, out=np.full(len(labels), 0.5), where=weight > 0)
    # Rounded, since equal means must not be told apart by the order in which they were added up.
    order = np.lexsort((np.arange(len(labels)), np.round(mean, 12), labels))
    return Ranking(_place_in_class(labels, order), order, of_score)


def turn_of(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which of its class each image is in ``order``, from 0; int64 (N,)."""
    sizes = np.bincount(labels)
    turn = np.empty(len(labels), np.int64)
    turn[order] = np.arange(len(labels)) - (np.cumsum(sizes) - sizes)[labels[order]]
    return turn


def _places(labels: np.ndarray, score: Score, direction: Direction) -> np.ndarray:
    places = _ranks(labels, -score.values)
    if not score.ease or direction == "easy first":
        return places
    if direction == "hard first":
        return 1 - places
    return _ranks(labels, np.round(np.abs(places - 0.5), 12))


def _ranks(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(r - 1/2) / n by class, the smallest value first; NaN stays NaN."""
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    by_class = known[np.argsort(labels[known], kind="stable")]
    for ids in np.split(by_class, np.flatnonzero(np.diff(labels[by_class])) + 1):
        if len(ids):
            found[ids] = (rankdata(values[ids], "average") - 0.5) / len(ids)
    return found


def _place_in_class(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    last = np.maximum(np.bincount(labels) - 1, 1)
    return turn_of(labels, order) / last[labels]
