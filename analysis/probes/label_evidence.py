"""Where the class probabilities come from that are held against the given labels: a label source, or a probe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from analysis.context import Context
from analysis.device import pick
from analysis.embedding import embed, embed_beside
from analysis.findings import Figure
from analysis.label_sources import choose, never_contradicts
from analysis.probes.convnet_training import TrainingSettings
from analysis.probes.probe import NEIGHBOURS, PENALTY, Learner, ProbeKind, ProbeResult, cross_validated, learnt_elsewhere
from analysis.probes.reference_model import judged_by_reference_model
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels

Origin = Literal["automatic", "label source", "reference", "reference model", "probe"]

# Measured on published DC, DM and DSA sets (CIFAR-10, 10 images a class): cross-validated probes on pixels and on a random
# ConvNet agree with 0 to 3 % of the labels, where chance is 10 %; probes that learnt from 500 real images with 28 to 41 %.
MADE_TOGETHER = (
    "Distilled images of a class are made together to complement each other, so a probe that has not seen one of them may "
    "know less about it than chance; reference images or a teacher judge better."
)


WORDS: dict[ProbeKind, str] = {
    "logistic": "a linear probe",
    "linear SVM": "a linear support vector machine",
    "nearest neighbours": "the nearest neighbours' vote",
}


@dataclass(frozen=True)
class ProbeSettings:
    """What a probe looks at, and how it learns (``analysis.probes.probe``); ``training`` is the reference model's."""

    embedding: str
    folds: int = 5
    penalty: float = PENALTY
    kind: ProbeKind = "logistic"
    neighbours: int = NEIGHBOURS
    training: TrainingSettings = field(default_factory=TrainingSettings)

    @property
    def learner(self) -> Learner:
        return Learner(self.kind, self.penalty, self.neighbours)

    @property
    def words(self) -> str:
        return f"{WORDS[self.kind]} on '{self.embedding}' embeddings"


@dataclass(frozen=True)
class Evidence:
    """Probabilities for the samples ``ids`` int64 (M,): all of the set's, or those that a probe could judge.

    ``figures`` say how good their maker is, where that was measured.
    """

    ids: np.ndarray
    probabilities: SoftLabels
    basis: str
    caveats: tuple[str, ...]
    figures: tuple[Figure, ...] = ()


def gather(
    distilled_set: DistilledSet, probabilities_from: Origin, source: str, probe: ProbeSettings, context: Context
) -> Evidence:
    """Probabilities for the samples of a set, and what to know about them.

    "automatic" takes the label source ``source`` where one is named, else a probe on the reference, else a probe that is
    cross-validated on the set itself; a set without images has only its label sources. It never trains a reference model,
    which is the best evidence where there is a reference but takes a minute or more. Raises ImpossibleRequest.
    """
    origin = _origin(distilled_set, probabilities_from, source)
    if origin == "label source":
        return _from_source(distilled_set, source)
    if origin == "reference model":
        return _from_reference_model(distilled_set, probe, context)
    if origin == "reference":
        return _from_reference(distilled_set, probe, context)
    return _from_the_set_itself(distilled_set, probe, context)


def _origin(distilled_set: DistilledSet, probabilities_from: Origin, source: str) -> Origin:
    name, origin = distilled_set.name, probabilities_from
    has_images, has_reference = distilled_set.images is not None, distilled_set.reference is not None
    if origin == "automatic" and (source or (distilled_set.label_sources and not has_images)):
        origin = "label source"
    elif origin == "automatic":
        origin = "reference" if has_reference else "probe"
    if origin != "label source" and not has_images:
        raise ImpossibleRequest(f"{name} holds no images for a probe; name a label source for the probabilities.")
    if origin in ("reference", "reference model") and not has_reference:
        raise ImpossibleRequest(f"{name} has no reference images; take the probabilities from the probe or a label source.")
    return origin


def _from_source(distilled_set: DistilledSet, name: str) -> Evidence:
    chosen = choose(distilled_set, name)
    basis = f"probabilities of label source '{chosen.name}'"
    return Evidence(np.arange(len(distilled_set)), chosen.labels, basis, chosen.caveats)


def _from_reference(distilled_set: DistilledSet, settings: ProbeSettings, context: Context) -> Evidence:
    images, labels = distilled_set.reference.images, distilled_set.reference.labels
    features, real = embed_beside(distilled_set.images, images, settings.embedding, context.part(0, 0.8))
    result = learnt_elsewhere(
        (real, labels),
        features,
        distilled_set.labels,
        distilled_set.num_classes,
        pick(context.device),
        context.part(0.8, 1),
        learner=settings.learner,
    )
    basis = f"{settings.words} of {len(labels)} reference images"
    return _from_probe(distilled_set, result, basis)


def _from_reference_model(distilled_set: DistilledSet, settings: ProbeSettings, context: Context) -> Evidence:
    judged = judged_by_reference_model(distilled_set, settings.training, context)
    evidence = _from_probe(distilled_set, judged.result, judged.basis, judged.caveats)
    return replace(evidence, figures=judged.figures)


def _from_the_set_itself(distilled_set: DistilledSet, settings: ProbeSettings, context: Context) -> Evidence:
    result = cross_validated(
        embed(distilled_set.images, settings.embedding, context.part(0, 0.6)),
        distilled_set.labels,
        distilled_set.num_classes,
        pick(context.device),
        context.part(0.6, 1),
        folds=settings.folds,
        learner=settings.learner,
    )
    how = "each by all others" if settings.learner.leaves_one_out else f"{result.folds}-fold cross-validated"
    basis = f"{settings.words}, {how}"
    return _from_probe(distilled_set, result, basis, (MADE_TOGETHER,))


def _from_probe(distilled_set: DistilledSet, result: ProbeResult, basis: str, caveats: tuple[str, ...] = ()) -> Evidence:
    probabilities = DenseSoftLabels(result.probabilities, "probabilities")
    caveats = (*_unused_sources(distilled_set), *caveats)
    ids = np.setdiff1d(np.arange(len(distilled_set)), result.left_out)
    if len(ids) == len(distilled_set):
        return Evidence(ids, probabilities, basis, caveats)
    if not len(ids):
        raise ImpossibleRequest(f"no reference image is of a class of {distilled_set.name}; use a label source instead.")
    left_out = (
        f"{len(result.left_out)} of {len(distilled_set)} images have no score, because the probe has no other image of "
        "their class to learn from."
    )
    return Evidence(ids, probabilities.take(ids), basis, (*caveats, left_out))


def _unused_sources(distilled_set: DistilledSet) -> tuple[str, ...]:
    """Why the probe was taken rather than a label source, where there is one."""
    sources = distilled_set.label_sources
    others = [name for name in sources if name != GIVEN]
    caveats: tuple[str, ...] = ()
    if GIVEN in sources and never_contradicts(sources[GIVEN], distilled_set.labels):
        caveats += ("The given soft labels favour the given label in every sample, so they cannot contradict it.",)
    if others:
        caveats += (f"Teachers usually know more than a probe: name {' or '.join(others)} as source to use it instead.",)
    return caveats
