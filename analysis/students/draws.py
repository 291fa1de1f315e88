"""Lessons that are drawn anew for each seed, so that the spread over seeds holds the draw as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.context import Context
from analysis.students.task import Exam, Lesson, Marks, Schooling
from analysis.students.training import train


def drawn_by_class(labels: np.ndarray, counts: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
    """Ids int64, ascending: ``counts`` (C,) samples of each class at random, or all where ``labels`` (N,) have fewer."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    sizes = np.bincount(labels, minlength=len(counts))
    turn = np.arange(len(labels)) - (np.cumsum(sizes) - sizes)[labels[order]]
    return np.sort(order[turn < np.asarray(counts)[labels[order]]])


def train_drawn(
    lessons_of: Callable[[int], Sequence[Lesson]], exam: Exam, schooling: Schooling, num_classes: int, context: Context
) -> list[Marks]:
    """``analysis.students.training.train`` with the lessons that ``lessons_of`` each seed are, one student each; for every
    seed as many, and of the same names."""
    seeds = schooling.seeds
    marks = []
    for place, seed in enumerate(seeds):
        part = context.part(place / len(seeds), (place + 1) / len(seeds))
        marks.append(train(lessons_of(seed), exam, replace(schooling, seeds=(seed,)), num_classes, part))
    return [_together(of_lesson) for of_lesson in zip(*marks, strict=True)]


def _together(marks: Sequence[Marks]) -> Marks:
    predictions = np.concatenate([one.predictions for one in marks])
    return Marks(marks[0].lesson, predictions, pd.concat([one.curve for one in marks], ignore_index=True))
