"""Train a small classifier and measure it: the loop that teachers and students share."""

from __future__ import annotations

import math

import torch
from torch import nn

from data.demo.fashion import Labelled
from data.demo.networks import Augmentation

BATCH = 128
IMAGES_A_PASS = 500


def fit(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int, learning_rate: float, seed: int
) -> nn.Module:
    """``model`` after ``epochs`` of SGD with cosine decay on augmented batches; the seed orders and augments them."""
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9, weight_decay=5e-4)
    model.train()
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for batch in torch.randperm(len(images), generator=draw).split(BATCH):
            loss = nn.functional.cross_entropy(model(Augmentation(draw)(images[batch])), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


@torch.no_grad()
def logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Pre-softmax outputs, float32 (n, C), for normalised images (n, 1, 28, 28)."""
    return torch.cat([model(part) for part in images.split(IMAGES_A_PASS)])


def accuracy(model: nn.Module, test: Labelled) -> float:
    """Share of real test images classified rightly, in [0, 1]."""
    images, labels = test.tensors()
    return int((logits(model, images).argmax(dim=1) == labels).sum()) / len(test)
