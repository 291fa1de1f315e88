"""What is kept of students: the marks of those who have finished, and where the others are."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from analysis.kept_files import load, save
from analysis.students.task import Exam, Lesson, Schooling
from data.errors import ImpossibleRequest

VERSION = 1  # of the marks: a change in training must not find those of the one before
SECONDS_BETWEEN_SAVES = 5.0
SAVE_SHARE = 20
"""Saving takes at most one part in this many of the time."""

State = dict[str, Any]


@dataclass(frozen=True)
class StudentMarks:
    """How one student did: ``answers`` to the exam int64 (M,), and ``curve`` float64 (points, 3) of step, accuracy, loss."""

    answers: torch.Tensor
    curve: torch.Tensor


class Asked(Protocol):
    """What all lessons of a run have in common: a Course."""

    exam: Exam
    schooling: Schooling
    num_classes: int
    device: torch.device
    cohort: type


class Identity:
    """Names of students by all that their marks depend on. Tensors are read once, however many lessons share them."""

    def __init__(self, asked: Asked) -> None:
        self._digests: dict[int, str] = {}
        exam = (self._digest(asked.exam.images), self._digest(asked.exam.labels))
        schooling = sorted((name, value) for name, value in asdict(asked.schooling).items() if name != "seeds")
        self._shared = (VERSION, exam, schooling, asked.num_classes, asked.device.type, asked.cohort.__name__)

    def of(self, lesson: Lesson) -> str:
        """The name of its students but for their seeds: another for another lesson, exam, schooling, or way to compute."""
        parts = (lesson.images, lesson.labels, lesson.logits)
        taught = [None if part is None else self._digest(part) for part in parts]
        key = (self._shared, taught, sorted(asdict(lesson.loss).items()))
        return hashlib.sha256(repr(key).encode()).hexdigest()

    def _digest(self, tensor: torch.Tensor) -> str:
        if id(tensor) not in self._digests:
            digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            for rows in tensor.split(max(1, len(tensor) // 64)) if len(tensor) else ():
                digest.update(np.ascontiguousarray(rows.detach().cpu().numpy()))
            self._digests[id(tensor)] = digest.hexdigest()
        return self._digests[id(tensor)]


class Checkpoint:
    """Files of the students called ``name`` in ``folder``; nothing is kept where it is None."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = None if folder is None else folder / "students"
        self._name = name
        self._due = time.monotonic() + SECONDS_BETWEEN_SAVES

    def finished(self, seed: int) -> StudentMarks | None:
        kept = self._load(self._finished(seed))
        return None if kept is None else StudentMarks(**kept)

    def finish(self, marks: dict[int, StudentMarks]) -> None:
        """Keep the marks of students by seed, and forget how they got there."""
        if self._folder is None:
            return
        with self._open() as folder:
            for seed, each in marks.items():
                save(vars(each), folder / self._finished(seed))
            (folder / self._unfinished(tuple(marks))).unlink(missing_ok=True)

    def unfinished(self, seeds: tuple[int, ...]) -> State | None:
        """Where the students of these ``seeds`` were when they were saved last."""
        return self._load(self._unfinished(seeds))

    def save(self, seeds: tuple[int, ...], state: Callable[[], State]) -> None:
        """Keep ``state()`` if it is time to."""
        if self._folder is None or time.monotonic() < self._due:
            return
        began = time.monotonic()
        with self._open() as folder:
            save(state(), folder / self._unfinished(seeds))
        ended = time.monotonic()
        self._due = ended + max(SECONDS_BETWEEN_SAVES, SAVE_SHARE * (ended - began))

    def _load(self, file: str) -> State | None:
        if self._folder is None:
            return None
        with self._open() as folder:
            return load(folder / file)

    @contextmanager
    def _open(self) -> Iterator[Path]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield self._folder
        except OSError as error:
            raise ImpossibleRequest(
                f"students cannot be kept in {self._folder} ({error.strerror or error}); free space or name another folder."
            ) from error

    def _finished(self, seed: int) -> str:
        return f"{self._name}-{seed}.marks"

    def _unfinished(self, seeds: tuple[int, ...]) -> str:
        return f"{self._name}-{hashlib.sha256(repr(seeds).encode()).hexdigest()[:12]}.partial"
