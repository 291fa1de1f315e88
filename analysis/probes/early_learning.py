"""Early-Learning Regularization: a loss that keeps a network from memorising wrong labels.

Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels (arXiv 2007.00151). Each training sample
has a target, a running mean of what the network thought of it; the loss rewards agreeing with it. Early on, before wrong
labels are memorised, that is mostly right.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

NEAR = 1e-4
"""Keeps the logarithm finite where a prediction and its target are both certain."""


def moved_targets(targets: torch.Tensor, probabilities: torch.Tensor, memory: float) -> torch.Tensor:
    """t <- beta t + (1 - beta) p with beta = ``memory`` in [0, 1), all (n, C); targets start at 0 (equation 9)."""
    return memory * targets + (1 - memory) * probabilities.detach()


def elr_loss(logits: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor, weight: float) -> torch.Tensor:
    """Mean cross-entropy + lambda * mean log(1 - <p, t>) with lambda = ``weight``, a scalar (equation 6).

    ``logits`` (n, C), ``labels`` int64 (n,), ``targets`` (n, C) without gradient. The second term falls without end as p
    comes to agree with t, which keeps the gradient of samples learnt early alive.
    """
    agreement = (torch.softmax(logits, dim=1) * targets).sum(dim=1)
    return cross_entropy(logits, labels) + weight * torch.log((1 - agreement).clamp_min(NEAR)).mean()
