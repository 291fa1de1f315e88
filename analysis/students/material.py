"""Lessons' images and the exam of a set, both in the pixels that its students see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from analysis.device import SHARE, free_bytes
from analysis.even_sample import evenly_over_classes
from analysis.students.task import Exam
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.images import Images
from data.known_datasets import guess_dataset
from data.pixels import PixelSpace
from data.soft_labels import Ids

MOST_ASKED = 20_000
MOST_EXAM_BYTES = 1 << 30
IMAGES_A_READ = 500
CENTRE, SPREAD = 0.5, 0.25
"""What pixels of [0, 1] are normalised with where their set names no mean and standard deviation of its own."""
MIRRORED = ("cifar10", "cifar100", "fashion-mnist", "tiny-imagenet", "imagenet")
"""Data sets of things that are the same in a mirror, as digits and letters are not."""


@dataclass(frozen=True)
class _Layout:
    """What students see: images of ``shape`` (ch, H, W), ``(unit - mean) / std``, the set's own where it is normalised."""

    space: PixelSpace
    shape: tuple[int, int, int]

    def of_set(self, stored: torch.Tensor) -> torch.Tensor:
        """Float32 (n, ch, H, W) of the set's images as stored: normalised ones stay as they are, to the bit."""
        return stored.float() if self.space.kind == "normalised" else (self.space.to_unit(stored) - CENTRE) / SPREAD

    def of_others(self, stored: torch.Tensor, space: PixelSpace) -> torch.Tensor:
        """The same of images from elsewhere, stored in ``space``, brought to the set's size."""
        unit = space.to_unit(stored)
        if tuple(unit.shape[2:]) != self.shape[1:]:
            unit = F.interpolate(unit, self.shape[1:], mode="bilinear", antialias=True, align_corners=False)
        if self.space.kind != "normalised":
            return (unit - CENTRE) / SPREAD
        mean, std = (unit.new_tensor(numbers).view(-1, 1, 1) for numbers in (self.space.mean, self.space.std))
        return (unit - mean) / std


def lesson_images(distilled_set: DistilledSet, ids: Ids | None = None) -> torch.Tensor:
    """The set's images ``ids`` (all where None) as students see them, float32 (n, ch, H, W).

    Images that are stored normalised stay as they are; bytes and [0, 1] are centred at 0.5 and divided by 0.25. Raises
    ImpossibleRequest where the set has no images, or of several sizes; where they were whitened; where they do not fit into
    memory.
    """
    layout = _layout(distilled_set)
    ids = np.arange(len(distilled_set)) if ids is None else np.asarray(ids, dtype=np.int64)
    needed = 4 * len(ids) * int(np.prod(layout.shape))
    if needed > free_bytes(torch.device("cpu")) // SHARE:
        raise ImpossibleRequest(
            f"the {len(ids):,} images take {needed / 2**30:.1f} GiB of memory, more than a quarter of what is free; let "
            "students learn from fewer."
        )
    lesson = torch.empty(len(ids), *layout.shape)
    for start in range(0, len(ids), IMAGES_A_READ):
        rows = ids[start : start + IMAGES_A_READ]
        lesson[start : start + len(rows)] = layout.of_set(_images(distilled_set).stored(rows))
    return lesson


def exam_of(distilled_set: DistilledSet) -> Exam:
    """The set's test split as its students see it: in its pixel space, channels and size.

    Images of another size are resized (bilinear, antialiased); of more than 20,000, or 1 GiB, as many are drawn, evenly
    over the classes and always the same; both are said in the exam's ``caveats``. Raises ImpossibleRequest where there is no
    test split, or it cannot be brought into the set's space.
    """
    layout, test = _layout(distilled_set), distilled_set.test
    if test is None or not len(test.labels):
        raise ImpossibleRequest(
            f"{distilled_set.name} has no test split, so nothing says what a student has learnt; add one."
        )
    _check_alike(test.images, layout)
    most = min(MOST_ASKED, max(1, MOST_EXAM_BYTES // (4 * int(np.prod(layout.shape)))))
    ids = evenly_over_classes(test.labels, most)
    asked = torch.empty(len(ids), *layout.shape)
    resized, done = 0, 0
    for stack in _stacks(test.images, ids):
        _check_channels(stack, layout)
        resized += len(stack) if tuple(stack.shape[2:]) != layout.shape[1:] else 0
        asked[done : done + len(stack)] = layout.of_others(stack, test.images.pixel_space)
        done += len(stack)
    caveats = _exam_caveats(len(ids), len(test.labels), resized, layout)
    return Exam(asked, torch.from_numpy(test.labels[ids].astype(np.int64)), caveats)


def may_mirror(distilled_set: DistilledSet) -> bool:
    """Whether a mirrored image is surely still of its class: for data sets known to be so, by the name in the path."""
    return guess_dataset(distilled_set.provenance.path) in MIRRORED


def _images(distilled_set: DistilledSet) -> Images:
    if distilled_set.images is None:
        raise ImpossibleRequest(f"{distilled_set.name} holds no images, so no student can learn from it; add its images.")
    return distilled_set.images


def _layout(distilled_set: DistilledSet) -> _Layout:
    images = _images(distilled_set)
    if not images.pixel_space.displayable:
        raise ImpossibleRequest(
            f"the pixels of {distilled_set.name} are {_in_words(images.pixel_space)}, and its files do not say how to bring "
            "real images there for an exam; choose a pixel space, or a set stored normalised."
        )
    if images.shape is not None:
        return _Layout(images.pixel_space, images.shape)
    raise ImpossibleRequest(f"the images of {distilled_set.name} differ in size, and a student sees one; resize them first.")


def _check_alike(images: Images, layout: _Layout) -> None:
    if not images.pixel_space.displayable:
        raise ImpossibleRequest(
            f"the pixels of the test split are {_in_words(images.pixel_space)}, so it cannot be brought into those of the "
            "set; choose a pixel space for it."
        )


def _check_channels(stack: torch.Tensor, layout: _Layout) -> None:
    if stack.shape[1] != layout.shape[0]:
        raise ImpossibleRequest(
            f"test images have {stack.shape[1]} channels and the set's {layout.shape[0]}; give a test split with as many."
        )


def _in_words(space: PixelSpace) -> str:
    return "ZCA-whitened" if space.kind == "zca" else "in an unknown space"


def _stacks(images: Images, ids: np.ndarray) -> Iterator[torch.Tensor]:
    for start in range(0, len(ids), IMAGES_A_READ):
        yield from images.store.stacks(ids[start : start + IMAGES_A_READ])


def _exam_caveats(asked: int, of: int, resized: int, layout: _Layout) -> tuple[str, ...]:
    caveats = []
    if asked < of:
        caveats.append(f"The exam asks {asked:,} of the {of:,} test images, drawn evenly over the classes.")
    if resized:
        size = "x".join(map(str, layout.shape[1:]))
        caveats.append(f"{resized:,} of {asked:,} test images were resized to the set's {size} pixels.")
    return tuple(caveats)
