"""Zipf labels: a sure own class, and the rest of the mass by rank of the other classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch

from analysis.context import Context
from analysis.corrections.as_logits import LEAST_PROBABILITY
from analysis.corrections.class_prototypes import class_prototypes, prototype_caveats
from analysis.corrections.registry import Corrected, correction
from analysis.encoders import EFFICIENTNET
from analysis.findings import SHARE, Figure
from analysis.label_sources import ChosenSource
from analysis.registry import Between, Embedding
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Scores = Callable[[np.ndarray], torch.Tensor]


@correction(
    title="Zipf labels",
    meaning=(
        "Makes soft labels from hard ones: the own class gets a fixed share, and the others share the rest as 1, 1/2, 1/3 "
        "and so on, the most alike first. How alike the classes are to an image is told by the images, or by a label source "
        "where there is one."
    ),
    paper=(
        "From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach with Normalized Loss and Customized "
        "Soft Labels (USKD, arXiv 2303.13005)"
    ),
    needs=(),
)
def zipf(
    distilled_set: DistilledSet,
    source: ChosenSource | None,
    context: Context,
    *,
    rank_by: Literal["automatic", "images", "label source"] = "automatic",
    target: Annotated[float, Between(0.01, 0.999)] = 0.9,
    exponent: Annotated[float, Between(0, 10)] = 1.0,
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
) -> Corrected:
    """``target`` for the hard label; 1 / rank ** ``exponent`` for the others, brought to a sum of 1 - ``target``.

    Other classes are ranked by their similarity to the image (``class_prototypes``), or by the label source; "automatic"
    takes the source where there is one. Those that tie share what their ranks get. USKD ranks by the student's own outputs
    while it learns and weighs the two parts in its loss; here ranks and the share of the target are fixed beforehand.
    Raises ImpossibleRequest where what should rank the classes is missing.
    """
    scores, how, caveats = _scores(distilled_set, source, rank_by, embedding, context)
    place = torch.arange(1, distilled_set.num_classes, dtype=torch.float64) ** -exponent
    value = (1 - target) * place / place.sum()

    def logits(ids: np.ndarray) -> torch.Tensor:
        own = torch.from_numpy(distilled_set.labels[ids])[:, None]
        rest = by_rank(scores(ids).scatter(1, own, -torch.inf), torch.cat([value, value.new_zeros(1)]))
        return rest.scatter(1, own, target).clamp_min(LEAST_PROBABILITY).log().float()

    runner_up = float(value[0])
    if runner_up >= target:
        caveats += ("The first of the other classes gets as much as the own class or more: its label will be taken for it.",)
    said = f"share of the first of {distilled_set.num_classes - 1} other classes, ranked {how}"
    return Corrected(logits, (Figure("Share of the runner-up", runner_up, said, len(distilled_set), SHARE),), caveats)


def by_rank(scores: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Each row's classes valued by rank: the highest of ``scores`` (n, C) gets ``values[0]``, the next ``values[1]``, ...;
    equal ones the mean of what their ranks get. Float64 (n, C)."""
    ordered, order = scores.sort(dim=1, descending=True, stable=True)
    starts = torch.ones_like(ordered, dtype=torch.int64)
    starts[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).long()
    tie = starts.cumsum(dim=1) - 1
    nothing = torch.zeros(ordered.shape, dtype=torch.float64)
    total = nothing.scatter_add(1, tie, values.double().expand_as(nothing))
    n = nothing.scatter_add(1, tie, torch.ones_like(nothing))
    return nothing.scatter(1, order, (total / n.clamp_min(1)).gather(1, tie))


def _scores(
    distilled_set: DistilledSet, source: ChosenSource | None, rank_by: str, embedding: str, context: Context
) -> tuple[Scores, str, tuple[str, ...]]:
    """What ranks the classes of each image, that in words, and what to know of it."""
    if rank_by == "label source" and source is None:
        raise ImpossibleRequest(f"{distilled_set.name} has no soft labels to rank the classes by; rank them by the images.")
    if rank_by == "label source" or (rank_by == "automatic" and source is not None):
        return source.labels.probabilities, f"by label source '{source.name}'", source.caveats
    if distilled_set.images is None:
        instead = "it has no soft labels either" if source is None else "rank them by a label source"
        raise ImpossibleRequest(f"{distilled_set.name} has no images to rank the classes by; {instead}.")
    held = class_prototypes(distilled_set, embedding, "mean", context)
    return held.similarities, f"by prototypes of the images; embedding {embedding}", prototype_caveats(distilled_set)
