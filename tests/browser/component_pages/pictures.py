"""Made-up images that look like something, so that a wrongly cut tile shows."""

from functools import cache

import torch

from data.images import Images, TensorStore
from data.pixels import PROFILES

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def names_of(classes: int) -> tuple[str, ...]:
    """CLASSES where they are ten, else as many with a number each."""
    return CLASSES if classes == 10 else tuple(f"{CLASSES[i % 10]} {i}" for i in range(classes))


@cache
def images(n: int = 120, px: int = 32) -> Images:
    """Discs on a gradient: colour, place and size follow the sample's number."""
    rows = torch.linspace(0, 1, px)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    made = torch.empty(n, 3, px, px)
    for i in range(n):
        tint = torch.tensor([i * 37 % 100, i * 53 % 100, i * 71 % 100]).view(3, 1, 1) / 100
        disc = ((x - 0.25 - 0.5 * (i % 10) / 9) ** 2 + (y - 0.3 - 0.4 * (i % 7) / 6) ** 2).sqrt() < 0.1 + 0.02 * (i % 9)
        made[i] = torch.where(disc, 1 - tint, tint * (0.35 + 0.65 * y))
    return Images(TensorStore(made), PROFILES["unit"])
