"""Real images to learn from: the whole reference, and as many of it at random as the distilled set has."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.context import Context
from analysis.corrections.logits import LEAST_PROBABILITY
from analysis.even_sample import evenly_over_classes
from analysis.probes.convnet_training import TrainingSettings
from analysis.probes.reference_model import judged_by_reference_model
from analysis.students.draws import drawn_by_class
from analysis.students.material import MOST_ASKED, MOST_EXAM_BYTES, exam_of
from analysis.students.task import Exam, Lesson, Loss
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest
from data.images import Images


@dataclass(frozen=True, eq=False)
class RealImages:
    """Reference images as students see them, float32 (M, ch, H, W), with their ``labels`` int64 (M,); ``of`` counts the
    whole reference, and ``logits`` float32 (M, C) are its soft labels where the set's own way of teaching asks for some."""

    images: torch.Tensor
    labels: np.ndarray
    of: int
    logits: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def all(self, name: str) -> Lesson:
        """All of them, with hard labels."""
        return Lesson(name, self.images, torch.from_numpy(self.labels))

    def some(self, name: str, counts: np.ndarray, seed: int, loss: Loss) -> Lesson:
        """``counts`` (C,) of each class at random, or all there are, taught by ``loss``."""
        ids = torch.from_numpy(drawn_by_class(self.labels, counts, seed))
        logits = None if self.logits is None else self.logits[ids]
        return Lesson(name, self.images[ids], torch.from_numpy(self.labels)[ids], logits, loss)

    def short_of(self, counts: np.ndarray) -> int:
        """How many images fewer than ``counts`` (C,) a random draw has."""
        return int(np.maximum(counts - np.bincount(self.labels, minlength=len(counts)), 0).sum())


def asked_and_taught(exam: Exam, images: torch.Tensor) -> int:
    """How many images of the ``exam`` are, pixel for pixel, among those that a student learns from, ``images`` (n, ch, H, W)
    in the same space."""
    taught = {_digest(image) for image in images}
    return sum(_digest(image) in taught for image in exam.images)


def real_images(distilled_set: DistilledSet, most: int, soft: bool, width: int, context: Context) -> RealImages:
    """At most ``most`` images of the reference, evenly over the classes.

    With ``soft`` they are labelled by a ConvNet ``width`` wide that is trained on them (analysis.probes.reference_model,
    kept in the cache), as nobody has labels of the set's own teacher for them. Raises ImpossibleRequest where the set has no
    reference, or it cannot be brought into the set's pixels.
    """
    reference = distilled_set.reference
    if reference is None or not len(reference.labels):
        raise ImpossibleRequest(f"{distilled_set.name} has no reference of real images to compare with; add one.")
    shape = distilled_set.images.shape or (1, 1, 1)
    fitting = min(most, MOST_ASKED, max(1, MOST_EXAM_BYTES // (4 * int(np.prod(shape)))))
    ids = evenly_over_classes(reference.labels, fitting)
    part = Reference(Images(reference.images.store.take(ids), reference.images.pixel_space), reference.labels[ids])
    seen = exam_of(replace(distilled_set, test=part))
    logits = _labelled(distilled_set, part, width, context) if soft else None
    return RealImages(seen.images, seen.labels.numpy(), len(reference.labels), logits)


def _digest(image: torch.Tensor) -> bytes:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


def _labelled(distilled_set: DistilledSet, part: Reference, width: int, context: Context) -> torch.Tensor:
    asked = replace(
        distilled_set, images=part.images, labels=part.labels, label_sources={}, derived_sources={}, reference=part
    )
    judged = judged_by_reference_model(asked, TrainingSettings(width=width), context)
    return judged.result.probabilities.clamp_min(LEAST_PROBABILITY).log()
