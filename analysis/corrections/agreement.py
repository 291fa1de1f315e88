"""How many samples' most probable class is their hard label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from analysis.label_sources import rows_a_chunk


def agreeing(logits: Callable[[np.ndarray], torch.Tensor], labels: np.ndarray, num_classes: int) -> int:
    """Of samples with hard ``labels`` int64 (N,); ``logits(ids)`` is float (n, C) and read in chunks."""
    rows = rows_a_chunk(num_classes)
    pieces = (np.arange(start, min(start + rows, len(labels))) for start in range(0, len(labels), rows))
    return sum(int((logits(ids).argmax(dim=1).numpy() == labels[ids]).sum()) for ids in pieces)
