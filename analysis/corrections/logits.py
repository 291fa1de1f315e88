"""Logits of any label source, and a rescaling of them."""

from __future__ import annotations

import numpy as np
import torch

from analysis.corrections.registry import Rescaling
from data.soft_labels import DenseSoftLabels, SoftLabels

LEAST_PROBABILITY = 1e-9
"""What a probability of 0 counts as where its logarithm is needed: far below what a float16 label can say."""


def logits_of(labels: SoftLabels, ids: np.ndarray) -> torch.Tensor:
    """float32 (n, C) whose softmax is the source's distribution: the stored values of dense logits as they are, so that
    their scale stays; of anything else the logarithm of its probabilities."""
    if isinstance(labels, DenseSoftLabels) and labels.kind == "logits":
        return labels.stored(ids).float()
    return labels.probabilities(ids).clamp_min(LEAST_PROBABILITY).log()


def rescaled(labels: SoftLabels, given: torch.Tensor, rescaling: Rescaling, ids: np.ndarray) -> torch.Tensor:
    """``rescaling`` of the source's logits, float32 (n, C), for samples ``ids`` of a set labelled ``given`` int64 (N,)."""
    divisor, shift = (torch.from_numpy(part).float() for part in (rescaling.divisor, rescaling.shift))
    return logits_of(labels, ids) / divisor[given[ids], None] - shift
