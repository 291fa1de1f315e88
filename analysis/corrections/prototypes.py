"""Prototype soft labels: how alike an image is to each class's prototype."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from analysis.context import Context
from analysis.corrections.agreement import agreeing
from analysis.corrections.as_logits import LEAST_PROBABILITY
from analysis.corrections.class_prototypes import Kind, Prototypes, class_prototypes, prototype_caveats
from analysis.corrections.registry import Corrected, correction
from analysis.encoders import EFFICIENTNET
from analysis.findings import Figure
from analysis.intervals import share_figure
from analysis.label_sources import ChosenSource
from analysis.registry import Between, Embedding
from data.distilled_set import DistilledSet


@correction(
    title="Prototype soft labels",
    meaning=(
        "Makes each image's label from how alike it is to the typical image of every class, itself left out. Works without "
        "soft labels, and can be mixed with those there are."
    ),
    paper="PS-TTL: Prototype-based Soft-labels and Test-Time Learning for Few-shot Object Detection (arXiv 2408.05674)",
    needs=("images",),
)
def prototypes(
    distilled_set: DistilledSet,
    source: ChosenSource | None,
    context: Context,
    *,
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    prototype: Kind = "mean",
    temperature: Annotated[float, Between(0.001, 100)] = 0.1,
    weight: Annotated[float, Between(0, 1)] = 1.0,
) -> Corrected:
    """softmax(cosine similarity / ``temperature``), of which ``weight`` is taken, the rest from the label source.

    The prototype of a class is the mean direction of its images, or its medoid. PS-TTL makes such labels for detections in
    place of a detector's unsure ones; here they are of whole images. Without a label source the weight is 1.
    """
    held = class_prototypes(distilled_set, embedding, prototype, context)
    mixed = source is not None and weight < 1

    def logits(ids: np.ndarray) -> torch.Tensor:
        similar = held.similarities(np.asarray(ids)) / temperature
        if not mixed:
            return similar
        probabilities = weight * similar.softmax(dim=1) + (1 - weight) * source.labels.probabilities(ids)
        return probabilities.clamp_min(LEAST_PROBABILITY).log()

    caveats = prototype_caveats(distilled_set) + (source.caveats if mixed else ())
    if source is None and weight < 1:
        caveats += ("There is no label source to mix with, so the labels are those of the prototypes alone.",)
    return Corrected(logits, (_agreement(distilled_set, held, embedding),), caveats)


def _agreement(distilled_set: DistilledSet, held: Prototypes, embedding: str) -> Figure:
    hits = agreeing(held.similarities, distilled_set.labels, distilled_set.num_classes)
    basis = f"images most alike to the prototype of their own hard label, itself left out; embedding {embedding}"
    return share_figure("Nearest prototype agrees", hits, len(distilled_set), basis)
