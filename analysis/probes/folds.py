"""How samples are dealt out over the folds of a cross-validation."""

from __future__ import annotations

import numpy as np


def spread_over_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """A fold for each sample, int64 (N,): each class in random order, dealt out one fold after another."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    fold_of = np.empty(len(labels), dtype=np.int64)
    # One deal over all classes keeps the folds equal even where every class has fewer images than folds.
    fold_of[order] = np.arange(len(labels)) % folds
    return fold_of
