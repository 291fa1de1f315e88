"""Three teachers of different strength, and students trained on the set to see what it teaches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from data.demo.fashion import Labelled, Splits, per_class_draw
from data.demo.networks import classifier
from data.demo.recipe import Recipe, Teacher
from data.demo.training import accuracy, fit

TrainingSet = tuple[torch.Tensor, torch.Tensor]


def train_teacher(teacher: Teacher, splits: Splits, recipe: Recipe) -> nn.Module:
    """A teacher trained as it says; it has seen neither the reference nor the test images."""
    seed = recipe.seed + 10_000 + [other.name for other in recipe.teachers].index(teacher.name) * 10
    real = splits.long_tail
    if teacher.images_per_class is not None:
        rng = np.random.default_rng(seed)
        real = _joined(splits.long_tail, splits.fresh)
        real = real.take(per_class_draw(real.labels, teacher.images_per_class, rng))
    model = classifier(teacher.network, recipe.matching.width, seed)
    return fit(model, *real.tensors(), teacher.epochs, teacher.learning_rate, seed)


def student_accuracies(training_set: Callable[[int], TrainingSet], test: Labelled, recipe: Recipe) -> list[float]:
    """Test accuracy, in [0, 1], of one ConvNet a seed, each trained from scratch on ``training_set(seed)``."""
    settings, found = recipe.students, []
    for seed in settings.seeds:
        model = classifier("convnet", settings.width, recipe.seed + 20_000 + 10 * seed)
        fit(model, *training_set(seed), settings.epochs, settings.learning_rate, recipe.seed + 30_000 + seed)
        found.append(accuracy(model, test))
    return found


def random_real(real: Labelled, recipe: Recipe) -> Callable[[int], TrainingSet]:
    """The baseline: as many random real images a class as the set has, drawn anew for every seed."""

    def draw(seed: int) -> TrainingSet:
        rng = np.random.default_rng(recipe.seed + 40_000 + seed)
        return real.take(per_class_draw(real.labels, recipe.images_per_class, rng)).tensors()

    return draw


def _joined(first: Labelled, second: Labelled) -> Labelled:
    return Labelled(np.concatenate([first.images, second.images]), np.concatenate([first.labels, second.labels]))
