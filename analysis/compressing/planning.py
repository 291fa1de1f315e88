"""A plan of what to keep: scores, ranks and the budget brought together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.compressing.allocation import Spread, allocate, spread_weights
from analysis.compressing.coverage import diverse_sequence
from analysis.compressing.ranks import Direction, Ranking, Score, rank, turn_of
from analysis.compressing.scores import OF_VECTORS, Cover, Sources, by_class, find_scores
from analysis.context import Context
from analysis.embedding import embed
from analysis.neighbours import unit_rows
from data.distilled_set import DistilledSet

Tiles = Literal["by rank", "most diverse"]
LEFT_OUT = -1
"""The tile of an image that is not kept."""
EMBEDDED, SCORED = 0.4, 0.95
"""Where on the progress bar each part ends."""
SPREAD_WORDS: dict[Spread, str] = {
    "equal": "as many of each class",
    "what is there": "in proportion to what is there",
    "original counts": "in proportion to the original counts",
}


@dataclass(frozen=True)
class Budget:
    """``ipc`` images a class, or ``total`` images, or where both are 0 a ``share`` of them, ``spread`` over the classes
    with at least ``floor`` of each."""

    ipc: int
    total: int
    share: float
    spread: Spread
    floor: int


@dataclass(frozen=True)
class Criteria:
    """What to rank by: ``weights`` by score, turned by ``direction``; what scores are made from, as in scores.Sources; and
    which images make a mosaic of ``factor`` x ``factor`` ``tiles``."""

    weights: Mapping[str, float]
    direction: Direction
    source: str
    embedding: str
    cover: Cover
    tiles: Tiles
    factor: int
    seed: int


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be kept of a set.

    ``budget`` int64 (C,) images of each class, asked for with a ``floor`` and told in ``words``; ``kept`` bool and ``tile``
    int64 (N,), an image's place among the kept ones of its class, LEFT_OUT elsewhere; ``caveats`` are sentences.
    """

    ranking: Ranking
    scores: tuple[Score, ...]
    budget: np.ndarray
    floor: int
    words: str
    kept: np.ndarray
    tile: np.ndarray
    factor: int
    caveats: tuple[str, ...]


def make_plan(distilled_set: DistilledSet, budget: Budget, criteria: Criteria, context: Context) -> Plan:
    """Rank the images of each class and keep the first ones. Raises ImpossibleRequest where the budget cannot be divided."""
    labels = distilled_set.labels
    allotted, words, said = divide(distilled_set, budget)
    diverse = criteria.tiles == "most diverse" and criteria.factor > 1
    vectors, why_not = _vectors(distilled_set, criteria, diverse, context.part(0, EMBEDDED))
    sources = Sources(criteria.source, criteria.embedding, vectors, why_not, criteria.cover, criteria.seed)
    found = find_scores(distilled_set, criteria.weights, sources, context.part(EMBEDDED, SCORED))
    context.report(SCORED, "Choosing images")
    ranking = rank(labels, found.scores, criteria.direction)
    kept = turn_of(labels, ranking.order) < allotted[labels]
    tile = _tiles(labels, ranking, kept, vectors if diverse else None, criteria.factor)
    if diverse and vectors is None:
        said += (f"Tiles go by rank, since {distilled_set.name} holds no images to be unlike each other.",)
    caveats = (*said, *found.caveats)
    context.report(1.0, "Choosing images")
    return Plan(ranking, found.scores, allotted, budget.floor, words, kept, tile, criteria.factor, caveats)


def divide(distilled_set: DistilledSet, budget: Budget) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """(images to keep of each class int64 (C,), the budget in words, sentences).

    Images per class are a promise to each class: what a small one cannot give is not taken from others, unless the budget is
    spread otherwise than evenly.
    """
    there = distilled_set.per_class
    total, words = _asked_for(there, budget)
    weights = spread_weights(budget.spread, there, distilled_set.class_counts)
    if budget.ipc and budget.spread == "equal":
        allotted = np.minimum(there, max(budget.ipc, budget.floor))
    else:
        allotted = allocate(total, weights, there, budget.floor)
    words = f"{words}, {SPREAD_WORDS[budget.spread]}, at least {budget.floor:,} where there are"
    if allotted.sum() > total:
        floors = (
            f"A floor of {budget.floor:,} images a class takes {allotted.sum():,} images, more than the {total:,} asked for."
        )
        return allotted, words, (floors,)
    return allotted, words, ()


def _asked_for(there: np.ndarray, budget: Budget) -> tuple[int, str]:
    if budget.ipc:
        capped = np.minimum(there, budget.ipc) if budget.spread == "equal" else np.where(there > 0, budget.ipc, 0)
        return int(capped.sum()), f"budget: {budget.ipc:,} images a class"
    if budget.total:
        return budget.total, f"budget: {budget.total:,} images"
    return round(budget.share * there.sum()), f"budget: {budget.share:.4g} of the images"


def _vectors(
    distilled_set: DistilledSet, criteria: Criteria, diverse: bool, context: Context
) -> tuple[np.ndarray | None, str]:
    """(vectors float32 (N, D), "") or (None, why there are none); embedded only where something asks for them."""
    if distilled_set.images is None:
        return None, f"{distilled_set.name} holds no images."
    if not diverse and not any(criteria.weights.get(name, 0) > 0 for name in OF_VECTORS):
        return None, "no score asks for an embedding."
    return embed(distilled_set.images, criteria.embedding, context), ""


def _tiles(labels: np.ndarray, ranking: Ranking, kept: np.ndarray, vectors: np.ndarray | None, factor: int) -> np.ndarray:
    """Each kept image's place among those of its class, by rank, or with ``vectors`` so that each factor² are unlike."""
    tile = np.where(kept, turn_of(labels, ranking.order), LEFT_OUT)
    if vectors is None:
        return tile
    unit, places = unit_rows(vectors), tile.copy()
    for ids in by_class(labels):
        chosen = ids[kept[ids]][np.argsort(tile[ids[kept[ids]]])]
        places[chosen[diverse_sequence(unit[chosen], factor**2)]] = np.arange(len(chosen))
    return places
