"""What students are asked: lessons to learn from, how they are schooled, an exam on real images, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch

Network = Literal["convnet", "resnet18", "linear"]
Teaching = Literal["hard", "soft", "soft only", "nkd", "uskd", "mse and ce", "z-loss", "top-k"]


@dataclass(frozen=True)
class Loss:
    """How a student is told what is right; ``analysis/students/losses.py`` has the formulas and their papers.

    ``temperature`` divides teacher's and student's logits, ``hard_weight`` is the weight of cross-entropy with the hard
    label where there is one, ``k`` the classes kept by "top-k".
    """

    teaching: Teaching = "hard"
    temperature: float = 1.0
    hard_weight: float = 0.5
    k: int = 5


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a student learns from: ``images`` float32 (n, ch, H, W) in the space of the exam's, hard ``labels`` int64 (n,),
    and ``logits`` float32 (n, C), the soft labels; None where only the hard ones are taught."""

    name: str
    images: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None = None
    loss: Loss = Loss()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Exam:
    """Real images that no student learns from: float32 (M, ch, H, W), and their labels int64 (M,). ``caveats`` say what was
    done to them."""

    images: torch.Tensor
    labels: torch.Tensor
    caveats: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Schooling:
    """How every student learns: ``steps`` batches of ``batch`` images, a cosine-decayed ``learning_rate``; ``width`` filters
    a layer of the ConvNet. Students differ in their ``seeds`` only, which draw weights, batches and augmentation.

    ``mirror`` lets augmentation mirror images, where that leaves them what they are (``material.may_mirror``), and ``crop``
    is the smallest share of an image's area that it may show alone, enlarged (random resized crops); 1 shows all."""

    network: Network = "convnet"
    width: int = 32
    steps: int = 200
    batch: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    decay: float = 5e-4
    augment: bool = True
    mirror: bool = False
    crop: float = 1.0
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


@dataclass(frozen=True, eq=False)
class Marks:
    """How the students of one lesson did: their ``predictions`` of the exam, int64 (S, M), one row a seed, and the
    learning ``curve`` with columns ``step``, ``seed``, ``accuracy`` (on a fixed part of the exam) and ``loss``."""

    lesson: str
    predictions: np.ndarray
    curve: pd.DataFrame

    def accuracies(self, labels: np.ndarray) -> np.ndarray:
        """Each student's share of right answers, float64 (S,)."""
        return (self.predictions == labels).mean(axis=1)

    def class_accuracies(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        """The same by class, float64 (S, C); NaN for a class that the exam does not ask."""
        asked = np.bincount(labels, minlength=num_classes)
        right = [np.bincount(labels, row == labels, num_classes) for row in self.predictions]
        return np.divide(right, asked, out=np.full((len(self.predictions), num_classes), np.nan), where=asked > 0)
