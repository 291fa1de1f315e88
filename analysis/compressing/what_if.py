"""What students make of a compressed set, before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch

from analysis.compressing.combined import Wish, combine, sides_that_fit
from analysis.compressing.mosaics import enlarged_tiles
from analysis.compressing.ranks import turn_of
from analysis.context import Context
from analysis.corrections.logits import logits_of
from analysis.findings import SHARE, Figure
from analysis.label_sources import choose
from analysis.students.comparison import Paired, paired
from analysis.students.draws import drawn_by_class, train_drawn
from analysis.students.material import exam_of, lesson_images
from analysis.students.task import Exam, Lesson, Loss, Marks, Schooling
from analysis.students.told import (
    Marked,
    accuracy_columns,
    accuracy_figure,
    common_caveats,
    curve_table,
    difference_figures,
    differences_table,
)
from analysis.students.training import train
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Labels = Literal["hard", "soft"]
WHOLE, KEPT, RANDOM = "whole set", "kept", "as many random images"
FEWER, ENLARGED = "as many whole images", ", tiles enlarged"
CHOOSING, COMBINING = 0, 2
"""Which of the pairs tell what choosing images does beyond drawing them, and combining beyond taking as many."""
READING = 0.1
"""The part of the progress until students begin to learn."""
OWN_DRAW = "Each seed draws random images of its own, so that intervals against them hold the chance of the draw as well."
SEEN_LARGE = (
    "Students see whole images in the exam: mosaics teach them only as far as training enlarges the tiles, which PCA's and "
    "RDED's random resized crops do"
)
WITHOUT_CROPS = (
    "these students learn without (augment, and a crop below 1), so plain mosaics show what becomes of them then."
)


@dataclass(frozen=True)
class Asked:
    """``order`` int64 (N,): all ids, class by class, best first; ``kept`` bool (N,); what to ``combine``; which ``labels``
    teach, from which ``source``, at what ``temperature``; how students learn, and the ``seed`` that, with each student's,
    draws its random images."""

    order: np.ndarray
    kept: np.ndarray
    combine: Wish
    labels: Labels
    source: str
    temperature: float
    schooling: Schooling
    seed: int


@dataclass(frozen=True)
class Told:
    """Tables "what if", "differences" and "learning curve", figures and sentences; nothing where no student was asked."""

    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    caveats: tuple[str, ...] = ()


def what_if(distilled_set: DistilledSet, asked: Asked, context: Context) -> Told:
    """Train students on the whole set, the kept images, as many random images of each class, the mosaics of the kept, as
    they are and with their tiles enlarged, and as many whole images as there are mosaics; examine them on the test split.

    Where students cannot be asked, a figure without a value says why.
    """
    try:
        exam = exam_of(distilled_set)
        lessons, said = _lessons(distilled_set, asked)
    except ImpossibleRequest as error:
        return Told(figures=(Figure("Accuracy of students of the kept images", None, f"{error}", 0, SHARE),))
    context.report(READING, "students begin to learn")
    marks = _marks(lessons, distilled_set, asked, exam, context.part(READING, 1))
    marked = Marked.of(distilled_set, marks, exam, asked.schooling)
    names = [lesson.name for lesson in lessons]
    pairs = _pairs(names)
    found = [paired(marks[names.index(other)], marks[names.index(name)], marked.labels) for name, other in pairs]
    compared = [f"{name}, less {other}" for name, other in pairs]
    return Told(
        {
            "what if": pd.DataFrame([_row(lesson, marked, place) for place, lesson in enumerate(lessons)]),
            "differences": differences_table(compared, found),
            "learning curve": curve_table(marked),
        },
        tuple(_figures(marked, names, compared, found)),
        (*said, *exam.caveats, *common_caveats(marked, distilled_set.class_counts is not None)),
    )


def _marks(
    lessons: Sequence[Lesson], distilled_set: DistilledSet, asked: Asked, exam: Exam, context: Context
) -> list[Marks]:
    """Those of ``lessons``, in their order; of the random ones each seed's students learn from a draw of their own."""
    place, classes = [lesson.name for lesson in lessons].index(RANDOM), distilled_set.num_classes
    fixed = [*lessons[:place], *lessons[place + 1 :]]
    first = len(fixed) / len(lessons)
    marks = train(fixed, exam, asked.schooling, classes, context.part(0, first))
    drawn = train_drawn(
        lambda seed: [_random(distilled_set, asked, seed)], exam, asked.schooling, classes, context.part(first, 1)
    )
    return [*marks[:place], *drawn, *marks[place:]]


