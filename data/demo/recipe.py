"""Every number that the demo set depends on, in one place; ``recipe.json`` records it beside the files."""

from __future__ import annotations

from dataclasses import dataclass

CLASSES = 10
MEAN, STD = 0.2861, 0.3530  # Fashion-MNIST in DC (data.pixels.PROFILES["fashion-mnist"])
BLACK = -MEAN / STD


@dataclass(frozen=True)
class Tail:
    """Class c of the original training set holds ``head * factor ** (-c / (C - 1))`` images (LT-CIFAR's rule)."""

    head: int = 5_000
    factor: float = 100.0


@dataclass(frozen=True)
class Matching:
    """Distribution matching: ``learning_rate`` acts on pixels; ``real_batch`` real images a class an iteration."""

    iterations: int = 700
    learning_rate: float = 10.0
    momentum: float = 0.5
    real_batch: int = 48
    width: int = 32


@dataclass(frozen=True)
class Teacher:
    """``images_per_class`` None trains on the long-tailed set; a number, on that many fresh images of every class."""

    name: str
    network: str
    epochs: int
    learning_rate: float
    images_per_class: int | None = None


@dataclass(frozen=True)
class Students:
    """ConvNets trained on 200 images, to see what the set teaches; one a seed and a training set."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    epochs: int = 100
    learning_rate: float = 0.05
    width: int = 32


@dataclass(frozen=True)
class Planted:
    """``flips`` labels are changed, half of them to a confusable class; ``copies`` images of one class are near-copies."""

    flips: int = 16
    copies: int = 3
    copies_class: int = 1
    copy_noise: float = 0.08


@dataclass(frozen=True)
class Recipe:
    """The whole recipe. ``reference`` and ``test`` are real images a class that ship with the set."""

    seed: int = 20211004
    images_per_class: int = 20
    reference: int = 60
    test: int = 150
    tail: Tail = Tail()
    matching: Matching = Matching()
    students: Students = Students()
    planted: Planted = Planted()
    teachers: tuple[Teacher, ...] = (
        Teacher("weak", "linear", epochs=1, learning_rate=0.002),
        Teacher("medium", "convnet", epochs=6, learning_rate=0.02),
        Teacher("strong", "convnet", epochs=4, learning_rate=0.05, images_per_class=2_000),
    )
