"""The field's small ConvNet and its differentiable augmentation, both seeded and in one thread."""

from __future__ import annotations

import math

import torch
from torch import nn

from data.demo.recipe import BLACK, CLASSES

BLOCKS = 3


def features(width: int, seed: int) -> nn.Sequential:
    """A freshly drawn ConvNet-3 without its classifier: (n, 1, 28, 28) -> (n, width * 9).

    Convolution, instance normalisation, ReLU and average pooling three times, as in DC (arXiv 2006.05929).
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for block in range(BLOCKS):
            layers += [nn.Conv2d(1 if block == 0 else width, width, 3, padding=1)]
            layers += [nn.GroupNorm(width, width), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten())


def classifier(network: str, width: int, seed: int) -> nn.Sequential:
    """``linear`` (pixels to classes) or ``convnet``, freshly drawn: (n, 1, 28, 28) -> logits (n, C)."""
    body = nn.Sequential(nn.Flatten()) if network == "linear" else features(width, seed)
    inputs = 28 * 28 if network == "linear" else width * 9
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        return nn.Sequential(*body, nn.Linear(inputs, CLASSES))


class Augmentation:
    """One draw of a differentiable transform, the same for every image it is applied to (DSA, arXiv 2102.08259).

    A small rotation, scaling and shift, a flip half of the time, and a change of brightness and contrast.
    """

    def __init__(self, draw: torch.Generator) -> None:
        angle, scale_x, scale_y, shift_x, shift_y, brightness, contrast = (torch.rand(7, generator=draw) * 2 - 1).tolist()
        flip = -1.0 if torch.rand(1, generator=draw).item() < 0.5 else 1.0
        turn = angle * math.radians(12)
        x, y = flip * (1 + 0.12 * scale_x), 1 + 0.12 * scale_y
        self.affine = torch.tensor(
            [
                [x * math.cos(turn), -y * math.sin(turn), 0.12 * shift_x],
                [x * math.sin(turn), y * math.cos(turn), 0.12 * shift_y],
            ]
        )
        self.brightness, self.contrast = 0.3 * brightness, 1 + 0.3 * contrast

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 1, H, W) normalised -> the same shape; what comes in from outside is black."""
        grid = nn.functional.affine_grid(self.affine.expand(len(images), 2, 3), list(images.shape), align_corners=False)
        moved = nn.functional.grid_sample(images - BLACK, grid, align_corners=False)
        return moved * self.contrast + self.brightness + BLACK
