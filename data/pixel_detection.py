"""Which pixel space a tensor of images is in, with the evidence for it.

A detection is a proposal: it is shown with its evidence wherever the set is, and a person can overrule it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from data.known_datasets import guess_dataset
from data.pixels import PROFILES, PixelSpace

# Unclamped [0, 1] sets (IDC) overshoot a little; normalised ones reach past -1 as soon as anything is dark.
UNIT_SLACK = 0.35
_PROFILE_OF_DATASET = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "mnist": "mnist",
    "fashion-mnist": "fashion-mnist",
    "svhn": "svhn",
    "imagenet": "imagenet",
    "tiny-imagenet": "imagenet",
}


def detect_pixel_space(sample: torch.Tensor, path: Path) -> PixelSpace:
    """The pixel space of ``sample`` (n, ch, H, W), judged by dtype, range and the names in and beside ``path``."""
    if sample.dtype == torch.uint8:
        return replace(PROFILES["uint8"], evidence="stored as bytes")
    values = sample.float()
    low, high = float(values.min()), float(values.max())
    spread = f"values {low:.2f} to {high:.2f}"
    if "zca" in path.name.lower() and low >= -UNIT_SLACK and high <= 1 + UNIT_SLACK:
        return replace(PROFILES["unit"], evidence=f"{spread}; a ZCA set already mapped back to [0, 1] by its authors")
    if whitened := _says_zca(path):
        return replace(PROFILES["zca"], evidence=f"{spread}; {whitened}")
    if low >= 0 and high > 1 and high <= 255 and bool((values == values.round()).all()):
        return replace(
            PROFILES["unknown"], evidence=f"{spread}, whole numbers stored as {sample.dtype}: bytes kept as floats?"
        )
    if low >= -UNIT_SLACK and high <= 1 + UNIT_SLACK:
        return replace(PROFILES["unit"], evidence=f"{spread}, within [0, 1] or just around it")
    return _normalised(values, path, spread)


def _says_zca(path: Path) -> str | None:
    """What beside the numbers says that a file is ZCA-whitened; the numbers alone cannot (measured: neighbouring pixels
    of whitened CIFAR-10 correlate by 0.68, of a normalised DC set by 0.39)."""
    if any("zca" in part.lower() for part in path.parts[-4:]):
        return "'zca' in the path"
    if path.is_file() and next(path.parent.glob("images_zca_*.pt"), None) is not None:
        return "images_zca_*.pt beside it, which MTT and DATM write only for whitened sets"
    return None


def _normalised(values: torch.Tensor, path: Path, spread: str) -> PixelSpace:
    """Normalised with the numbers of the data set that the path names, or of the one whose image shape this is."""
    channels, height = values.shape[1], values.shape[2]
    dataset = guess_dataset(path)
    profile = PROFILES.get(_PROFILE_OF_DATASET.get(dataset or "", ""))
    if profile is not None and len(profile.mean) == channels:
        return replace(
            profile, evidence=f"{spread}, outside [0, 1]; the path names {dataset}: numbers of {profile.evidence}"
        )
    by_shape = {(1, 28): "mnist", (3, 32): "cifar10", (3, 64): "imagenet", (3, 128): "imagenet", (3, 224): "imagenet"}
    name = by_shape.get((channels, height))
    if name is None:
        return replace(
            PROFILES["unknown"], evidence=f"{spread}, outside [0, 1]; no data set is known by name or image shape"
        )
    evidence = (
        f"{spread}, outside [0, 1]; no data set is named, so the usual numbers for {channels}x{height} images are "
        f"assumed ({PROFILES[name].evidence}): choose the profile if you know it"
    )
    return replace(PROFILES[name], evidence=evidence)
