"""Distribution matching (DM, Zhao & Bilen, arXiv 2110.04181).

Each iteration draws a new random ConvNet and one augmentation, and moves the synthetic images so that the mean embedding
of each class's synthetic images comes nearer to the mean embedding of a batch of its real ones.
"""

from __future__ import annotations

import numpy as np
import torch

from data.demo.fashion import Labelled, per_class_draw
from data.demo.networks import Augmentation, features
from data.demo.recipe import CLASSES, Recipe


def initial_images(real: Labelled, recipe: Recipe) -> torch.Tensor:
    """Random real images to start from, class-major, float32 (C * IPC, 1, 28, 28)."""
    ids = per_class_draw(real.labels, recipe.images_per_class, np.random.default_rng(recipe.seed + 1))
    return real.take(ids).tensors()[0]


def distil(initial: torch.Tensor, real: Labelled, recipe: Recipe) -> tuple[torch.Tensor, list[float]]:
    """(images float32 (C * IPC, 1, 28, 28) class-major, loss of every iteration: squared distance summed over classes)."""
    settings = recipe.matching
    draw = torch.Generator().manual_seed(recipe.seed + 2)
    images, labels = real.tensors()
    members = [(labels == c).nonzero().flatten() for c in range(CLASSES)]
    synthetic = initial.clone().requires_grad_()
    optimiser = torch.optim.SGD([synthetic], lr=settings.learning_rate, momentum=settings.momentum)
    losses = []
    for iteration in range(settings.iterations):
        embed = features(settings.width, recipe.seed + 1_000 + iteration).requires_grad_(False)
        augment = Augmentation(draw)
        batch = torch.cat([ids[torch.randint(len(ids), (settings.real_batch,), generator=draw)] for ids in members])
        with torch.no_grad():
            target = _class_means(embed(augment(images[batch])))
        loss = (_class_means(embed(augment(synthetic))) - target).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return synthetic.detach(), losses


def _class_means(embedded: torch.Tensor) -> torch.Tensor:
    """(C * n, F) class-major -> (C, F)."""
    return embedded.unflatten(0, (CLASSES, -1)).mean(dim=1)
