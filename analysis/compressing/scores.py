"""The scores that images are ranked by, each from the analysis or the arithmetic that Stillroom has for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from analysis.compressing.coverage import herding_order, k_centre_order
from analysis.compressing.ranks import Score
from analysis.context import Context
from analysis.device import pick
from analysis.hardness import hardness
from analysis.label_errors import label_errors
from analysis.label_sources import choose, chunks, per_sample
from analysis.neighbours import unit_rows
from analysis.sources.divergences import entropy
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Cover = Literal["k-centre", "herding"]
OF_LABELS = ("confidence", "margin", "entropy")
OF_VECTORS = ("typicality", "redundancy")
EASE = (*OF_LABELS, "el2n", "typicality")
"""Scores that tell how easy an image is, which the direction turns around."""
NAMES = (*OF_LABELS, "label_error", "el2n", *OF_VECTORS, "random")
STEPS_A_REPORT = 64


@dataclass(frozen=True)
class Sources:
    """What the scores are made from: a label ``source`` by name, ``vectors`` float32 (N, D) of the ``embedding`` or None
    with the reason ``why_not``, how a class is ``cover``ed, and a ``seed``."""

    source: str
    embedding: str
    vectors: np.ndarray | None
    why_not: str
    cover: Cover
    seed: int


@dataclass(frozen=True)
class Found:
    """The scores that could be had, and sentences about them and about those that could not."""

    scores: tuple[Score, ...]
    caveats: tuple[str, ...]


def find_scores(distilled_set: DistilledSet, weights: Mapping[str, float], sources: Sources, context: Context) -> Found:
    """Every score of NAMES with a weight above 0 in ``weights``.

    ``confidence`` is p(given label), ``margin`` that less the largest other probability, ``entropy`` that of the
    distribution, all of one label source; ``label_error`` the score of the analysis of that name, ``el2n`` that of
    "hardness"; ``typicality`` the cosine to the mean direction of the class; ``redundancy`` how early an order that covers
    the class comes to the image, near-copies last; ``random`` a number drawn.
    """
    wanted = [name for name in NAMES if weights.get(name, 0) > 0]
    if not wanted:
        raise ImpossibleRequest("no score has a weight above 0; give at least one, such as random_weight.")
    makers = {
        **{name: _of_labels for name in OF_LABELS},
        "label_error": _label_error,
        "el2n": _el2n,
        "typicality": _typicality,
        "redundancy": _redundancy,
        "random": _random,
    }
    scores: list[Score] = []
    caveats: list[str] = []
    done: set[Callable] = set()
    for place, name in enumerate(wanted):
        if makers[name] in done:  # one reading of the soft labels gives three
            continue
        done.add(makers[name])
        try:
            part = context.part(place / len(wanted), (place + 1) / len(wanted))
            made, said = makers[name](distilled_set, sources, part)
        except ImpossibleRequest as error:
            caveats.append(f"{_listed(wanted, makers, name)} counts for nothing: {error}")
            continue
        caveats += said
        scores += [_score(key, values, weights[key], basis) for key, (values, basis) in made.items() if key in wanted]
    if not scores:
        scores = [_score("random", _random(distilled_set, sources, context)[0]["random"][0], 1.0, "a random number")]
        caveats.append("None of the scores that were asked for can be had here, so images are ranked at random.")
    return Found(tuple(scores), tuple(dict.fromkeys(caveats)))


Made = tuple[dict[str, tuple[np.ndarray, str]], tuple[str, ...]]
"""(values, larger being better, and what they are, by name; sentences)"""


def _score(name: str, values: np.ndarray, weight: float, basis: str) -> Score:
    return Score(name, values, weight, name in EASE, basis)


def _listed(wanted: list[str], makers: Mapping[str, Callable], name: str) -> str:
    return " and ".join(other.replace("_", " ").capitalize() for other in wanted if makers[other] is makers[name])


def _of_labels(distilled_set: DistilledSet, sources: Sources, context: Context) -> Made:
    chosen = choose(distilled_set, sources.source)
    own_class = torch.from_numpy(distilled_set.labels)

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, chunk in chunks(chosen.labels, pick(context.device), context, "Reading soft labels"):
            own = own_class[ids].to(chunk.device)[:, None]
            given = chunk.gather(1, own)[:, 0]
            yield ids, (given, given - chunk.scatter(1, own, 0.0).amax(dim=1), -entropy(chunk))

    basis = f"label source '{chosen.name}'"
    columns = (column.astype(float) for column in per_sample(len(distilled_set), parts()))
    words = ("p(given label)", "p(given label) less the largest other", "entropy")
    made = {name: (values, f"{what} of {basis}") for name, values, what in zip(OF_LABELS, columns, words, strict=True)}
    return made, chosen.caveats


def _label_error(distilled_set: DistilledSet, sources: Sources, context: Context) -> Made:
    findings = label_errors(distilled_set, context, source=sources.source, embedding=sources.embedding)
    values = findings.per_sample["score"].to_numpy(dtype=float)
    if np.isnan(values).all():
        raise ImpossibleRequest("the predictions know no more of the labels than chance.")
    return {"label_error": (values, "the score of 'Label errors': how far the label is backed")}, ()


def _el2n(distilled_set: DistilledSet, sources: Sources, context: Context) -> Made:
    found = hardness(distilled_set, context, source=sources.source, item_response="none", glicko=False)
    values = -found.per_sample["el2n"].to_numpy(dtype=float)
    return {"el2n": (values, "EL2N of 'Hardness', the easiest first")}, ()


def _vectors(sources: Sources) -> np.ndarray:
    if sources.vectors is None:
        raise ImpossibleRequest(sources.why_not)
    return sources.vectors


def _typicality(distilled_set: DistilledSet, sources: Sources, context: Context) -> Made:
    unit = unit_rows(_vectors(sources))
    values = np.full(len(distilled_set), np.nan)
    for ids in context.track(by_class(distilled_set.labels), distilled_set.num_classes, "Finding class prototypes"):
        if len(ids) > 1:  # an only image is its own prototype, which says nothing
            mean = unit[ids].mean(axis=0, dtype=np.float64)
            values[ids] = unit[ids] @ (mean / max(np.linalg.norm(mean), 1e-12))
    return {"typicality": (values, f"cosine to the mean of the class in '{sources.embedding}' vectors")}, ()


def _redundancy(distilled_set: DistilledSet, sources: Sources, context: Context) -> Made:
    unit = unit_rows(_vectors(sources))
    order_of = k_centre_order if sources.cover == "k-centre" else herding_order
    values, steps = np.full(len(distilled_set), np.nan), 0

    def tick() -> None:
        nonlocal steps
        if steps % STEPS_A_REPORT == 0:
            context.report(steps / len(distilled_set), "Looking for near-copies")
        steps += 1

    for ids in by_class(distilled_set.labels):
        values[ids[order_of(unit[ids], tick)]] = -np.arange(len(ids))
    context.report(1.0, "Looking for near-copies")
    return {"redundancy": (values, f"place in a {sources.cover} order of the class in '{sources.embedding}' vectors")}, ()


def _random(distilled_set: DistilledSet, sources: Sources, context: Context) -> Made:
    context.report(1.0, "Drawing numbers")
    return {"random": (np.random.default_rng(sources.seed).random(len(distilled_set)), "a random number")}, ()


def by_class(labels: np.ndarray) -> list[np.ndarray]:
    """The ids of each class that has any, ascending."""
    order = np.argsort(labels, kind="stable")
    return [ids for ids in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(ids)]
