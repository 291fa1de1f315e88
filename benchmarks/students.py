"""Students of several seeds side by side against a plain loop of torch training of the same students.

    python -m benchmarks.students [--seeds 5] [--steps 200] [--batch 64] [--width 32] [--images 200] [--exam 1500]

On random images 1x28x28 of 10 classes; every contender trains the same ConvNet-3 with the same optimiser and augmentation,
and answers the same exam. Ours also keeps the learning curve and reports after each student's step. The ratio is to ours.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from analysis.context import Context
from analysis.students.augmentation import Strength, augmented, drawn
from analysis.students.cohort import AllAtOnce, OneByOne
from analysis.students.networks import make_network
from analysis.students.task import Exam, Lesson, Schooling
from analysis.students.training import train
from benchmarks.common import compare, sizes

CLASSES, SHAPE, IMAGES_A_PASS = 10, (1, 28, 28), 250
Inputs = tuple[Lesson, Exam, Schooling]


def prepare(seeds: int, steps: int, batch: int, width: int, images: int, exam: int) -> Inputs:
    draw = torch.Generator().manual_seed(0)
    shown, asked = (torch.randn(n, *SHAPE, generator=draw) for n in (images, exam))
    labels, answers = (torch.randint(CLASSES, (n,), generator=draw) for n in (images, exam))
    schooling = Schooling(width=width, steps=steps, batch=batch, seeds=tuple(range(seeds)))
    return Lesson("lesson", shown, labels), Exam(asked, answers), schooling


def ours(lesson: Lesson, exam: Exam, schooling: Schooling) -> None:
    train([lesson], exam, schooling, CLASSES, Context())


def one_by_one(lesson: Lesson, exam: Exam, schooling: Schooling) -> None:
    train([lesson], exam, schooling, CLASSES, Context(), OneByOne)


def all_at_once(lesson: Lesson, exam: Exam, schooling: Schooling) -> None:
    train([lesson], exam, schooling, CLASSES, Context(), AllAtOnce)


def plain_loop(lesson: Lesson, exam: Exam, schooling: Schooling) -> None:
    """What one would write: one student after another."""
    for seed in schooling.seeds:
        network = make_network(schooling.network, SHAPE, CLASSES, schooling.width, seed)
        optimiser = torch.optim.SGD(
            network.parameters(), schooling.learning_rate, schooling.momentum, weight_decay=schooling.decay
        )
        draw = torch.Generator().manual_seed(seed)
        for step in range(schooling.steps):
            for group in optimiser.param_groups:
                group["lr"] = schooling.learning_rate * (1 + math.cos(math.pi * step / schooling.steps)) / 2
            ids = torch.randint(len(lesson), (schooling.batch,), generator=draw)
            images = augmented(lesson.images[ids], drawn(len(ids), Strength(), draw), Strength())
            loss = F.cross_entropy(network(images), lesson.labels[ids])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.inference_mode():
            torch.cat([network(part).argmax(dim=1) for part in exam.images.split(IMAGES_A_PASS)])


def main() -> None:
    given = sizes(__doc__.splitlines()[0], seeds=5, steps=200, batch=64, width=32, images=200, exam=1500)
    contenders = {"ours": ours, "plain loop": plain_loop, "one by one": one_by_one, "all at once": all_at_once}
    compare(contenders, prepare, given, warm=True)


if __name__ == "__main__":
    main()
