"""How probable it is that each given label is wrong, from everything that can be asked about it."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from analysis.context import Context
from analysis.encoders import EFFICIENTNET
from analysis.evidence.learning import Learnt, hear, learn_from_planted
from analysis.evidence.planted import PlantedNoise
from analysis.evidence.report import Combined, cannot_say, report
from analysis.evidence.sources import ImageEvidence, ImageOptions, Sources, available
from analysis.findings import Findings
from analysis.probes.probe import NEIGHBOURS, PENALTY
from analysis.registry import Between, Embedding, analysis
from data.distilled_set import DistilledSet


@analysis(
    title="Probability of a wrong label",
    meaning=(
        "Asks every source at once whether the given label is right - teachers, a probe, the nearest neighbours - and "
        "combines their answers into one probability that it is wrong, with each source's share in it. It learns what each "
        "source's word is worth from errors planted on purpose, and from people's decisions as they come in."
    ),
    paper=(
        "Saerens et al. 2002 (doi 10.1162/089976602753284446) for the share of errors; Lundberg and Lee "
        "(arXiv 1705.07874) for each source's share"
    ),
    reads_verdicts=True,
)
def combined_evidence(
    distilled_set: DistilledSet,
    context: Context,
    *,
    images: ImageEvidence = "automatic",
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    threshold: Annotated[float, Between(0.01, 0.99)] = 0.5,
    fewest_verdicts: Annotated[int, Between(3, 1000)] = 10,
    fewest_samples: Annotated[int, Between(2, 10_000)] = 20,
    planted_noise: PlantedNoise = "confusion",
    folds: Annotated[int, Between(2, 20)] = 5,
    penalty: Annotated[float, Between(1e-6, 1e3)] = PENALTY,
    neighbours: Annotated[int, Between(1, 1000)] = NEIGHBOURS,
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0,
) -> Findings:
    """One calibrated probability a sample that its given label is wrong.

    Sources are the set's label sources by name, and what a probe and the nearest neighbours learn from "reference" images
    or from "the set itself" ("automatic": the reference where there is one) on ``embedding``; ``folds``, ``penalty`` (L2)
    and ``neighbours`` are theirs. Their weights come from planted errors, drawn as ``planted_noise`` says, and from
    verdicts; with at least ``fewest_verdicts`` of each outcome the probabilities are calibrated on verdicts and checked by
    cross-validation. Samples are flagged above ``threshold`` unless people have settled them. Nothing is said where fewer
    than ``fewest_samples`` can be judged.
    """
    options = ImageOptions(images, embedding, folds, penalty, neighbours)
    sources = available(distilled_set, options, context.part(0, 0.7))
    refusal = _refusal(distilled_set, sources)
    if refusal:
        return cannot_say(distilled_set, refusal, sources.caveats)
    labels = distilled_set.labels
    learnt = learn_from_planted(labels, sources.sources, planted_noise, seed, context.part(0.7, 1))
    refusal = _too_little(learnt, fewest_samples)
    if refusal:
        return cannot_say(distilled_set, refusal, sources.caveats)
    judgement = hear(learnt, context.verdicts, labels, fewest_verdicts, seed)
    return report(distilled_set, Combined(sources, learnt, judgement), threshold)


def _refusal(distilled_set: DistilledSet, sources: Sources) -> str:
    if not sources.sources:
        return "there is no source of evidence that is independent of the given labels"
    if len(np.unique(distilled_set.labels)) < 2:
        return "all samples have the same label, so no wrong one can be planted to learn from"
    return ""


def _too_little(learnt: Learnt, fewest: int) -> str:
    judged = int(learnt.against.judged.sum())
    if judged < fewest:
        return f"{judged} samples can be judged, fewer than the {fewest} that are needed to learn from"
    if not learnt.informed:
        return "no source knows planted errors from the given labels"
    return ""
