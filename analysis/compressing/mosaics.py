"""Mosaics: factor x factor images of one class as tiles of one, after RDED (arXiv 2312.03526) and PCA (2502.06434)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from analysis.corrections.logits import LEAST_PROBABILITY
from analysis.label_sources import rows_a_chunk
from data.images import ImageStore
from data.soft_labels import DenseSoftLabels, Ids, SoftLabels

Resampling = Literal["area", "bilinear"]
MOSAICS_A_READ = 64


def group_tiles(labels: np.ndarray, tile: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids int64 (M, factor²), classes int64 (M,)): which images make each mosaic, row by row of it, class after class.

    ``tile`` int64 (N,) is an image's place among those of its class, -1 for images that are left out. Where a class's
    images do not fill its last mosaic, that begins with them again: every image is in one, and every mosaic is whole.
    """
    size, mosaics, classes = factor**2, [], []
    used = np.flatnonzero(tile >= 0)
    used = used[np.lexsort((used, tile[used], labels[used]))]
    for ids in np.split(used, np.flatnonzero(np.diff(labels[used])) + 1):
        if len(ids):
            rows = -(-len(ids) // size)
            mosaics.append(np.resize(ids, (rows, size)))
            classes.append(np.full(rows, labels[ids[0]]))
    if not mosaics:
        return np.zeros((0, size), np.int64), np.zeros(0, np.int64)
    return np.concatenate(mosaics).astype(np.int64), np.concatenate(classes).astype(np.int64)


def parts_of(length: int, factor: int) -> list[int]:
    """The sides of ``factor`` tiles along ``length`` pixels; where that does not divide, the first are a pixel longer."""
    short, longer = divmod(length, factor)
    return [short + (place < longer) for place in range(factor)]


def enlarged_tiles(mosaics: torch.Tensor, factor: int) -> torch.Tensor:
    """Each tile of ``mosaics`` float32 (m, ch, H, W) brought back to their size, (m * factor², ch, H, W), mosaic by mosaic.

    As IDC (arXiv 2205.14959) decodes what it stores; on average what random resized crops show a student of RDED's or PCA's.
    """
    height, width = mosaics.shape[2:]
    rows = mosaics.split(parts_of(height, factor), dim=2)
    tiles = [tile for row in rows for tile in row.split(parts_of(width, factor), dim=3)]
    large = [F.interpolate(tile, (height, width), mode="bilinear", align_corners=False) for tile in tiles]
    return torch.stack(large, dim=1).flatten(0, 1)


@dataclass(frozen=True, eq=False)
class MosaicStore(ImageStore):
    """Mosaics of another store's images, made when read, in its pixel space and size.

    ``tiles`` int64 (M, factor²) are the images of each, row by row; ``heard`` is told how many were made. Bytes stay bytes,
    rounded; other numbers come as float32.
    """

    store: ImageStore
    tiles: np.ndarray
    factor: int
    resampling: Resampling = "area"
    heard: Callable[[int], None] | None = None

    def __len__(self) -> int:
        return len(self.tiles)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        return self.store.shape

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8 if self.store.dtype == torch.uint8 else torch.float32

    def read(self, sample_id: int) -> torch.Tensor:
        return self._made(self.tiles[[sample_id]])[0]

    def read_many(self, ids: Ids) -> torch.Tensor:
        wanted = self.tiles[np.asarray(ids, dtype=np.int64)]
        if not len(wanted):
            return torch.empty((0, *(self.shape or (0, 0, 0))), dtype=self.dtype)
        first = self._made(wanted[:MOSAICS_A_READ])
        found = torch.empty((len(wanted), *first.shape[1:]), dtype=self.dtype)
        found[: len(first)] = first
        for start in range(MOSAICS_A_READ, len(wanted), MOSAICS_A_READ):
            found[start : start + MOSAICS_A_READ] = self._made(wanted[start : start + MOSAICS_A_READ])
        return found

    def take(self, ids: Ids) -> MosaicStore:
        return replace(self, tiles=self.tiles[np.asarray(ids, dtype=np.int64)])

    def _made(self, tiles: np.ndarray) -> torch.Tensor:
        """(m, ch, H, W) of ``tiles`` (m, factor²). Raises DifferentSizes where their images differ in size."""
        stored = self.store.read_many(tiles.ravel())
        images = stored.unflatten(0, tiles.shape)
        if self.factor == 1:
            made = images[:, 0]
        else:
            heights, widths = (parts_of(length, self.factor) for length in stored.shape[2:])
            rows = []
            for row, height in enumerate(heights):
                tiled = [
                    _resized(images[:, row * self.factor + column], (height, width), self.resampling)
                    for column, width in enumerate(widths)
                ]
                rows.append(torch.cat(tiled, dim=3))
            made = torch.cat(rows, dim=2)
        if self.heard is not None:
            self.heard(len(tiles))
        return made.round().clamp(0, 255).to(torch.uint8) if self.dtype == torch.uint8 else made.float()


def mean_labels(source: SoftLabels, tiles: np.ndarray) -> SoftLabels:
    """The mean of the tiles' distributions, float32 (M, C), for ``tiles`` int64 (M, t): probabilities where the source
    holds some; else its logarithm, logits whose softmax at temperature 1 it is. A single tile keeps its label as stored."""
    if tiles.shape[1] == 1 and source.one_row_each:
        return source.take(tiles[:, 0])
    found = torch.empty(len(tiles), source.num_classes)
    rows = max(1, rows_a_chunk(source.num_classes) // tiles.shape[1])
    for start in range(0, len(tiles), rows):
        part = tiles[start : start + rows]
        found[start : start + len(part)] = source.probabilities(part.ravel()).unflatten(0, part.shape).mean(dim=1)
    if source.kind == "probabilities":
        return DenseSoftLabels(found, "probabilities")
    return DenseSoftLabels(found.clamp_min(LEAST_PROBABILITY).log(), "logits")


def _resized(images: torch.Tensor, size: tuple[int, int], resampling: Resampling) -> torch.Tensor:
    if resampling == "area":
        return F.interpolate(images.float(), size, mode="area")
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True, align_corners=False)
