"""Training images moved and lit a little, as DSA does (arXiv 2102.08259), each image by a draw of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class Strength:
    """The most that is done to an image: ``turn`` in radians, ``stretch`` and ``shift`` as shares of its side, ``contrast``
    as a share, ``light`` in units of the pixels; ``mirror`` half of the images."""

    turn: float = math.radians(12)
    stretch: float = 0.12
    shift: float = 0.12
    contrast: float = 0.3
    light: float = 0.3
    mirror: bool = False


def drawn(n: int, strength: Strength, draw: torch.Generator) -> torch.Tensor:
    """What to do to ``n`` images: uniform in [-1, 1], float32 (7, n), or (8, n) where some are mirrored; drawn on the CPU,
    so that every device does the same."""
    return 2 * torch.rand(8 if strength.mirror else 7, n, generator=draw) - 1


def augmented(images: torch.Tensor, numbers: torch.Tensor, strength: Strength) -> torch.Tensor:
    """Each image (n, ch, H, W) turned, stretched, shifted, lit and maybe mirrored by its column of ``numbers`` as ``drawn``.

    What comes in from outside repeats the edge.
    """
    turn, wide, high, right, down, light, contrast, *mirror = numbers.to(images.device)
    cos, sin = torch.cos(strength.turn * turn), torch.sin(strength.turn * turn)
    x, y = 1 + strength.stretch * wide, 1 + strength.stretch * high
    if mirror:
        x = torch.where(mirror[0] < 0, -x, x)
    rows = [x * cos, -y * sin, strength.shift * right, x * sin, y * cos, strength.shift * down]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    brighter = strength.light * light.view(-1, 1, 1, 1)
    return (moved - mean) * (1 + strength.contrast * contrast.view(-1, 1, 1, 1)) + mean + brighter
