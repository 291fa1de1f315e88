"""Who can be asked whether a given label is right: label sources, a probe on embeddings, and the nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.context import Context
from analysis.device import pick
from analysis.embedding import embed, embed_beside
from analysis.label_sources import kind_caveats, never_contradicts
from analysis.probes.label_evidence import MADE_TOGETHER
from analysis.probes.probe import Learner, ProbeResult, cross_validated, learnt_elsewhere
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels

ImageEvidence = Literal["automatic", "reference", "the set itself", "none"]
PROBE, NEIGHBOURS = "probe", "neighbours"
EMBEDDING = 0.7  # of the progress


@dataclass(frozen=True)
class ImageOptions:
    """What is learnt from images: what from, on which embedding, and how."""

    learn_from: ImageEvidence
    embedding: str
    folds: int
    penalty: float
    neighbours: int


@dataclass(frozen=True)
class NamedSource:
    """One source: ``ids`` int64 (M,) ascending are the samples it can judge, ``probabilities`` (M, C) what it says."""

    name: str
    ids: np.ndarray
    probabilities: SoftLabels
    basis: str


@dataclass(frozen=True)
class Sources:
    """Every source there is, and sentences about them and about those that are missing."""

    sources: tuple[NamedSource, ...]
    caveats: tuple[str, ...]


def available(distilled_set: DistilledSet, options: ImageOptions, context: Context) -> Sources:
    """The set's label sources by name, then a probe and the neighbours' vote where there are images to learn from.

    The given soft labels are left out where they never contradict the given label. A committee of all is no source of its
    own: it says nothing that its members do not, and combining them is what comes next.
    """
    labels, label_caveats = _label_sources(distilled_set)
    images, image_caveats = _image_sources(distilled_set, options, context)
    taken = {source.name for source in labels}
    images = tuple(source for source in images if source.name not in taken)
    return Sources((*labels, *images), (*label_caveats, *image_caveats))


def _label_sources(distilled_set: DistilledSet) -> tuple[tuple[NamedSource, ...], tuple[str, ...]]:
    everyone = np.arange(len(distilled_set))
    found, caveats = [], []
    for name, labels in distilled_set.label_sources.items():
        if name == GIVEN and never_contradicts(labels, distilled_set.labels):
            caveats.append("The given soft labels favour the given label in every sample, so they are no evidence about it.")
            continue
        found.append(NamedSource(name, everyone, labels, f"label source '{name}'"))
        caveats += kind_caveats(name, labels)
    if not found:
        caveats.append("No label source is independent of the given labels; a teacher's soft labels would be evidence.")
    return tuple(found), tuple(caveats)


def _image_sources(
    distilled_set: DistilledSet, options: ImageOptions, context: Context
) -> tuple[tuple[NamedSource, ...], tuple[str, ...]]:
    learn_from = options.learn_from
    if learn_from == "none":
        return (), ()
    if distilled_set.images is None:
        return (), ("The set holds no images, so neither a probe nor neighbours could be asked.",)
    if learn_from == "automatic":
        learn_from = "the set itself" if distilled_set.reference is None else "reference"
    if learn_from == "reference":
        if distilled_set.reference is None:
            raise ImpossibleRequest(f"{distilled_set.name} has no reference images; learn from the set itself instead.")
        judge = _reference_judge(distilled_set, options, context.part(0, EMBEDDING))
        return _from(judge, options, "reference images", context.part(EMBEDDING, 1))
    judge = _own_judge(distilled_set, options, context.part(0, EMBEDDING))
    found, caveats = _from(judge, options, "the set's other images", context.part(EMBEDDING, 1))
    return found, (*caveats, MADE_TOGETHER) if found else caveats


Judge = Callable[[Learner, Context], ProbeResult]
"""What a learner says of the samples, given the part of the progress that is its own."""


def _reference_judge(distilled_set: DistilledSet, options: ImageOptions, context: Context) -> Judge:
    reference, device = distilled_set.reference, pick(context.device)
    features, real = embed_beside(distilled_set.images, reference.images, options.embedding, context)
    learn_from = (real, reference.labels)
    labels, classes = distilled_set.labels, distilled_set.num_classes
    return lambda learner, part: learnt_elsewhere(learn_from, features, labels, classes, device, part, learner=learner)


def _own_judge(distilled_set: DistilledSet, options: ImageOptions, context: Context) -> Judge:
    features = embed(distilled_set.images, options.embedding, context)
    labels, classes = distilled_set.labels, distilled_set.num_classes
    folds, device = options.folds, pick(context.device)
    return lambda learner, part: cross_validated(features, labels, classes, device, part, learner=learner, folds=folds)


def _from(judge: Judge, options: ImageOptions, of: str, context: Context) -> tuple[tuple[NamedSource, ...], tuple[str, ...]]:
    learners = {
        PROBE: Learner(penalty=options.penalty),
        NEIGHBOURS: Learner("nearest neighbours", neighbours=options.neighbours),
    }
    try:
        results = {
            name: judge(learner, context.part(place / len(learners), (place + 1) / len(learners)))
            for place, (name, learner) in enumerate(learners.items())
        }
    except ImpossibleRequest as why:
        return (), (f"The images are no evidence here: {why}",)
    words = {PROBE: "a linear probe", NEIGHBOURS: "the nearest neighbours' vote"}
    basis = f"on '{options.embedding}' embeddings of {of}"
    found = (_named(name, result, f"{words[name]} {basis}") for name, result in results.items())
    return tuple(source for source in found if len(source.ids)), ()


def _named(name: str, result: ProbeResult, basis: str) -> NamedSource:
    probabilities = DenseSoftLabels(result.probabilities, "probabilities")
    ids = np.setdiff1d(np.arange(len(probabilities)), result.left_out)
    return NamedSource(name, ids, probabilities if len(ids) == len(probabilities) else probabilities.take(ids), basis)
