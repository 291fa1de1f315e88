"""Linear classifiers that are fitted many times to the same images with other targets: ridge and logistic regression.

Images come in folds, and a fit names those it learns from: what depends on the images alone is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn.functional import cross_entropy

from analysis.context import Context

STEPS = 200
STILL = 1e-9
REMEMBERED = 10
MOST_FACTORS = 64
"""Fold choices whose factorised matrix is kept; a cross-fit of 10 folds needs 55."""

Targets = Callable[[int], torch.Tensor]
"""What the images of a fold are taught: classes int64 (n,), or distributions (or any scores) float (n, C)."""


@dataclass(frozen=True, eq=False)
class Linear:
    """Scores linear in the inputs: ``weights`` (C, D), ``bias`` (C,)."""

    weights: torch.Tensor
    bias: torch.Tensor

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (n, C) of ``inputs`` (n, D)."""
        return torch.addmm(self.bias, inputs, self.weights.T)


@dataclass(frozen=True)
class Lesson:
    """One fit: on the images of ``folds``, with the ``bias`` (C,) held at that value; None fits it, without a penalty."""

    folds: tuple[int, ...]
    bias: torch.Tensor | None = None


class Solver(Protocol):
    """Fits to images that it was given when made."""

    def fits(self, lessons: Sequence[Lesson], targets: Targets, num_classes: int, context: Context) -> list[Linear]:
        """One model a lesson, all with the same ``targets``."""
        ...


class Ridge:
    """Least squares on one-hot classes or distributions: mean |W x + b - y|² / 2 + ``penalty`` / 2 |W|², in closed form.

    ``folds`` are inputs (n_f, D) each. A stage of any number of lessons takes one pass over the images, so that 50,000
    images of 1,000 classes stay a matter of seconds.
    """

    def __init__(self, folds: Sequence[torch.Tensor], penalty: float) -> None:
        self._folds = folds
        self._penalty = penalty
        self._sums = [own.sum(dim=0).cpu().double() for own in folds]
        self._squares = [(own.T @ own).cpu().double() for own in folds]
        self._factors: dict[tuple[int, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def fits(self, lessons: Sequence[Lesson], targets: Targets, num_classes: int, context: Context) -> list[Linear]:
        asked = sorted({fold for lesson in lessons for fold in lesson.folds})
        tracked = context.track(asked, len(asked), "fitting to the labels of the stage before")
        products = {fold: _products(self._folds[fold], targets(fold), num_classes) for fold in tracked}
        return [self._fit(lesson, products) for lesson in lessons]

    def _fit(self, lesson: Lesson, products: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> Linear:
        n = sum(len(self._folds[fold]) for fold in lesson.folds)
        product, share = (sum(products[fold][part] for fold in lesson.folds) / n for part in (0, 1))
        factor, mean = self._factor(lesson.folds, n)
        if lesson.bias is None:
            weights = torch.cholesky_solve(product - mean[:, None] * share, factor).T
            return self._as_given(weights, share - weights @ mean)
        held = lesson.bias.cpu().double()
        right = torch.cholesky_solve(torch.cat([product - mean[:, None] * held, mean[:, None]], dim=1), factor)
        solved, along = right[:, :-1], right[:, -1]
        # The factor is that of centred inputs; with the bias held they are not centred, which adds mean meanᵀ to it.
        weights = (solved - along[:, None] * (mean @ solved) / (1 + mean @ along)).T
        return self._as_given(weights, held)

    def _factor(self, folds: tuple[int, ...], n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The Cholesky factor of covariance + penalty over ``folds``, (D, D), and the mean (D,)."""
        if folds not in self._factors:
            if len(self._factors) >= MOST_FACTORS:
                self._factors.pop(next(iter(self._factors)))
            mean = sum(self._sums[fold] for fold in folds) / n
            square = sum(self._squares[fold] for fold in folds) / n - mean[:, None] * mean
            square.diagonal().add_(self._penalty)
            self._factors[folds] = torch.linalg.cholesky(square), mean
        return self._factors[folds]

    def _as_given(self, weights: torch.Tensor, bias: torch.Tensor) -> Linear:
        like = self._folds[0]
        return Linear(weights.to(like.device, like.dtype), bias.to(like.device, like.dtype))


class Logistic:
    """Multinomial logistic regression: mean cross-entropy + ``penalty`` / 2 |W|², convex, by L-BFGS from zero.

    ``folds`` are inputs (n_f, D) each. All classes are one matrix product, and a fit can be cancelled at every step.
    """

    def __init__(self, folds: Sequence[torch.Tensor], penalty: float) -> None:
        self._folds = folds
        self._penalty = penalty

    def fits(self, lessons: Sequence[Lesson], targets: Targets, num_classes: int, context: Context) -> list[Linear]:
        taught = {fold: targets(fold) for fold in sorted({fold for lesson in lessons for fold in lesson.folds})}
        parts = [context.part(place / len(lessons), (place + 1) / len(lessons)) for place in range(len(lessons))]
        return [self._fit(lesson, taught, num_classes, part) for lesson, part in zip(lessons, parts, strict=True)]

    def _fit(self, lesson: Lesson, taught: dict[int, torch.Tensor], num_classes: int, context: Context) -> Linear:
        inputs = torch.cat([self._folds[fold] for fold in lesson.folds])
        targets = torch.cat([taught[fold] for fold in lesson.folds])
        targets = targets if targets.dtype == torch.int64 else targets.to(inputs.dtype)
        weights = inputs.new_zeros(num_classes, inputs.shape[1]).requires_grad_()
        bias = inputs.new_zeros(num_classes) if lesson.bias is None else lesson.bias.to(inputs)
        free = [weights] if lesson.bias is not None else [weights, bias.requires_grad_()]
        still = {"tolerance_grad": STILL, "tolerance_change": STILL, "line_search_fn": "strong_wolfe"}
        optimiser = torch.optim.LBFGS(free, max_iter=STEPS, history_size=REMEMBERED, **still)
        evaluated = 0

        def closure() -> torch.Tensor:
            nonlocal evaluated
            context.report(min(evaluated / STEPS, 1.0), "fitting to the labels of the stage before")
            evaluated += 1
            optimiser.zero_grad()
            loss = cross_entropy(torch.addmm(bias, inputs, weights.T), targets)
            value = loss + self._penalty / 2 * weights.square().sum()
            value.backward()
            return value

        optimiser.step(closure)
        return Linear(weights.detach(), bias.detach())


def _products(inputs: torch.Tensor, taught: torch.Tensor, num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """inputsᵀ targets (D, C) and the targets' sum (C,), float64 on the CPU; classes are added up, never made one-hot."""
    if taught.dtype == torch.int64:
        summed = inputs.new_zeros(num_classes, inputs.shape[1]).index_add_(0, taught, inputs).T
        return summed.cpu().double(), torch.bincount(taught, minlength=num_classes).cpu().double()
    taught = taught.to(inputs)
    return (inputs.T @ taught).cpu().double(), taught.sum(dim=0).cpu().double()
