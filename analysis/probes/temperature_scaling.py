"""How sure a model may be: one temperature, fitted on samples it has not seen, and the error that remains.

Guo et al., On Calibration of Modern Neural Networks (arXiv 1706.04599).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

MOST_LOG = 7.0  # temperatures from 1 / 1,100 to 1,100
BINS = 15


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature T > 0 for which softmax(logits / T) has the least mean cross-entropy.

    ``logits`` (n, C), ``labels`` int64 (n,), of samples that the model did not learn from; n >= 1. One imagined sample of
    every class in equal parts joins them, as in Platt's scaling: scores that happen to be right n times of n would
    otherwise be made certain.
    """
    scores, targets = logits.double().cpu(), labels.cpu()
    imagined = 1 / (len(targets) + 1)
    found = minimize_scalar(
        lambda log: float(cross_entropy(scores / np.exp(log), targets, label_smoothing=imagined)),
        bounds=(-MOST_LOG, MOST_LOG),
        method="bounded",
    )
    return float(np.exp(found.x))


def expected_calibration_error(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean distance between confidence and accuracy over 15 equally wide bins of confidence, weighted by their samples.

    ``probabilities`` (n, C), ``labels`` int64 (n,). With few samples it is biased upwards: empty bins aside, chance alone
    keeps a bin's accuracy from its confidence.
    """
    confidence, predicted = probabilities.max(dim=1)
    return calibration_error(confidence.double().numpy(), (predicted == labels).double().numpy())


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The same from each sample's ``confidence`` in [0, 1] and whether it is ``right`` (0 or 1), both float64 (n,)."""
    place = calibration_bins(confidence, bins)
    gap = np.bincount(place, right, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gap).sum() / len(right))


def calibration_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Which of ``bins`` equally wide bins each ``confidence`` (n,) falls into, int64; an edge belongs to the lower one."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
