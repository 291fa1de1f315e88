"""A low-rank map from embeddings to logits, kept instead of the labels themselves.

HeLlO (Heavy Labels Out, arXiv 2408.08201) stores such a projector on top of a public encoder. Its code is not public; this
is the idea, not its procedure: a ridge regression of each image's mean logits on its embedding, cut to a rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh, solve, svd

from analysis.budget.codings import divergence
from analysis.budget.measure import Loss, Whole
from analysis.sources.divergences import entropy
from data.soft_labels import to_probabilities

PENALTIES = 10.0 ** np.arange(-4, 3)
"""Tried ridge penalties, as multiples of the mean variance of an embedding's coordinate times the number of images."""
FOLDS = 5
FEWEST_IMAGES = 20
BYTES_A_NUMBER = 2


@dataclass(frozen=True, eq=False)
class Projector:
    """logits = (x - centre) down @ up + mean; ``down`` (d, r), ``up`` (r, K), ``centre`` (d,), ``mean`` (K,)."""

    down: np.ndarray
    up: np.ndarray
    centre: np.ndarray
    mean: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        return (vectors - self.centre) @ self.down @ self.up + self.mean


def size(width: int, num_classes: int, rank: int) -> int:
    """Bytes of a projector in float16: two factors and one bias, into which the embedding's centre is folded."""
    rank = min(rank, width, num_classes)
    return BYTES_A_NUMBER * (rank * (width + num_classes) + num_classes)


def fit(vectors: np.ndarray, logits: np.ndarray, rank: int, penalty: float | None = None) -> Projector:
    """The projector from ``vectors`` (n, d) to ``logits`` (n, K).

    Reduced-rank ridge regression (Mukherjee and Zhu 2011): the ridge solution, cut to the leading ``rank`` directions of
    what it predicts. ``penalty`` is ridge's; by default the one of PENALTIES with the least generalised cross-validation
    error (Golub, Heath and Wahba 1979).
    """
    centre, mean = vectors.mean(axis=0, dtype=np.float64), logits.mean(axis=0, dtype=np.float64)
    x, y = vectors - centre, logits - mean
    gram = x.T @ x
    if penalty is None:
        penalty = _best_penalty(x, y, gram)
    penalised = gram + max(penalty, 1e-12) * np.eye(len(gram))
    weights = solve(penalised, x.T @ y, assume_a="pos")
    factor = np.linalg.cholesky(penalised)
    directions = svd(factor.T @ weights, full_matrices=False)[2][:rank]
    return Projector(weights @ directions.T, directions, centre, mean)


def predicted_elsewhere(vectors: np.ndarray, logits: np.ndarray, rank: int, seed: int) -> np.ndarray:
    """Logits (n, K) of each image by a projector that was fitted without it: five folds, at random."""
    folds = np.random.default_rng(seed).permutation(len(vectors)) % FOLDS
    predicted = np.empty(logits.shape, np.float32)
    for fold in range(FOLDS):
        held = folds == fold
        predicted[held] = fit(vectors[~held], logits[~held], rank)(vectors[held])
    return predicted


def loss_of(predicted: np.ndarray, whole: Whole, temperature: float) -> Loss:
    """What is lost where each held image's label, whatever the crop, is the softmax of ``predicted`` (H, C).

    The mean of KL(q ‖ row) over an image's rows is -H(q) - Σ q · mean log row, so no row is read again.
    """
    label = to_probabilities(torch.from_numpy(predicted), "logits", temperature)
    first = label.argmax(dim=1, keepdim=True)
    row_kl = (-entropy(label) - (label * whole.logs).sum(dim=1)).clamp_min(0)
    with np.errstate(invalid="ignore"):  # an image without rows has no share of them: NaN
        same = whole.choices.gather(1, first)[:, 0].numpy() / whole.rows
    changed = torch.where(label.isfinite().all(dim=1), (first[:, 0] != whole.mean.argmax(dim=1)).double(), torch.nan)
    image_kl = divergence(label, whole.mean).double().numpy()
    return Loss(row_kl.double().numpy(), 1 - same, image_kl, changed.numpy(), whole.rows)


def _best_penalty(x: np.ndarray, y: np.ndarray, gram: np.ndarray) -> float:
    """Ridge's penalty by generalised cross-validation, from one eigendecomposition."""
    n = len(x)
    squares, directions = eigh(gram)
    known = squares > squares[-1] * 1e-10 if squares[-1] > 0 else squares > 0
    if not known.any():
        return 1.0
    squares, directions = squares[known], directions[:, known]
    explained = ((directions.T @ (x.T @ y)) ** 2).sum(axis=1) / squares
    candidates = PENALTIES * squares.sum() / gram.shape[0]
    kept = squares / (squares + candidates[:, None])
    residual = (y**2).sum() - ((2 * kept - kept**2) * explained).sum(axis=1)
    freedom = 1 - (1 + kept.sum(axis=1)) / n  # the mean takes one more
    errors = np.where(freedom > 0, residual / np.maximum(freedom, 1e-12) ** 2, np.inf)
    return float(candidates[int(errors.argmin())])