def _random(distilled_set: DistilledSet, asked: Asked, seed: int) -> Lesson:
    """As many images of each class as are kept, drawn by the student's ``seed``."""
    labels = distilled_set.labels
    counts = np.bincount(labels[asked.kept], minlength=distilled_set.num_classes)
    return _lesson(RANDOM, distilled_set, drawn_by_class(labels, counts, (asked.seed, seed)), asked)


def _lessons(distilled_set: DistilledSet, asked: Asked) -> tuple[list[Lesson], tuple[str, ...]]:
    """The lessons, the random one being the first seed's, and sentences about what is not among them. Raises
    ImpossibleRequest where nothing can be taught."""
    kept, whole = np.flatnonzero(asked.kept), np.arange(len(distilled_set))
    lessons = [_lesson(name, distilled_set, ids, asked) for name, ids in ((WHOLE, whole), (KEPT, kept))]
    lessons.append(_random(distilled_set, asked, asked.schooling.seeds[0]))
    factor = asked.combine.factor
    if factor == 1 or (why_not := sides_that_fit(distilled_set, factor)):
        return lessons, (OWN_DRAW, *([f"Mosaics were not taught: {why_not}"] if factor > 1 else []))
    combined, repeated = combine(distilled_set, asked.combine)
    mosaics = _lesson(f"mosaics of {factor} x {factor}", combined.set, np.arange(len(combined.set)), asked)
    fewer = _first_of_each(distilled_set.labels, asked.order, combined.set.per_class)
    lessons += [_lesson(FEWER, distilled_set, fewer, asked), mosaics, _enlarged(mosaics, factor)]
    said = [f"{repeated:,} tiles are of images that are in a mosaic already, to fill their class's last one."] * (
        repeated > 0
    )
    cropped = asked.schooling.augment and asked.schooling.crop < 1
    return lessons, (OWN_DRAW, f"{SEEN_LARGE}." if cropped else f"{SEEN_LARGE}; {WITHOUT_CROPS}", *said)


def _enlarged(mosaics: Lesson, factor: int) -> Lesson:
    """Each tile of the mosaics as an image of full size, with its mosaic's labels."""
    times = factor**2
    logits = None if mosaics.logits is None else mosaics.logits.repeat_interleave(times, dim=0)
    labels = mosaics.labels.repeat_interleave(times)
    images = enlarged_tiles(mosaics.images, factor)
    return replace(mosaics, name=f"{mosaics.name}{ENLARGED}", images=images, labels=labels, logits=logits)


def _first_of_each(labels: np.ndarray, order: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The first ``n`` int64 (C,) images of each class in ``order``, ascending."""
    return np.flatnonzero(turn_of(labels, order) < n[labels])


def _lesson(name: str, distilled_set: DistilledSet, ids: np.ndarray, asked: Asked) -> Lesson:
    lesson = Lesson(name, lesson_images(distilled_set, ids), torch.from_numpy(distilled_set.labels[ids]))
    if asked.labels == "hard":
        return lesson
    logits = logits_of(choose(distilled_set, asked.source).labels, ids)
    return replace(lesson, logits=logits, loss=Loss("soft", asked.temperature))


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """(what, against what): each is compared with what one could have instead."""
    pairs = [(KEPT, RANDOM), (KEPT, WHOLE)]
    if FEWER not in names:
        return pairs
    *_, plain, enlarged = names
    return [*pairs, (enlarged, FEWER), (enlarged, KEPT), (plain, FEWER)]


def _row(lesson: Lesson, marked: Marked, place: int) -> dict[str, object]:
    return {"students": lesson.name, **accuracy_columns(marked, place), "images": len(lesson)}


def _figures(marked: Marked, names: Sequence[str], compared: Sequence[str], found: Sequence[Paired]) -> list[Figure]:
    """What is left of the whole set's accuracy, and what choosing and combining made of it, each difference twice for its
    two intervals. All else stands in the tables."""
    figures = [accuracy_figure(f"Accuracy: {name}", marked, names.index(name)) for name in (WHOLE, KEPT)]
    for place in (CHOOSING, COMBINING)[: len(compared) - 1]:
        figures += difference_figures(compared[place].capitalize(), found[place], marked)
    return figures
