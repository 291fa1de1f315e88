"""Images that are picture files in a folder, decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch

from data.errors import UnreadableInput
from data.formats.pictures import GREY_MODES, decode_reduced, is_deep, open_picture, pixels, to_tensor
from data.images import ImageStore
from data.soft_labels import Ids

IMAGES_LOOKED_AT = 64

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What the headers of a few images, evenly spread, say of all: ``shape`` (ch, H, W), or None where they differ."""

    shape: Shape | None
    grey: bool
    deep: bool


@dataclass(frozen=True, eq=False)
class FolderStore(ImageStore):
    """``names`` are relative to ``root``. Images are uint8, (1, H, W) where all that were looked at are grey, else RGB."""

    root: Path
    names: Sequence[str]
    look: Look

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> Shape | None:
        return self.look.shape

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8

    def read(self, sample_id: int) -> torch.Tensor:
        """One image, uint8 (ch, H, W). Raises UnreadableInput where it is broken, or not of the size all were taken for."""
        return self._decoded(sample_id, None)

    def stacks(self, ids: Ids, most_px: int | None = None) -> Iterable[torch.Tensor]:
        """One image each, since every file is decoded by itself."""
        return (self._decoded(int(i), most_px)[None] for i in ids)

    def take(self, ids: Ids) -> FolderStore:
        return FolderStore(self.root, [self.names[int(i)] for i in ids], self.look)

    def _decoded(self, sample_id: int, most_px: int | None) -> torch.Tensor:
        name = self.names[sample_id]
        with open_picture(self.root / name) as picture:
            width, height = picture.size
            if self.look.grey and picture.mode not in GREY_MODES:
                raise UnreadableInput(f"{name} is in colour, but the images looked at first are grey; convert or remove it.")
            if self.shape is not None and (height, width) != self.shape[1:]:
                raise UnreadableInput(
                    f"{name} is {width}x{height} pixels, but the images looked at first are all "
                    f"{self.shape[2]}x{self.shape[1]}; resize or remove it."
                )
            if most_px is not None:
                decode_reduced(picture, most_px)
            return to_tensor(pixels(picture, self.look.grey))


@dataclass(frozen=True)
class FilesBelow(Sequence[Path]):
    """``names`` below ``root`` as paths, each made when asked for: making them takes as long as listing the folder does."""

    root: Path
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> Path: ...

    @overload
    def __getitem__(self, place: slice) -> FilesBelow: ...

    def __getitem__(self, place: int | slice) -> Path | FilesBelow:
        if isinstance(place, slice):
            return FilesBelow(self.root, self.names[place])
        return self.root / self.names[place]


def look_at(root: Path, names: Sequence[str]) -> Look:
    """Read the headers of at most ``IMAGES_LOOKED_AT`` images, evenly spread. Raises UnreadableInput on a broken one."""
    picked = np.unique(np.linspace(0, len(names) - 1, min(IMAGES_LOOKED_AT, len(names))).round().astype(int))
    sizes, grey, deep = set(), True, False
    for i in picked:
        with open_picture(root / names[i]) as picture:
            sizes.add(picture.size)
            grey = grey and picture.mode in GREY_MODES
            deep = deep or is_deep(picture)
    if len(sizes) > 1:
        return Look(None, grey, deep)
    width, height = sizes.pop()
    return Look((1 if grey else 3, height, width), grey, deep)
