"""Which pixel space a tensor of images is in, with the evidence for it.

A detection is a proposal: it is shown with its evidence wherever the set is, and a person can overrule it.
"""

from __future__ import annotations

import re
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
_PROFILE_OF_SHAPE = {
    (1, 28): "mnist",
    (3, 32): "cifar10",
    **{(3, size): "imagenet" for size in (64, 128, 224)},
}
# File names of MTT and its descendants (FTD, TESLA, DATM, DD-Ranking): they normalise CIFAR-100 with CIFAR-10's numbers.
_MTT_NAME = re.compile(r"(ema_)?images(_best|_\d+)?\.pth?$", re.IGNORECASE)
_INVERTED_ZCA = re.compile(r"images_zca_", re.IGNORECASE)


def detect_pixel_space(sample: torch.Tensor, path: Path) -> PixelSpace:
    """The pixel space of ``sample`` (n, ch, H, W), judged by dtype, range and the names in and beside ``path``."""
    if sample.dtype == torch.uint8:
        return replace(PROFILES["uint8"], evidence="stored as bytes")
    values = sample.float()
    low, high = float(values.min()), float(values.max())
    spread = f"values {low:.2f} to {high:.2f}"
    if _INVERTED_ZCA.match(path.name):
        why = "images_zca_* is what MTT and DATM write once whitening is undone, about [0, 1]"
        return replace(PROFILES["unit"], evidence=f"{spread}; {why}")
    if whitened := _says_zca(path):
        return replace(PROFILES["zca"], evidence=f"{spread}; {whitened}")
    if low >= 0 and 1 < high <= 255 and bool((values == values.round()).all()):
        why = f"whole numbers stored as {sample.dtype}: bytes kept as floats?"
        return replace(PROFILES["unknown"], evidence=f"{spread}, {why}")
    if low >= -UNIT_SLACK and high <= 1 + UNIT_SLACK:
        return replace(PROFILES["unit"], evidence=f"{spread}, within [0, 1] or just around it")
    return _normalised(sample.shape[1], sample.shape[2], path, f"{spread}, outside [0, 1]")


def _says_zca(path: Path) -> str | None:
    """What beside the numbers says that a file is ZCA-whitened; the numbers alone cannot (measured: neighbouring pixels
    of whitened CIFAR-10 correlate by 0.68, of a normalised DC set by 0.39)."""
    if any("zca" in part.lower() for part in path.parts[-4:]):
        return "'zca' in the path"
    if path.is_file() and next(path.parent.glob("images_zca_*.pt"), None) is not None:
        return "images_zca_*.pt beside it, which MTT and DATM write only for whitened sets"
    return None


def _normalised(channels: int, height: int, path: Path, outside: str) -> PixelSpace:
    """Normalised with the numbers of the data set that the path names, or of the one whose image shape this is."""
    dataset = guess_dataset(path)
    profile = PROFILES.get(_PROFILE_OF_DATASET.get(dataset or "", ""))
    if dataset == "cifar100" and _MTT_NAME.match(path.name):
        profile = PROFILES["cifar10"]
    if profile is not None and len(profile.mean) == channels:
        return replace(profile, evidence=f"{outside}; the path names {dataset}: numbers of {profile.evidence}")
    usual = _PROFILE_OF_SHAPE.get((channels, height))
    if usual is None:
        return replace(PROFILES["unknown"], evidence=f"{outside}; no data set is known by name or image shape")
    why = (
        f"no data set is named, so the usual numbers for {channels}x{height} images are assumed "
        f"({PROFILES[usual].evidence}); ZCA-whitened files look alike: choose the profile if you know it"
    )
    return replace(PROFILES[usual], evidence=f"{outside}; {why}")
