"""Neighbour-weighted soft labels: what an image's nearest images say of it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from torch.nn.functional import one_hot

from analysis.context import Context
from analysis.corrections.as_logits import LEAST_PROBABILITY
from analysis.corrections.registry import Corrected, correction
from analysis.embedding import embed
from analysis.encoders import EFFICIENTNET
from analysis.findings import SHARE, Figure
from analysis.intervals import mean_figure
from analysis.label_sources import ChosenSource, rows_a_chunk
from analysis.neighbours import nearest
from analysis.registry import Between, Embedding
from data.distilled_set import DistilledSet


@correction(
    title="Neighbour-weighted soft labels",
    meaning=(
        "Mixes each image's label with those of the images most alike to it, the more alike the more. A label that its "
        "neighbourhood does not share fades; without soft labels the neighbours' hard labels are mixed."
    ),
    paper=(
        "S-MolSearch: 3D Semi-supervised Contrastive Learning for Bioactive Molecule Search (NeurIPS 2024, OpenReview "
        "wJAF8TGVUG): soft labels from similarity, of images instead of molecules"
    ),
    needs=("images",),
)
def neighbours(
    distilled_set: DistilledSet,
    source: ChosenSource | None,
    context: Context,
    *,
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    k: Annotated[int, Between(1, 1_000)] = 10,
    own: Annotated[float, Between(0, 1)] = 0.5,
) -> Corrected:
    """``own`` times the image's label plus the rest times the mean label of its ``k`` nearest images, each counting by its
    cosine similarity where that is above 0; alike where none is. An image without any neighbour keeps its label.

    Only the mechanism is S-MolSearch's: it learns the similarities that its soft labels follow, here they are an
    embedding's.
    """
    vectors = embed(distilled_set.images, embedding, context.part(0, 0.7))
    ids_of, similarity = nearest(vectors, k, context.part(0.7, 1))
    weights = _weights(similarity)
    own = own if weights.shape[1] else 1.0

    def rows(ids: np.ndarray) -> torch.Tensor:
        if source is not None:
            return source.labels.probabilities(ids)
        return one_hot(torch.from_numpy(distilled_set.labels[ids]), distilled_set.num_classes).float()

    def mixed(ids: np.ndarray) -> torch.Tensor:
        around = rows(ids_of[ids].ravel()).reshape(*ids_of[ids].shape, distilled_set.num_classes)
        return own * rows(ids) + (1 - own) * torch.einsum("nk,nkc->nc", weights[ids], around)

    def logits(ids: np.ndarray) -> torch.Tensor:
        at_once = max(1, rows_a_chunk(distilled_set.num_classes) // (weights.shape[1] + 1))
        parts = [ids[start : start + at_once] for start in range(0, max(len(ids), 1), at_once)]
        return torch.cat([mixed(part) for part in parts]).clamp_min(LEAST_PROBABILITY).log()

    figure = _figure(distilled_set.labels, ids_of, embedding)
    caveats = (source.caveats if source else ()) + _caveats(ids_of.shape[1], k, source is None)
    return Corrected(logits, (figure,), caveats)


def _weights(similarity: np.ndarray) -> torch.Tensor:
    """How much each neighbour counts, float32 (N, k), rows of sum 1."""
    alike = torch.from_numpy(similarity).clamp_min(0)
    total = alike.sum(dim=1, keepdim=True)
    return torch.where(total > 0, alike / total, 1 / max(alike.shape[1], 1))


def _figure(labels: np.ndarray, ids_of: np.ndarray, embedding: str) -> Figure:
    label = "Neighbours of the same class"
    if not ids_of.shape[1]:
        return Figure(label, None, "there is no other image", len(labels), SHARE)
    same = (labels[ids_of] == labels[:, None]).mean(axis=1)
    basis = f"mean share of an image's {ids_of.shape[1]} nearest images that have its hard label; embedding {embedding}"
    return mean_figure(label, same, basis)


def _caveats(found: int, k: int, hard_only: bool) -> tuple[str, ...]:
    caveats = []
    if hard_only:
        caveats.append("There are no soft labels, so the neighbours' hard labels were mixed.")
    if found < k:
        caveats.append(f"An image has {found} others here, so fewer than {k} neighbours speak.")
    return tuple(caveats)
