"""The built-in embeddings, computed and from the cache. `python -m benchmarks.embedding [--n N] [--side S]`."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch

from analysis.context import Context
from analysis.embedding import NAMES, embed
from benchmarks.common import compare, sizes
from data.images import Images, TensorStore
from data.pixels import PROFILES


def prepare(n: int, side: int) -> tuple[Images]:
    pixels = torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))
    return (Images(TensorStore(pixels), PROFILES["unit"]),)


def computed(name: str, images: Images) -> None:
    embed(images, name, Context())


def cached(folder: str, images: Images) -> None:
    embed(images, "efficientnet-lite0", Context(cache=Path(folder)))


if __name__ == "__main__":
    given = sizes(__doc__, n=500, side=32)
    with tempfile.TemporaryDirectory() as folder:
        cached(folder, *prepare(**given))
        contenders = {name: partial(computed, name) for name in reversed(NAMES)}
        compare({**contenders, "efficientnet-lite0, cached": partial(cached, folder)}, prepare, given)
