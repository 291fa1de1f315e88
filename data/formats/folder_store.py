"""Images that are picture files in a folder, decoded when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.errors import UnreadableInput
from data.formats.pictures import GREY_MODES, is_deep, open_picture, pixels, to_tensor
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
        name = self.names[sample_id]
        with open_picture(self.root / name) as picture:
            if self.look.grey and picture.mode not in GREY_MODES:
                raise UnreadableInput(f"{name} is in colour, but the images looked at first are grey; convert or remove it.")
            image = to_tensor(pixels(picture, self.look.grey))
        if self.shape is not None and image.shape != self.shape:
            raise UnreadableInput(
                f"{name} is {image.shape[2]}x{image.shape[1]} pixels, but the images looked at first are all "
                f"{self.shape[2]}x{self.shape[1]}; resize or remove it."
            )
        return image

    def take(self, ids: Ids) -> FolderStore:
        return FolderStore(self.root, [self.names[int(i)] for i in ids], self.look)


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
