"""A probe by vote: the nearest other samples say which class a sample is of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from analysis.context import Context
from analysis.neighbours import nearest

ROWS_A_CHUNK = 65_536


def neighbour_probabilities(
    features: np.ndarray,
    targets: np.ndarray,
    num_classes: int,
    neighbours: int,
    device: torch.device,
    context: Context,
    queries: np.ndarray | None = None,
) -> torch.Tensor:
    """Class probabilities float32 (n, C) of ``queries`` (n, D), or of each row of ``features`` (N, D) from all others.

    ``targets`` int64 (N,). Neighbours are the nearest by cosine similarity and vote by distance; see ``voted``.
    """
    ids, similarity = nearest(features, neighbours, replace(context, device=str(device)), queries)
    return voted(targets[ids], 1 - similarity, num_classes)


def voted(classes: np.ndarray, distance: np.ndarray, num_classes: int) -> torch.Tensor:
    """Probabilities float32 (n, C) from the ``classes`` int64 (n, k) of neighbours at ``distance`` (n, k), ascending.

    The nearest has weight 1, the furthest of the k weight 0, in proportion between; all have 1 where none is nearer
    (Dudani 1976, doi 10.1109/TSMC.1976.5408784). That has no scale to choose, and a duplicate counts no more than one vote.
    One vote more is spread over all classes (Laplace's smoothing), so that few neighbours make no certainty.
    """
    nearest_at, furthest_at = distance[:, :1], distance[:, -1:]
    width = furthest_at - nearest_at
    weights = np.where(width > 0, (furthest_at - distance) / np.where(width > 0, width, 1), 1.0)
    probabilities = torch.full((len(classes), num_classes), 1 / num_classes)
    for start in range(0, len(classes), ROWS_A_CHUNK):
        rows = slice(start, start + ROWS_A_CHUNK)
        part = torch.from_numpy(np.ascontiguousarray(weights[rows], dtype=np.float32))
        probabilities[rows].scatter_add_(1, torch.from_numpy(np.ascontiguousarray(classes[rows])), part)
        probabilities[rows] /= 1 + part.sum(dim=1, keepdim=True)
    return probabilities
