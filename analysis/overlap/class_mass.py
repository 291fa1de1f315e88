"""How much probability the samples of one class have on another, summed a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse

from analysis.context import Context
from analysis.label_sources import MOST_CLASSES_IN_A_MATRIX, chunks, per_sample
from data.soft_labels import SoftLabels

LARGEST_KEPT = 16
"""Of more classes than a matrix is made for, each sample's so many largest probabilities are summed."""
ENTRIES_AT_ONCE = 1 << 22
NO_PARTNER = -1


def mass(labels: np.ndarray, source: SoftLabels, device: torch.device, context: Context) -> sparse.csr_array:
    """Summed probability by given label (row, of ``labels`` int64 (N,)) and class (column), float64 (C, C).

    Exact up to 1,000 classes; beyond that a lower bound from each sample's 16 largest probabilities.
    """
    classes = source.num_classes
    streamed = chunks(source, device, context, "Summing probabilities by class")
    if classes > MOST_CLASSES_IN_A_MATRIX:
        return _from_largest(labels, streamed, classes)
    total = torch.zeros(classes, classes, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    for ids, chunk in streamed:
        total.index_add_(0, torch.from_numpy(labels[ids]).to(device), chunk.to(total.dtype))
    return sparse.csr_array(total.cpu().numpy().astype(np.float64))


def shares_of_partner(
    labels: np.ndarray, partner: np.ndarray, source: SoftLabels, device: torch.device, context: Context
) -> np.ndarray:
    """p(partner) / (p(given) + p(partner)) of each sample, float64 (N,); 0 for classes without a partner.

    ``partner`` int64 (C,) is each class's partner, or NO_PARTNER. Half where both probabilities are 0.
    """
    if not (partner[labels] != NO_PARTNER).any():
        return np.zeros(len(labels))

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, chunk in chunks(source, device, context, "Comparing with the overlapping class"):
            own = torch.from_numpy(labels[ids]).to(chunk.device)
            other = torch.from_numpy(partner[labels[ids]]).to(chunk.device)
            pair = torch.stack([own, other.clamp_min(0)], dim=1)
            values = chunk.gather(1, pair).float().clamp_min(0)
            total = values.sum(dim=1)
            part = torch.where(total > 0, values[:, 1] / total, torch.full_like(total, 0.5))
            yield ids, (torch.where(other == NO_PARTNER, torch.zeros_like(part), part),)

    return per_sample(len(labels), parts())[0].astype(np.float64)


def heaviest_pairs(total: sparse.csr_array, most: int) -> np.ndarray:
    """The ``most`` pairs of classes that exchange most in ``total`` (C, C), both ways summed; int64 (n, 2), a < b."""
    both = sparse.triu(total + total.T, k=1, format="coo")
    row, column = both.coords
    order = np.lexsort((column, row, -both.data))[:most]
    order = order[both.data[order] > 0]
    return np.stack([row[order], column[order]], axis=1).astype(np.int64)


def _from_largest(labels: np.ndarray, streamed: Iterator[tuple[np.ndarray, torch.Tensor]], classes: int) -> sparse.csr_array:
    total = sparse.csr_array((classes, classes), dtype=np.float64)
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    for ids, chunk in streamed:
        largest = chunk.topk(min(LARGEST_KEPT, classes), dim=1)
        column = largest.indices.cpu().numpy().ravel()
        row = np.repeat(labels[ids], largest.indices.shape[1])
        waiting.append((row * classes + column, largest.values.cpu().numpy().ravel()))
        # Adding to the matrix costs its whole size, so many chunks are added at once.
        if sum(len(keys) for keys, _ in waiting) >= ENTRIES_AT_ONCE:
            total, waiting = total + _summed(waiting, classes), []
    return total + _summed(waiting, classes)


def _summed(parts: list[tuple[np.ndarray, np.ndarray]], classes: int) -> sparse.csr_array:
    keys = np.concatenate([keys for keys, _ in parts] or [np.empty(0, np.int64)])
    values = np.concatenate([values for _, values in parts] or [np.empty(0)]).astype(np.float64)
    return sparse.csr_array((values, np.divmod(keys, classes)), shape=(classes, classes))
