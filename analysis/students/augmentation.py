"""Training images moved and lit a little, as DSA does (arXiv 2102.08259), each image by a draw of its own.

Where asked for, a random part of each is shown enlarged, too: sets such as SRe2L's, RDED's and PCA's are made to be learnt
from random resized crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

MOVES, CROPS = 7, 4
MOST_OBLONG = math.log(4 / 3)
"""Crops are at most 4 : 3 wide or high, as those of Inception (arXiv 1409.4842) and of torchvision's RandomResizedCrop."""

Row = list[torch.Tensor]
"""One coordinate of a place in the image, as a x + b y + c of the place shown: a, b and c, (n,) each."""


@dataclass(frozen=True)
class Strength:
    """The most that is done to an image: ``turn`` in radians, ``stretch`` and ``shift`` as shares of its side, ``contrast``
    as a share, ``light`` in units of the pixels; ``mirror`` half of the images. Of each image a random part of at least
    ``crop`` of its area is shown at its full size; 1 is all of it."""

    turn: float = math.radians(12)
    stretch: float = 0.12
    shift: float = 0.12
    contrast: float = 0.3
    light: float = 0.3
    mirror: bool = False
    crop: float = 1.0

    @property
    def numbers(self) -> int:
        """How many are drawn for each image."""
        return MOVES + self.mirror + (CROPS if self.crop < 1 else 0)


def drawn(n: int, strength: Strength, draw: torch.Generator) -> torch.Tensor:
    """What to do to ``n`` images: uniform in [-1, 1], float32 (7, n), and one row more where some are mirrored, four more
    where they are cropped; drawn on the CPU, so that every device does the same."""
    return 2 * torch.rand(strength.numbers, n, generator=draw) - 1


def augmented(images: torch.Tensor, numbers: torch.Tensor, strength: Strength) -> torch.Tensor:
    """Each image (n, ch, H, W) cropped, turned, stretched, shifted, lit and maybe mirrored by its column of ``numbers`` as
    ``drawn``.

    What comes in from outside repeats the edge, or, of a cropped image, shows what is there.
    """
    turn, wide, high, right, down, light, contrast, *rest = numbers.to(images.device)
    cos, sin = torch.cos(strength.turn * turn), torch.sin(strength.turn * turn)
    x, y = 1 + strength.stretch * wide, 1 + strength.stretch * high
    if strength.mirror:
        x = torch.where(rest[0] < 0, -x, x)
    across, along = [x * cos, -y * sin, strength.shift * right], [x * sin, y * cos, strength.shift * down]
    if strength.crop < 1:
        across, along = _within_crop(across, along, rest[-CROPS:], strength.crop)
    grid = F.affine_grid(torch.stack([*across, *along], dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    brighter = strength.light * light.view(-1, 1, 1, 1)
    return (moved - mean) * (1 + strength.contrast * contrast.view(-1, 1, 1, 1)) + mean + brighter


def _within_crop(across: Row, along: Row, numbers: Sequence[torch.Tensor], smallest: float) -> tuple[Row, Row]:
    """The same places within a part of each image: its share of the area is uniform from ``smallest`` to 1, the ratio of its
    sides uniform in the logarithm, as far as it fits into the image, and it lies anywhere within that."""
    area, oblong, right, down = numbers
    share = smallest + (1 - smallest) * (1 + area) / 2
    ratio = torch.exp(oblong * (-share.log()).clamp(0, MOST_OBLONG))
    width, height = (share * ratio).sqrt(), (share / ratio).sqrt()
    placed = []
    for (a, b, c), side, off in ((across, width, right), (along, height, down)):
        placed.append([side * a, side * b, side * c + (1 - side) * off])
    return placed[0], placed[1]
