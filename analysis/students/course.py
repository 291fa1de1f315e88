"""One lesson's students, learning side by side from batches of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch

from analysis.device import SHARE, free_bytes, rows_that_fit
from analysis.even_sample import evenly_over_classes
from analysis.students.augmentation import Strength, augmented, drawn
from analysis.students.batches import Batches, generator
from analysis.students.checkpoint import Checkpoint, State, StudentMarks
from analysis.students.cohort import PASSES_A_STEP, Cohort, Worked
from analysis.students.losses import loss_function
from analysis.students.networks import make_network
from analysis.students.task import Exam, Lesson, Schooling

CURVE_POINTS = 12
MOST_ASKED_ON_THE_WAY = 300
"""The learning curve is of at most this many images of the exam, the same ones every time."""
COPIES_OF_A_BATCH = 4
"""As it was stored, brought to the device, augmented, and augmented together with the other students'."""
CURVE = ("step", "accuracy", "loss")


@dataclass(frozen=True, eq=False)
class Course:
    """What the students of one lesson have in common."""

    lesson: Lesson
    exam: Exam
    schooling: Schooling
    num_classes: int
    device: torch.device
    cohort: type[Cohort]

    @property
    def work(self) -> float:
        """What one student costs, in images that it is taken through, forward."""
        on_the_way = len(self.points) * len(self.asked_on_the_way)
        return self.step_work * self.schooling.steps + on_the_way + len(self.exam)

    @property
    def step_work(self) -> float:
        return PASSES_A_STEP * min(self.schooling.batch, len(self.lesson))

    @cached_property
    def points(self) -> tuple[int, ...]:
        """After how many steps there is a point of the learning curve."""
        steps = self.schooling.steps
        return tuple(sorted({-(-steps * point // CURVE_POINTS) for point in range(1, CURVE_POINTS + 1)} - {0}))

    @cached_property
    def asked_on_the_way(self) -> torch.Tensor:
        """Places in the exam, int64."""
        return torch.from_numpy(evenly_over_classes(self.exam.labels.numpy(), MOST_ASKED_ON_THE_WAY))

    def side_by_side(self, students: int) -> int:
        """How many of the ``students`` fit into memory at once, each with its batch and what its cohort holds of it."""
        channels, height, length = self.lesson.images.shape[1:]
        held = COPIES_OF_A_BATCH * channels + self.cohort.maps_held(self.schooling.network, self.schooling.width)
        images = min(self.schooling.batch, len(self.lesson))
        return rows_that_fit(4 * images * height * length * held, self.device, students)

    def taught(self) -> tuple[torch.Tensor, ...]:
        """The lesson's images, labels and, where there are any, soft labels; on the device where they fit there. Not kept
        here: a course outlives its run, and the device has no room for the lessons of all."""
        parts = (self.lesson.images, self.lesson.labels, self.lesson.logits)
        tensors = [part for part in parts if part is not None]
        fits = sum(part.nbytes for part in tensors) <= free_bytes(self.device) // SHARE
        return tuple(part.to(self.device) if fits else part for part in tensors)


class Run:
    """Students of ``course``, one a seed, from their first step or the one where ``checkpoint`` has them."""

    def __init__(self, course: Course, seeds: tuple[int, ...], checkpoint: Checkpoint) -> None:
        self._course, self._seeds, self._checkpoint = course, seeds, checkpoint
        schooling, shape = course.schooling, tuple(course.lesson.images.shape[1:])
        networks = [
            make_network(schooling.network, shape, course.num_classes, schooling.width, seed).to(course.device)
            for seed in seeds
        ]
        self._cohort = course.cohort(networks, loss_function(course.lesson.loss))
        self._optimiser = torch.optim.SGD(
            self._cohort.parameters, schooling.learning_rate, schooling.momentum, weight_decay=schooling.decay
        )
        self._taught = course.taught()
        self._batches = [Batches(seed, len(course.lesson), schooling.batch) for seed in seeds]
        self._step, self._since_point = 0, 0
        self._losses = torch.zeros(len(seeds))
        self._curve = torch.empty(0, len(seeds), len(CURVE), dtype=torch.float64)
        self._go_on_from(checkpoint.unfinished(seeds))

    def marks(self, worked: Worked, draft: Callable[[pd.DataFrame], None]) -> dict[int, StudentMarks]:
        """Let them learn to the end and answer the exam; by seed. ``draft`` is shown each new point of the curve."""
        course = self._course
        worked(len(self._seeds) * (self._step * course.step_work + len(self._curve) * len(course.asked_on_the_way)))
        while self._step < course.schooling.steps:
            self._learn(worked)
            if self._step in course.points:
                self._look(worked)
                draft(curve_table(dict(zip(self._seeds, self._curve.unbind(1), strict=True))))
            self._checkpoint.save(self._seeds, self._state)
        answers = self._cohort.answers(course.exam.images, worked)
        rows = zip(answers.unbind(0), self._curve.unbind(1), strict=True)
        marks = {
            seed: StudentMarks(said.clone(), curve.clone()) for seed, (said, curve) in zip(self._seeds, rows, strict=True)
        }
        self._checkpoint.finish(marks)
        return marks

    def _learn(self, worked: Worked) -> None:
        schooling = self._course.schooling
        for group in self._optimiser.param_groups:
            group["lr"] = schooling.learning_rate * (1 + math.cos(math.pi * self._step / schooling.steps)) / 2
        self._optimiser.zero_grad()
        self._losses += self._cohort.teach(*self._batch(), worked).cpu()
        self._optimiser.step()
        self._step += 1
        self._since_point += 1

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Images (S, B, ch, H, W), labels (S, B) and soft labels (S, B, C) or None, on the device."""
        images, labels, *soft = self._taught
        schooling, device = self._course.schooling, self._course.device
        ids = torch.stack([batches.at(self._step) for batches in self._batches]).to(images.device)
        shown = images[ids].to(device)
        if schooling.augment:
            strength = Strength(mirror=schooling.mirror, crop=schooling.crop)
            draws = (drawn(ids.shape[1], strength, generator(seed, "augment", self._step)) for seed in self._seeds)
            # One student at a time, so that not even rounding depends on how many there are.
            shown = torch.stack([augmented(each, numbers, strength) for each, numbers in zip(shown, draws, strict=True)])
        return shown, labels[ids].to(device), soft[0][ids].to(device) if soft else None

    def _look(self, worked: Worked) -> None:
        """Add a point to the learning curves."""
        exam, asked = self._course.exam, self._course.asked_on_the_way
        right = (self._cohort.answers(exam.images[asked], worked) == exam.labels[asked]).double().mean(dim=1)
        steps = torch.full_like(right, self._step)
        point = torch.stack([steps, right, self._losses.double() / self._since_point], dim=1)
        self._curve = torch.cat([self._curve, point[None]])
        self._losses.zero_()
        self._since_point = 0

    def _state(self) -> State:
        return {
            "step": self._step,
            "since_point": self._since_point,
            "losses": self._losses,
            "curve": self._curve,
            "students": self._cohort.state(),
            "optimiser": self._optimiser.state_dict(),
        }

    def _go_on_from(self, state: State | None) -> None:
        if state is None:
            return
        self._step, self._since_point = state["step"], state["since_point"]
        self._losses, self._curve = state["losses"], state["curve"]
        self._cohort.restore(state["students"])
        self._optimiser.load_state_dict(state["optimiser"])


def curve_table(curves: dict[int, torch.Tensor]) -> pd.DataFrame:
    """Columns ``step``, ``seed``, ``accuracy`` and ``loss``, of each seed's (points, 3)."""
    tables = [pd.DataFrame(curve.numpy(), columns=list(CURVE)).assign(seed=seed) for seed, curve in curves.items()]
    table = pd.concat(tables, ignore_index=True)[["step", "seed", "accuracy", "loss"]]
    return table.astype({"step": int, "seed": int})
