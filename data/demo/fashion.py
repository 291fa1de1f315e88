"""Fashion-MNIST from Debian's ``dataset-fashion-mnist``, and the splits that the demo set is made of."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.demo.recipe import CLASSES, MEAN, STD, Recipe, Tail
from data.errors import ImpossibleRequest, UnreadableInput

FOLDER = Path("/usr/share/datasets/fashion-mnist")
MOST_BYTES = 1 << 27
_BYTES_IDX = {1: b"\x00\x00\x08\x01", 3: b"\x00\x00\x08\x03"}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Real images, uint8 (n, 1, 28, 28), with their labels, int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, ids: np.ndarray) -> Labelled:
        return Labelled(self.images[ids], self.labels[ids])

    def per_class(self) -> np.ndarray:
        return np.bincount(self.labels, minlength=CLASSES)

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(images normalised, float32 (n, 1, 28, 28); labels int64 (n,))."""
        return normalised(self.images), torch.from_numpy(self.labels)


@dataclass(frozen=True)
class Splits:
    """``long_tail`` is what the set was distilled from; ``reference`` and ``fresh`` are training images outside it (and
    apart from each other); ``test`` is the whole test set and ``test_part`` the balanced part of it that ships."""

    long_tail: Labelled
    reference: Labelled
    fresh: Labelled
    test: Labelled
    test_part: Labelled


def load_splits(folder: Path, recipe: Recipe) -> Splits:
    """The splits, drawn with the recipe's seed. Raises UnreadableInput or ImpossibleRequest with one sentence."""
    train, test = _load(folder, "train"), _load(folder, "t10k")
    rng = np.random.default_rng(recipe.seed)
    counts = tail_counts(recipe.tail)
    long_tail, reference, fresh = [], [], []
    for c in range(CLASSES):
        ids = rng.permutation(np.flatnonzero(train.labels == c))
        kept, spare = ids[: counts[c]], ids[counts[c] :]
        if len(kept) < counts[c] or len(spare) < recipe.reference:
            raise ImpossibleRequest(
                f"class {c} of {folder} has {len(ids)} images but the recipe needs {counts[c] + recipe.reference}; "
                "ask for fewer."
            )
        long_tail.append(kept)
        reference.append(spare[: recipe.reference])
        fresh.append(spare[recipe.reference :])
    parts = [train.take(np.concatenate(ids)) for ids in (long_tail, reference, fresh)]
    return Splits(*parts, test=test, test_part=test.take(per_class_draw(test.labels, recipe.test, rng)))


def tail_counts(tail: Tail) -> np.ndarray:
    """Images of each class in the long-tailed training set, int64 (C,), from head to tail."""
    return np.floor(tail.head * tail.factor ** (-np.arange(CLASSES) / (CLASSES - 1)) + 1e-9).astype(np.int64)


def per_class_draw(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Ids of ``count`` random samples of every class, int64 (C * count,), class-major; ImpossibleRequest if too few."""
    if (have := np.bincount(labels, minlength=CLASSES)).min() < count:
        raise ImpossibleRequest(f"{count} images of every class are wanted, but class {have.argmin()} has {have.min()}.")
    return np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:count] for c in range(CLASSES)])


def normalised(images: np.ndarray) -> torch.Tensor:
    """uint8 (n, 1, 28, 28) -> float32 of the same shape, with Fashion-MNIST's mean and std."""
    return (torch.from_numpy(images).float() / 255 - MEAN) / STD


def _load(folder: Path, part: str) -> Labelled:
    images = _read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)
    labels = _read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(labels) or images.shape[1:] != (28, 28) or (len(labels) and labels.max() >= CLASSES):
        raise UnreadableInput(
            f"the {part} images and labels in {folder} are not Fashion-MNIST's (28x28, ten classes); install it again."
        )
    return Labelled(images[:, None], labels.astype(np.int64))


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An idx file of bytes (yann.lecun.com's format): magic, big-endian uint32 sizes, then the values."""
    if not path.exists():
        raise UnreadableInput(
            f"{path} is not there; install the images with `apt-get install dataset-fashion-mnist`, or say where they are "
            "with --fashion-mnist."
        )
    try:
        with gzip.open(path) as file:
            content = file.read(MOST_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableInput(f"{path} cannot be unpacked ({error}); install dataset-fashion-mnist again.") from error
    start = 4 + 4 * dimensions
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    if content[:4] != _BYTES_IDX[dimensions] or len(content) - start != int(np.prod(shape)):
        raise UnreadableInput(f"{path} is not a whole idx file; install dataset-fashion-mnist again.")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()  # torch wants to own it
