"""Images of a set: where they lie, read only when asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from data.errors import ImpossibleRequest
from data.pixels import Contrast, PixelSpace, out_of_range, to_viewable
from data.soft_labels import Ids, as_index

IMAGES_A_SAMPLE = 2_000


class DifferentSizes(ImpossibleRequest, ValueError):
    """Images that differ in size were asked for as one tensor."""


class ImageStore(ABC):
    """Stored images by sample id, without interpretation. ``len()`` is N."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width), or None where images differ in size."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype: ...

    @abstractmethod
    def read(self, sample_id: int) -> torch.Tensor:
        """One image exactly as saved, (ch, H, W)."""

    @abstractmethod
    def take(self, ids: Ids) -> ImageStore:
        """The same images restricted to ``ids``, in that order, still unread."""

    def stacks(self, ids: Ids, most_px: int | None = None) -> Iterable[torch.Tensor]:
        """The images ``ids`` in order, as saved, in as many (n, ch, H, W) as it takes.

        ``most_px`` is for a quick look: an image longer than that may come reduced, where that is less work than reading
        all of it: by a divisor of the whole factor that ``reduction`` names.
        """
        if len(ids) and self.shape is not None:
            return [self.read_many(ids)]
        return (self.read(int(i))[None] for i in ids)

    def read_many(self, ids: Ids) -> torch.Tensor:
        """(n, ch, H, W) as saved. Raises DifferentSizes, which is a ValueError, where they cannot be stacked."""
        images = [self.read(int(i)) for i in ids]
        sizes = sorted({tuple(image.shape) for image in images})
        if len(sizes) > 1:
            raise DifferentSizes(
                f"images of this set differ in size ({_size(sizes[0])} and {_size(sizes[-1])}, for instance) and cannot be "
                "stacked into one tensor; resize them to one size first."
            )
        if not images:
            return torch.empty((0, *(self.shape or (0, 0, 0))), dtype=self.dtype)
        return torch.stack(images)


@dataclass(frozen=True, eq=False)
class TensorStore(ImageStore):
    """Images that are rows of one tensor (N, ch, H, W), usually memory-mapped.

    ``order`` maps sample id to row, so that a subset costs no copy.
    """

    tensor: torch.Tensor
    order: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.tensor) if self.order is None else len(self.order)

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(self.tensor.shape[1:])  # type: ignore[return-value]

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    def read(self, sample_id: int) -> torch.Tensor:
        return self.tensor[sample_id if self.order is None else int(self.order[sample_id])]

    def read_many(self, ids: Ids) -> torch.Tensor:
        return self.tensor[as_index(ids if self.order is None else self.order[np.asarray(ids, dtype=np.int64)])]

    def take(self, ids: Ids) -> TensorStore:
        rows = np.asarray(ids, dtype=np.int64)
        return TensorStore(self.tensor, rows if self.order is None else self.order[rows])


@dataclass(frozen=True, eq=False)
class Images:
    """A store together with what its numbers mean."""

    store: ImageStore
    pixel_space: PixelSpace

    def __len__(self) -> int:
        return len(self.store)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width), or None where images differ in size."""
        return self.store.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.store.dtype

    def stored(self, ids: Ids) -> torch.Tensor:
        """The images exactly as saved, (n, ch, H, W), in the stored dtype."""
        return self.store.read_many(ids)

    def unit(self, ids: Ids) -> torch.Tensor:
        """De-normalised images, float32 (n, ch, H, W), [0, 1] being the displayable range; not clamped."""
        return self.pixel_space.to_unit(self.stored(ids))

    def viewable(self, ids: Ids, contrast: Contrast = "as trained", most_px: int | None = None) -> list[np.ndarray]:
        """uint8 RGB images (H, W, 3), one an id; a list because a folder's images may differ in size.

        ``most_px`` lets those longer than that come reduced, see ``ImageStore.stacks``; never where the contrast depends
        on every pixel.
        """
        stacks = self.store.stacks(ids, most_px if contrast == "as trained" else None)
        return [image for stack in stacks for image in to_viewable(stack, self.pixel_space, contrast)]

    def sample_ids(self, most: int = IMAGES_A_SAMPLE) -> np.ndarray:
        """All ids, or ``most`` of them evenly spread where there are more; int64."""
        return np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.int64))

    @cached_property
    def out_of_range(self) -> tuple[float | None, int]:
        """(fraction of values outside the displayable range, number of images it was computed from)."""
        if self.pixel_space.kind == "uint8":
            return 0.0, len(self)  # no byte is outside 0 to 255, so none need be read
        ids = self.sample_ids()
        fractions = [out_of_range(self.store.read(int(i))[None], self.pixel_space) for i in ids]
        known = [fraction for fraction in fractions if fraction is not None]
        return (float(np.mean(known)) if known else None, len(ids))


def batches(images: Images, size: int) -> Iterator[np.ndarray]:
    """Ids of consecutive batches, int64, ``size`` at a time."""
    for start in range(0, len(images), size):
        yield np.arange(start, min(start + size, len(images)))


def reduction(longer_side: int, most_px: int) -> int:
    """The smallest whole factor that makes ``longer_side`` pixels ``most_px`` at most.

    A whole one, so that every pixel of the smaller image is the mean of as many whole pixels of the larger.
    """
    return math.ceil(longer_side / most_px)


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
