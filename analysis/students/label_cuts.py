"""Soft labels with a part taken away, to see what that part taught (arXiv 2406.10485)."""

from __future__ import annotations

import torch


def swapped(values: torch.Tensor, k: int) -> torch.Tensor:
    """``values`` (n, C) with each row's ``k``-th largest, 1 being the largest, and its smallest exchanged; k from 1 to C.

    Exchanging logits exchanges the probabilities they stand for. Of equal values the one of the lower class is the larger.
    """
    order = values.argsort(dim=1, descending=True, stable=True)
    chosen, last = order[:, k - 1 : k], order[:, -1:]
    cut = values.scatter(1, chosen, values.gather(1, last))
    return cut.scatter(1, last, values.gather(1, chosen))


def kept(probabilities: torch.Tensor, k: int) -> torch.Tensor:
    """``probabilities`` (n, C) with all but each row's ``k`` largest at 0, and nothing renormalised."""
    largest, where = probabilities.topk(min(k, probabilities.shape[1]), dim=1)
    return torch.zeros_like(probabilities).scatter(1, where, largest)
