"""Students trained on lessons and marked on an exam, several seeds of a lesson side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.context import Context
from analysis.device import pick
from analysis.students.checkpoint import Checkpoint, Identity, StudentMarks
from analysis.students.cohort import Cohort, faster
from analysis.students.course import Course, Run, curve_table
from analysis.students.losses import check_teachable
from analysis.students.progress import Progress
from analysis.students.task import Exam, Lesson, Marks, Schooling
from data.errors import ImpossibleRequest


def train(
    lessons: Sequence[Lesson],
    exam: Exam,
    schooling: Schooling,
    num_classes: int,
    context: Context,
    cohort: type[Cohort] | None = None,
) -> list[Marks]:
    """Train one student for each of ``lessons`` and seeds of ``schooling``, and let it answer the whole ``exam``.

    A student depends on its lesson, the schooling and its seed only: it is the same whatever others learn beside it (on an
    accelerator but for rounding, which no two runs there need share), and students of one seed start from the same weights.
    With ``context.cache`` marks are kept, and a cancelled run goes on where it was. The mean learning curve of each lesson's
    students is drafted on the way. ``cohort`` is how a lesson's students learn side by side; where None, the faster way on
    the device. Raises ImpossibleRequest where lessons and exam do not fit each other, or a lesson lacks what its loss needs.
    """
    _check(lessons, exam, schooling)
    device = pick(context.device)
    cohort = cohort or faster(device)
    courses = [Course(lesson, exam, schooling, num_classes, device, cohort) for lesson in lessons]
    checkpoints = _checkpoints(courses, context)
    known = [_known(checkpoint, schooling.seeds) for checkpoint in checkpoints]
    missing = [tuple(seed for seed in dict.fromkeys(schooling.seeds) if seed not in marks) for marks in known]
    work = sum(course.work * len(seeds) for course, seeds in zip(courses, missing, strict=True))
    progress = Progress(context, work)
    found = []
    for course, checkpoint, marks, seeds in zip(courses, checkpoints, known, missing, strict=True):
        if seeds:
            marks |= _trained(course, checkpoint, seeds, progress)
        found.append(_together(course.lesson.name, marks, schooling.seeds))
        progress.draft(course.lesson.name, found[-1].curve, last=True)
    return found


def _check(lessons: Sequence[Lesson], exam: Exam, schooling: Schooling) -> None:
    if not schooling.seeds or not len(exam):
        raise ImpossibleRequest("no student can be marked without a seed and an exam; give at least one of each.")
    for lesson in lessons:
        check_teachable(lesson.loss, lesson.logits is not None)
        if not len(lesson):
            raise ImpossibleRequest(f"the lesson '{lesson.name}' has no image to learn from; give it at least one.")
        if lesson.images.shape[1:] != exam.images.shape[1:]:
            ours, theirs = ("x".join(map(str, images.shape[1:])) for images in (lesson.images, exam.images))
            raise ImpossibleRequest(
                f"the images of the lesson '{lesson.name}' are {ours} and those of the exam {theirs}; bring both to one "
                "size and as many channels."
            )


def _checkpoints(courses: Sequence[Course], context: Context) -> list[Checkpoint]:
    if context.cache is None or not courses:
        return [Checkpoint(None, "") for _ in courses]
    identity = Identity(courses[0])
    return [Checkpoint(context.cache, identity.of(course.lesson)) for course in courses]


def _known(checkpoint: Checkpoint, seeds: Sequence[int]) -> dict[int, StudentMarks]:
    found = ((seed, checkpoint.finished(seed)) for seed in seeds)
    return {seed: marks for seed, marks in found if marks is not None}


def _trained(course: Course, checkpoint: Checkpoint, seeds: tuple[int, ...], progress: Progress) -> dict[int, StudentMarks]:
    """Marks by seed; in groups where all students at once would not fit into memory."""
    name, size = course.lesson.name, course.side_by_side(len(seeds))
    marks: dict[int, StudentMarks] = {}
    for start in range(0, len(seeds), size):
        run = Run(course, seeds[start : start + size], checkpoint)
        marks |= run.marks(progress.of(name), lambda curve: progress.draft(name, curve))
    return marks


def _together(lesson: str, marks: dict[int, StudentMarks], seeds: Sequence[int]) -> Marks:
    curves = curve_table({seed: marks[seed].curve for seed in seeds})
    return Marks(lesson, np.stack([marks[seed].answers.numpy() for seed in seeds]), curves)
