"""Linear probes: logistic regression, and a support vector machine whose scores are calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from analysis.context import Context
from analysis.probes.folds import spread_over_folds
from analysis.probes.temperature_scaling import fit_temperature

STEPS = 300
STILL = 1e-7
REMEMBERED = 10  # with torch's 100, most of a fit on few samples goes into the remembered gradients
CALIBRATION_FOLDS = 3

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class LinearScores:
    """Scores linear in standardised features: ``weights`` (C, D) and ``bias`` (C,) on the device."""

    mean: torch.Tensor
    scale: torch.Tensor
    weights: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def fit(
        cls, features: torch.Tensor, labels: torch.Tensor, num_classes: int, loss: Loss, penalty: float, context: Context
    ) -> LinearScores:
        """Minimise ``loss(scores (n, C), labels (n,))`` + penalty / 2 * |weights|², convex, by L-BFGS from zero.

        Computes on the device of ``features``. All classes are one matrix product, so that 1,000 cost no loop, and a fit
        can be cancelled, which the libraries' solvers cannot.
        """
        mean, scale = features.mean(dim=0), features.std(dim=0, correction=0)
        # A constant feature carries nothing and must not divide by zero.
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        inputs = (features - mean) / scale
        weights = torch.zeros(num_classes, inputs.shape[1], device=inputs.device, requires_grad=True)
        bias = torch.zeros(num_classes, device=inputs.device, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [weights, bias],
            max_iter=STEPS,
            history_size=REMEMBERED,
            tolerance_grad=STILL,
            tolerance_change=STILL,
            line_search_fn="strong_wolfe",
        )
        evaluated = 0

        def closure() -> torch.Tensor:
            nonlocal evaluated
            context.report(min(evaluated / STEPS, 1.0), "Fitting the probe")
            evaluated += 1
            optimiser.zero_grad()
            value = loss(inputs @ weights.T + bias, labels) + penalty / 2 * weights.square().sum()
            value.backward()
            return value

        optimiser.step(closure)
        return cls(mean, scale, weights.detach(), bias.detach())

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Scores float32 (n, C) on the device."""
        inputs = (features.to(self.weights.device) - self.mean) / self.scale
        return inputs @ self.weights.T + self.bias


@dataclass(frozen=True)
class LinearProbe:
    """Softmax of linear scores divided by ``temperature``."""

    scores: LinearScores
    temperature: float = 1.0

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 (n, C), on the CPU."""
        return torch.softmax(self.scores(features) / self.temperature, dim=1).cpu()


def logistic(
    features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float, context: Context
) -> LinearProbe:
    """Multinomial logistic regression: mean cross-entropy + penalty / 2 * |weights|²."""
    return LinearProbe(LinearScores.fit(features, labels, num_classes, cross_entropy, penalty, context))


def linear_svm(
    features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float, context: Context
) -> LinearProbe:
    """One class against the rest with the squared hinge loss, as liblinear's and CNN-SVM's (arXiv 1712.03541).

    A margin is no probability: one temperature, fitted on scores that an inner cross-validation gives to samples it has not
    seen, turns them into a softmax (Guo et al., arXiv 1706.04599).
    """
    part = 1 / (CALIBRATION_FOLDS + 1)
    fold_of = spread_over_folds(labels.cpu().numpy(), CALIBRATION_FOLDS, 0)
    held_out_scores, held_out_labels = [], []
    for fold in range(CALIBRATION_FOLDS):
        train = torch.from_numpy(np.flatnonzero(fold_of != fold)).to(labels.device)
        held_out = torch.from_numpy(np.flatnonzero(fold_of == fold)).to(labels.device)
        held_out = held_out[torch.isin(labels[held_out], labels[train])]  # no score says anything of a class never seen
        if not len(train) or not len(held_out):
            continue
        inner = context.part(fold * part, (fold + 1) * part)
        fitted = LinearScores.fit(features[train], labels[train], num_classes, squared_hinge, penalty, inner)
        held_out_scores.append(fitted(features[held_out]))
        held_out_labels.append(labels[held_out])
    whole = LinearScores.fit(features, labels, num_classes, squared_hinge, penalty, context.part(1 - part, 1))
    if not held_out_scores:
        return LinearProbe(whole)
    return LinearProbe(whole, fit_temperature(torch.cat(held_out_scores), torch.cat(held_out_labels)))


def squared_hinge(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """max(0, 1 - y s)² summed over the classes (y = 1 for the given one, else -1) of scores (n, C), averaged over n."""
    sides = torch.full_like(scores, -1).scatter_(1, labels[:, None], 1)
    return (1 - sides * scores).clamp_min(0).square().sum(dim=1).mean()
