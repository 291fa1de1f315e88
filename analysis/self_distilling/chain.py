"""One chain of self-distillation: models fitted one after another, each to what the one before said of the same images.

Takanami, Takahashi & Sakata, The Effect of Optimal Self-Distillation in Noisy Gaussian Mixture Model (arXiv 2501.16226):
hard pseudo-labels, or soft ones at an inverse temperature; each stage with a bias of its own, or with one that is held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch.nn.functional import one_hot

from analysis.context import Context
from analysis.self_distilling.sharpness import sharpness
from analysis.self_distilling.solvers import Lesson, Linear, Solver, Targets

PseudoLabels = Literal["hard", "soft", "scores"]
Bias = Literal["refitted", "first stage's", "none"]


@dataclass(frozen=True)
class Rules:
    """How a stage teaches the next one.

    ``pseudo_labels``: the most probable class ("hard"), a softmax of scores at a temperature fitted to the given classes and
    divided by ``beta`` ("soft"), or ``beta`` times the scores themselves ("scores", what the theory of ridge regression is
    about). ``bias``: fitted at each stage, held where the first stage put it, or 0 throughout. ``crossed``: what an image
    teaches comes from a model that has not learnt from it, so that no model repeats a label only because it knows it by
    heart.
    """

    pseudo_labels: PseudoLabels = "hard"
    beta: float = 1.0
    bias: Bias = "refitted"
    crossed: bool = True


@dataclass(frozen=True, eq=False)
class Pupils:
    """Images in folds: ``inputs`` (n_f, D) and the given ``classes`` int64 (n_f,) of each fold; ``given`` is what the first
    stage is taught, those classes or distributions."""

    inputs: Sequence[torch.Tensor]
    classes: Sequence[torch.Tensor]
    given: Targets
    num_classes: int

    @cached_property
    def sizes(self) -> torch.Tensor:
        """Images of each class in each fold, int64 (folds, C)."""
        return torch.stack([torch.bincount(held, minlength=self.num_classes) for held in self.classes])

    @property
    def everyone(self) -> tuple[int, ...]:
        return tuple(range(len(self.inputs)))


class Chain:
    """A chain on the ``folds`` of ``pupils``; images of other folds have no part in any of its stages.

    ``solvers`` fit the first stage and all later ones, which may be regularised otherwise.
    """

    def __init__(self, solvers: tuple[Solver, Solver], pupils: Pupils, folds: tuple[int, ...], rules: Rules) -> None:
        self._solvers = solvers
        self._pupils = pupils
        self._folds = folds
        self._rules = rules
        self._models: list[Linear] = []
        self._biases: list[torch.Tensor] = []

    def next_stage(self, context: Context) -> Linear:
        """The model of the next stage, fitted to all images of the chain."""
        choices = [self._folds, *(self._others(fold) for fold in self._folds if self._rules.crossed)]
        lessons = [Lesson(folds, bias) for folds, bias in zip(choices, self._held_biases(len(choices)), strict=True)]
        solver = self._solvers[1 if self._models else 0]
        targets = self._pseudo_labels() if self._models else self._pupils.given
        self._models = solver.fits(lessons, targets, self._pupils.num_classes, context)
        if self._rules.bias == "first stage's" and not self._biases:
            self._biases = [model.bias for model in self._models]
        return self._models[0]

    def _held_biases(self, count: int) -> Sequence[torch.Tensor | None]:
        if self._rules.bias == "none":
            return [torch.zeros(self._pupils.num_classes)] * count
        return self._biases or [None] * count

    def _others(self, fold: int) -> tuple[int, ...]:
        return tuple(other for other in self._folds if other != fold)

    def _said(self, fold: int) -> torch.Tensor:
        """Scores (n_f, C) that the stage before gives a fold."""
        place = 1 + self._folds.index(fold) if self._rules.crossed else 0
        return self._models[place](self._pupils.inputs[fold])

    def _pseudo_labels(self) -> Callable[[int], torch.Tensor]:
        """What the next stage is taught, made a fold at a time: the distributions of all images need not fit in memory."""
        kind, beta = self._rules.pseudo_labels, self._rules.beta
        scale = beta / self._temperature() if kind == "soft" else beta

        def taught(fold: int) -> torch.Tensor:
            scores, classes, unknown = self._said(fold), self._pupils.classes[fold], self._unknown(fold)
            if kind == "hard":
                return torch.where(unknown, classes, scores.argmax(dim=1))
            said = torch.softmax(scale * scores, dim=1) if kind == "soft" else scale * scores
            return torch.where(unknown[:, None], one_hot(classes, self._pupils.num_classes).to(said), said)

        return taught

    def _unknown(self, fold: int) -> torch.Tensor:
        """Whether the model that judges an image knows no other of its class, bool (n_f,): it could only contradict."""
        classes = self._pupils.classes[fold]
        if not self._rules.crossed:
            return torch.zeros_like(classes, dtype=torch.bool)
        return self._pupils.sizes[list(self._others(fold))].sum(dim=0)[classes] == 0

    def _temperature(self) -> float:
        """Of the scores of the chain's own images, fitted to their given classes."""
        classes = [self._pupils.classes[fold] for fold in self._folds]
        return sharpness(lambda place: self._said(self._folds[place]), classes)[0]
