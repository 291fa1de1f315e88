"""A linear probe on embeddings: class probabilities for each sample from a model that never saw that sample.

Multinomial logistic regression on standardised features, cross-validated, as confident learning wants its probabilities
(arXiv 1911.00068, section 2) and as embeddings with a head are used in Prompt Tuned Embedding Classification.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from analysis.context import Context
from data.errors import ImpossibleRequest

PENALTY = 1.0
"""Of 0.03 to 3, best or near it at ranking flipped labels low (200 to 2,000 MNIST and CIFAR-10 images)."""

STEPS = 300
STILL = 1e-7


@dataclass(frozen=True)
class ProbeResult:
    """``probabilities`` float32 (N, C), each row from a probe fitted without that sample, NaN in ``left_out`` rows.

    ``left_out`` int64 holds the samples whose class has no other image to learn from; no probe knows such a class.
    ``folds`` is 0 where the probe learnt from other images altogether.
    """

    probabilities: torch.Tensor
    left_out: np.ndarray
    folds: int = 0


def cross_validated(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    device: torch.device,
    context: Context | None = None,
    *,
    folds: int = 5,
    penalty: float = PENALTY,
    seed: int = 0,
) -> ProbeResult:
    """Out-of-fold probabilities from ``features`` (N, D) and ``labels`` int64 (N,).

    Each class is spread evenly over the folds, so a class of two still has one image to learn from when the other is
    held out. Raises ImpossibleRequest where fewer than two classes have two images.
    """
    context = context or Context()
    sizes = np.bincount(labels, minlength=num_classes)
    learnable = np.flatnonzero(sizes >= 2)
    if len(learnable) < 2:
        raise ImpossibleRequest(
            "a cross-validated probe needs two classes with at least two images each; "
            "choose a label source, such as a teacher, for the probabilities instead."
        )
    folds = int(min(folds, sizes.max()))
    fold_of = spread_over_folds(labels, folds, seed)
    fold_of[sizes[labels] < 2] = -1
    compact = torch.from_numpy(np.searchsorted(learnable, labels))
    probabilities = torch.zeros(len(labels), num_classes)
    for fold in range(folds):
        held_out, train = np.flatnonzero(fold_of == fold), np.flatnonzero((fold_of >= 0) & (fold_of != fold))
        part = context.part(fold / folds, (fold + 1) / folds)
        probe = Probe.fit(_rows(features, train), compact[train], len(learnable), device, part, penalty)
        rows = torch.zeros(len(held_out), num_classes)
        rows[:, torch.from_numpy(learnable)] = probe.predict(_rows(features, held_out))
        probabilities[held_out] = rows
    left_out = np.flatnonzero(fold_of < 0)
    probabilities[torch.from_numpy(left_out)] = torch.nan
    return ProbeResult(probabilities, left_out, folds)


def learnt_elsewhere(
    learn_from: tuple[np.ndarray, np.ndarray],
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    device: torch.device,
    context: Context | None = None,
    *,
    penalty: float = PENALTY,
) -> ProbeResult:
    """Probabilities for ``features`` (N, D) from a probe fitted on other (features (M, D), labels int64 (M,)).

    Samples whose given class is not among those are left out. Raises ImpossibleRequest for fewer than two classes.
    """
    known = np.unique(learn_from[1])
    if len(known) < 2:
        raise ImpossibleRequest("a probe needs reference images of at least two classes; use a label source instead.")
    targets = torch.from_numpy(np.searchsorted(known, learn_from[1]))
    inputs = _rows(learn_from[0], np.arange(len(targets)))
    probe = Probe.fit(inputs, targets, len(known), device, context or Context(), penalty)
    probabilities = torch.zeros(len(labels), num_classes)
    probabilities[:, torch.from_numpy(known)] = probe.predict(_rows(features, np.arange(len(labels))))
    left_out = np.flatnonzero(~np.isin(labels, known))
    probabilities[torch.from_numpy(left_out)] = torch.nan
    return ProbeResult(probabilities, left_out)


def spread_over_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """A fold for each sample, int64 (N,): each class in random order, dealt out one fold after another."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    fold_of = np.empty(len(labels), dtype=np.int64)
    # One deal over all classes keeps the folds equal even where every class has fewer images than folds.
    fold_of[order] = np.arange(len(labels)) % folds
    return fold_of


@dataclass(frozen=True)
class Probe:
    """Logistic regression on standardised features: ``weights`` (C, D) and ``bias`` (C,) on the device."""

    mean: torch.Tensor
    scale: torch.Tensor
    weights: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def fit(
        cls,
        features: torch.Tensor,
        labels: torch.Tensor,
        num_classes: int,
        device: torch.device,
        context: Context,
        penalty: float,
    ) -> Probe:
        """Minimise mean cross-entropy + penalty / 2 * |weights|², which is convex, by L-BFGS from zero."""
        inputs, targets = features.to(device), labels.to(device)
        mean, scale = inputs.mean(dim=0), inputs.std(dim=0, correction=0)
        # A constant feature carries nothing and must not divide by zero.
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        inputs = (inputs - mean) / scale
        weights = torch.zeros(num_classes, inputs.shape[1], device=device, requires_grad=True)
        bias = torch.zeros(num_classes, device=device, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [weights, bias], max_iter=STEPS, tolerance_grad=STILL, tolerance_change=STILL, line_search_fn="strong_wolfe"
        )
        evaluated = 0

        def loss() -> torch.Tensor:
            nonlocal evaluated
            context.report(min(evaluated / STEPS, 1.0), "Fitting the probe")
            evaluated += 1
            optimiser.zero_grad()
            value = cross_entropy(inputs @ weights.T + bias, targets) + penalty / 2 * weights.square().sum()
            value.backward()
            return value

        optimiser.step(loss)
        return cls(mean, scale, weights.detach(), bias.detach())

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 (n, C), on the CPU."""
        inputs = (features.to(self.weights.device) - self.mean) / self.scale
        return torch.softmax(inputs @ self.weights.T + self.bias, dim=1).cpu()


def _rows(features: np.ndarray, ids: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(features[ids], dtype=np.float32))
