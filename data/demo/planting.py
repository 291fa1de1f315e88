"""Faults planted on purpose, so that a reader can check what is found; ``planted.json`` records every one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from data.demo.recipe import CLASSES, Planted, Recipe

# T-shirt and shirt, pullover and coat, dress and coat, sandal and sneaker, sneaker and ankle boot: people confuse them too.
CONFUSABLE: dict[int, int] = {0: 6, 2: 4, 3: 4, 4: 2, 5: 7, 6: 0, 7: 9, 9: 7}


@dataclass(frozen=True)
class Flip:
    """``kind`` is ``confusable`` or ``symmetric`` (any other class, all equally likely)."""

    sample_id: int
    true_label: int
    given_label: int
    kind: str


@dataclass(frozen=True)
class Copy:
    """Sample ``sample_id`` is sample ``copy_of`` with Gaussian noise of ``noise`` standard deviations of the data set."""

    sample_id: int
    copy_of: int
    noise: float


def plant_copies(images: torch.Tensor, recipe: Recipe) -> tuple[torch.Tensor, list[Copy]]:
    """(the images with the near-copies in place, what was done): the last images of one class copy its first ones."""
    planted, ipc = recipe.planted, recipe.images_per_class
    draw = torch.Generator().manual_seed(recipe.seed + 3)
    changed, copies = images.clone(), []
    for k in range(planted.copies):
        source = planted.copies_class * ipc + k
        target = planted.copies_class * ipc + ipc - 1 - k
        changed[target] = images[source] + planted.copy_noise * torch.randn(images[source].shape, generator=draw)
        copies.append(Copy(target, source, planted.copy_noise))
    return changed, copies


def plant_flips(labels: torch.Tensor, copies: list[Copy], recipe: Recipe) -> tuple[torch.Tensor, list[Flip]]:
    """(given labels, the flips by sample id): half confusable, half symmetric, none on a copy or its original."""
    planted: Planted = recipe.planted
    rng = np.random.default_rng(recipe.seed + 4)
    true = labels.numpy()
    taken = {i for copy in copies for i in (copy.sample_id, copy.copy_of)}
    free = rng.permutation([i for i in range(len(true)) if i not in taken])
    confusable = [int(i) for i in free if int(true[i]) in CONFUSABLE][: planted.flips // 2]
    symmetric = [int(i) for i in free if int(i) not in confusable][: planted.flips - len(confusable)]
    flips = [Flip(i, int(true[i]), CONFUSABLE[int(true[i])], "confusable") for i in confusable]
    for i in symmetric:
        flips.append(Flip(i, int(true[i]), int((true[i] + rng.integers(1, CLASSES)) % CLASSES), "symmetric"))
    given = labels.clone()
    for flip in flips:
        given[flip.sample_id] = flip.given_label
    return given, sorted(flips, key=lambda flip: flip.sample_id)
