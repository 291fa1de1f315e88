"""Small distilled sets made in memory, whose right answers follow from how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data.distilled_set import DistilledSet, Provenance, Reference, numbered_classes
from data.images import Images, TensorStore
from data.pixels import PROFILES
from data.soft_labels import DenseSoftLabels

NOISE = 0.05
REFERENCE_A_CLASS = 30
TEST_A_CLASS = 6
TEACHER_NOISE = 0.5
TEACHER_MARGIN = 6.0


def made_set(
    n_per_class: Sequence[int] = (12, 12, 12),
    num_classes: int | None = None,
    channels: int = 3,
    size: int = 8,
    seed: int = 0,
    reference: bool = True,
    teachers: int = 2,
    test: bool = False,
) -> DistilledSet:
    """A set whose classes are far apart: each sample is its class's own random image plus a little noise.

    ``n_per_class`` holds one count a class, or a single count that ``num_classes`` repeats. Images are float32 in [0, 1].
    ``teachers`` label sources ("teacher 0", ...) hold logits, float32 (N, C), whose top class is the sample's own; the
    given source is the first of them again, as most published sets have it. ``reference`` adds 30 images a class made the
    same way, with four times the noise, ``test`` a test split of 6 a class. ``class_counts`` are 100 times ``n_per_class``.
    """
    counts = _counts(n_per_class, num_classes)
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    prototypes = rng.uniform(0.2, 0.8, (len(counts), channels, size, size))
    return DistilledSet(
        name="made",
        labels=labels,
        class_names=numbered_classes(len(counts)),
        provenance=Provenance(Path("made"), "made", "made in memory", ()),
        images=images_around(prototypes, labels, NOISE, rng),
        label_sources=_label_sources(labels, len(counts), teachers, rng),
        class_counts=100 * counts,
        reference=_real(prototypes, REFERENCE_A_CLASS, rng) if reference else None,
        test=_real(prototypes, TEST_A_CLASS, rng) if test else None,
    )


def images_around(prototypes: np.ndarray, labels: np.ndarray, noise: float, rng: np.random.Generator) -> Images:
    """Images (N, ch, H, W) in [0, 1]: ``prototypes`` (C, ch, H, W) by label, plus Gaussian noise of that std."""
    pixels = prototypes[labels] + noise * rng.standard_normal((len(labels), *prototypes.shape[1:]))
    return Images(TensorStore(torch.from_numpy(pixels.clip(0, 1)).float()), PROFILES["unit"])


def _counts(n_per_class: Sequence[int], num_classes: int | None) -> np.ndarray:
    counts = np.asarray(n_per_class, dtype=np.int64)
    return np.repeat(counts, num_classes) if num_classes is not None and len(counts) == 1 else counts


def _label_sources(
    labels: np.ndarray, num_classes: int, teachers: int, rng: np.random.Generator
) -> dict[str, DenseSoftLabels]:
    sources: dict[str, DenseSoftLabels] = {}
    for teacher in range(teachers):
        logits = TEACHER_NOISE * rng.standard_normal((len(labels), num_classes))
        logits[np.arange(len(labels)), labels] += TEACHER_MARGIN
        sources[f"teacher {teacher}"] = DenseSoftLabels(torch.from_numpy(logits).float(), "logits")
    return {"given": sources["teacher 0"], **sources} if sources else {}


def _real(prototypes: np.ndarray, a_class: int, rng: np.random.Generator) -> Reference:
    labels = np.repeat(np.arange(len(prototypes)), a_class)
    return Reference(images_around(prototypes, labels, 4 * NOISE, rng), labels)
