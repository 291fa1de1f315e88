"""How several label sources combine into one: weights, and the choice of the more expert source. Pure functions of rows.

A committee's answer is a weighted sum of its members' logits or probabilities (the plain mean, prior-guided voting, the
norm-matched mean), or the row of the member that knows most about that sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import softmax

PRIOR_TEMPERATURE = 10.0
"""CV-DD's in relabelling, on accuracies in per cent; it uses 5 while images are recovered."""


def weighted_sum(rows: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """The sum of m rows (n, C), in any real dtype, each times its weight; float32 (n, C)."""
    total = torch.zeros(rows[0].shape, dtype=torch.float32, device=rows[0].device)
    for row, weight in zip(rows, weights, strict=True):
        total.add_(row.float(), alpha=float(weight))
    return total


def equal_weights(members: int) -> tuple[float, ...]:
    """Those of the plain mean, which MEAL V2 (arXiv 2009.08453) takes of its teachers' probabilities."""
    return (1 / members,) * members


def prior_weights(accuracies: Sequence[float], temperature: float = PRIOR_TEMPERATURE) -> tuple[float, ...]:
    """Prior-guided voting's weights, softmax(accuracy / temperature), of m accuracies in per cent.

    CV-DD (Dataset Distillation via Committee Voting, arXiv 2501.07575). As in its published code, the weights multiply
    logits when labels are made and ``temperature`` is 10 there.
    """
    return tuple(softmax(np.asarray(accuracies, dtype=np.float64) / temperature).tolist())


def norm_matching_weights(norms: Sequence[float]) -> tuple[float, ...]:
    """Weights that bring m logit matrices of these Frobenius norms, all above 0, to their mean norm and average them.

    G-VBSM (Generalized Large-Scale Data Condensation via Various Backbone and Statistical Matching, arXiv 2311.17950); a
    teacher whose logits merely are larger then counts no more than the others.
    """
    known = np.asarray(norms, dtype=np.float64)
    return tuple((known.mean() / known / len(known)).tolist())


def most_expert(rows: Sequence[torch.Tensor], expertise: torch.Tensor) -> torch.Tensor:
    """For each sample the row of the member with the most ``expertise`` (m, n); the mean of those that tie. (n, C).

    FedLabel (Local or Global, arXiv 2307.08809) labels a sample by whichever of two models is more of an expert on it;
    here there may be any number.
    """
    best = (expertise == expertise.amax(dim=0)).to(rows[0].dtype)
    weights = best / best.sum(dim=0)
    return sum((row * weight[:, None] for row, weight in zip(rows, weights, strict=True)), start=torch.zeros_like(rows[0]))
