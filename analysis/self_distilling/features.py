"""Embeddings as linear classifiers like them: on one scale, and in no more dimensions than there are images."""

from __future__ import annotations

import numpy as np
import torch

IMAGES_A_CHUNK = 4_096
SMALLEST_SHARE = 1e-10
"""Directions that hold less than this share of the largest one's variance are rounding."""


def prepared(vectors: np.ndarray, ids: np.ndarray) -> torch.Tensor:
    """Rows ``ids`` (n,) of ``vectors`` (N, D), every feature with mean 0 and variance 1 (0 where it is constant), float32
    (n, min(n, D)).

    Of fewer images than features, all there is to learn lies in the span of the images: rotated into it, an L2-regularised
    linear model scores every image as it does in all features.
    """
    rows = np.empty((len(ids), vectors.shape[1]), np.float32)
    for start in range(0, len(ids), IMAGES_A_CHUNK):
        rows[start : start + IMAGES_A_CHUNK] = vectors[ids[start : start + IMAGES_A_CHUNK]]
    rows -= rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.square(rows, dtype=np.float64).mean(axis=0))
    rows /= np.where(deviation > 0, deviation, 1).astype(np.float32)
    return torch.from_numpy(_rotated(rows) if rows.shape[1] > len(rows) else rows)


def _rotated(rows: np.ndarray) -> np.ndarray:
    variance, directions = np.linalg.eigh(rows.astype(np.float64) @ rows.T.astype(np.float64))
    variance = np.where(variance > SMALLEST_SHARE * variance[-1], variance, 0)
    return (directions * np.sqrt(variance)).astype(np.float32)
