"""Data sets whose classes the whole field numbers alike, recognised by a name in the path."""

from __future__ import annotations

import re
from pathlib import Path

_CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "mnist": tuple("0123456789"),
    "svhn": tuple("0123456789"),
}

_CLASS_COUNTS = {**{name: len(names) for name, names in _CLASS_NAMES.items()}, "cifar100": 100, "tiny-imagenet": 200}
# DATM keeps five folders between a file and its data set's: logged_files/CIFAR10/10/ConvNet/{run}/Normal/images_best.pt
_FOLDERS_LOOKED_AT = 5

# Longer names first: "cifar100" contains "cifar10", "fashionmnist" contains "mnist".
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("cifar100", r"cifar[-_ ]?100"),
    ("cifar10", r"cifar[-_ ]?10(?!\d)"),
    ("fashion-mnist", r"fashion[-_ ]?mnist|(?<![a-z])fashion(?![a-z])"),
    ("mnist", r"mnist"),
    ("svhn", r"svhn"),
    ("tiny-imagenet", r"tiny[-_ ]?image[-_ ]?net|(?<![a-z])tiny(?![a-z])"),
    ("imagenet", r"image[-_ ]?net|in1k|in[-_]?21k"),
)


def guess_dataset(path: Path) -> str | None:
    """The data set that the file name, or else the nearest of its folders, names; None where none does."""
    for part in (path.name, *(parent.name for parent in list(path.parents)[:_FOLDERS_LOOKED_AT])):
        for name, pattern in _PATTERNS:
            if re.search(pattern, part.lower()):
                return name
    return None


def class_names_of(dataset: str | None) -> tuple[str, ...]:
    """Class names in the field's order, or () where they are not known here."""
    return _CLASS_NAMES.get(dataset or "", ())


def class_count_of(dataset: str | None) -> int | None:
    """How many classes the data set has, or None where that is not known here (ImageNet goes by subsets of itself)."""
    return _CLASS_COUNTS.get(dataset or "")
