"""The parameters that every analysis with students has, as their forms show them, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from analysis.registry import Between
from analysis.students.material import may_mirror
from analysis.students.task import Network, Schooling
from data.distilled_set import DistilledSet

Temperature = Annotated[float, Between(0.01, 100)]
HardWeight = Annotated[float, Between(0.0, 1.0)]
Kept = Annotated[int, Between(1, 100_000)]
Width = Annotated[int, Between(4, 512)]
Steps = Annotated[int, Between(1, 1_000_000)]
LearningRate = Annotated[float, Between(1e-6, 10)]
Seeds = Annotated[int, Between(1, 100)]
Crop = Annotated[float, Between(0.05, 1.0)]


def schooling(
    distilled_set: DistilledSet, network: Network, width: int, steps: int, learning_rate: float, augment: bool, seeds: int
) -> Schooling:
    """Students of seeds 0 to ``seeds`` - 1, mirrored images among their augmentation only where the data allow it."""
    return Schooling(
        network=network,
        width=width,
        steps=steps,
        learning_rate=learning_rate,
        augment=augment,
        mirror=augment and may_mirror(distilled_set),
        seeds=tuple(range(seeds)),
    )


def cropped(schooling: Schooling, crop: float) -> Schooling:
    """With random resized crops of at least ``crop`` of the area, where there is augmentation for them to be part of."""
    return replace(schooling, crop=crop) if schooling.augment else schooling


def schooled(schooling: Schooling) -> str:
    """How the students learnt, in words."""
    names = {"convnet": f"ConvNet-3, {schooling.width} wide", "resnet18": "ResNet-18", "linear": "linear classifier"}
    augmented = "augmented" if schooling.augment else "not augmented"
    if schooling.augment and schooling.crop < 1:
        augmented += f" with random crops of {100 * schooling.crop:.3g}% of the image or more"
    count = len(schooling.seeds)
    return f"{count} seed{'s' if count != 1 else ''}, {names[schooling.network]}, {schooling.steps:,} steps, {augmented}"
