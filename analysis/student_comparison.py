"""Students trained before and after a correction or a curation, and examined on real images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from analysis.class_groups import TAIL
from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.registry import LabelSource, analysis
from analysis.students.arms import Arms, Asked, Losses, arms
from analysis.students.comparison import Paired, over_seeds, paired
from analysis.students.material import exam_of
from analysis.students.options import (
    Crop,
    HardWeight,
    Kept,
    LearningRate,
    Seeds,
    Steps,
    Temperature,
    Width,
    cropped,
    schooling,
)
from analysis.students.task import Loss, Network, Schooling
from analysis.students.told import (
    POINTS,
    Marked,
    accuracy_columns,
    accuracy_figure,
    common_caveats,
    curve_table,
    difference_figures,
    differences_table,
    estimate_figure,
    groups_table,
    no_scores,
    nsd_figure,
    per_class_of,
)
from analysis.students.training import train
from data.distilled_set import DistilledSet

READING = 0.02  # of the progress
LEFT_OUT = -1


@analysis(
    title="Students",
    meaning=(
        "Trains small networks on the set as it was and as it is after a correction or people's decisions, and lets both "
        "classify real test images that neither has seen. The difference says what the change is worth, and its intervals "
        "whether that is more than chance."
    ),
    paper=(
        "Dataset Condensation with Gradient Matching (arXiv 2006.05929) for how distilled sets are judged; The Hitchhiker's "
        "Guide to Testing Statistical Significance (doi:10.18653/v1/P18-1128)"
    ),
    needs=("images", "test split"),
    reads_verdicts=True,
    reads_pruned=True,
    takes_minutes=True,
)
def student_comparison(
    distilled_set: DistilledSet,
    context: Context,
    *,
    before: Annotated[str, LabelSource("hard labels")] = "",
    after: Annotated[str, LabelSource()] = "",
    losses: Losses = "usual",
    after_decisions: bool = True,
    seeds: Seeds = 5,
    steps: Steps = Schooling.steps,
    temperature: Temperature = 1.0,
    hard_weight: HardWeight = 0.5,
    k: Kept = 5,
    network: Network = "convnet",
    width: Width = 32,
    learning_rate: LearningRate = 0.05,
    augment: bool = True,
    crop: Crop = 1.0,
) -> Findings:
    """{before, after} x ``losses``, each lesson taught to ``seeds`` students.

    With "usual" losses a side is taught by soft labels where a source is named for it, else by hard ones; where none is
    named and no decision changes anything, hard labels are compared with the given source, or the first. ``after_decisions``
    gives the after side the classes that people named and leaves out what they pruned. ``temperature``, ``hard_weight`` and
    ``k`` are those of analysis.students.task.Loss. A ``crop`` below 1 lets augmentation show a random part of at least that
    share of an image's area, enlarged: what mosaics, and sets made for random resized crops, are to be learnt with.

    Tables: "students" (accuracy and NSD of each), "differences" (each pair, with the chance of seeds and that of test images
    kept apart), "groups" (by head, medium and tail), "learning curve". Per class there are the first pair's accuracies. A
    comparison scores and flags no image: students are marked together.
    """
    context.report(0.0, "reading the images")
    loss = Loss("hard", temperature, hard_weight, k)
    lessons = arms(distilled_set, context.verdicts, Asked(before, after, after_decisions, losses, loss))
    exam = exam_of(distilled_set)
    taught = cropped(schooling(distilled_set, network, width, steps, learning_rate, augment, seeds), crop)
    classes = distilled_set.num_classes
    marks = train(lessons.lessons(distilled_set), exam, taught, classes, context.part(READING, 1))
    marked = Marked.of(distilled_set, marks, exam, taught)
    compared = [paired(marks[first], marks[second], marked.labels) for first, second in lessons.pairs]
    return Findings(
        per_sample=_per_sample(distilled_set, lessons),
        per_class=per_class_of(distilled_set, marked, _sides(lessons)),
        summary=_summary(marked, lessons, compared),
        caveats=(*lessons.caveats, *exam.caveats, *_caveats(distilled_set, marked, lessons, compared)),
        headline="difference" if compared else "accuracy",
        tables=_tables(marked, lessons, compared),
    )


def _sides(lessons: Arms) -> dict[str, int]:
    """What is compared per class: the first pair, or the only arm."""
    return dict(zip(("before", "after"), lessons.pairs[0], strict=True)) if lessons.pairs else {"accuracy": 0}


def _per_sample(distilled_set: DistilledSet, lessons: Arms) -> pd.DataFrame:
    """The hard labels of the first pair's lessons; ``after_label`` is -1 where the image is left out."""
    sides = lessons.pairs[0] if lessons.pairs else (0, 0)
    columns = {}
    for name, place in zip(("before_label", "after_label"), sides, strict=True):
        columns[name] = np.full(len(distilled_set), LEFT_OUT)
        columns[name][lessons.arms[place].labels.ids] = lessons.arms[place].labels.hard
    return no_scores(len(distilled_set), **columns)


def _tables(marked: Marked, lessons: Arms, compared: list[Paired]) -> dict[str, pd.DataFrame]:
    rows = [
        {"students": arm.name, **accuracy_columns(marked, place), "images": len(arm.labels.ids), "soft_labels": arm.source}
        for place, arm in enumerate(lessons.arms)
    ]
    tables = {"students": pd.DataFrame(rows)}
    if compared:
        tables["differences"] = differences_table(_names(lessons), compared)
    if marked.divided:
        tables["groups"] = groups_table(marked)
    return {**tables, "learning curve": curve_table(marked)}


def _names(lessons: Arms) -> list[str]:
    return [f"{lessons.arms[after].name} less {lessons.arms[before].name}" for before, after in lessons.pairs]


def _summary(marked: Marked, lessons: Arms, compared: list[Paired]) -> tuple[Figure, ...]:
    """The first pair; the others stand in the tables."""
    if not compared:
        nothing = (
            "the set has one sort of labels and no decision that changes them: nothing to compare; correct the labels, or "
            "decide on some images, and run it again"
        )
        return accuracy_figure("Accuracy", marked, 0), Figure("After less before", None, nothing, 0, POINTS)
    (before, after), names = lessons.pairs[0], [arm.name for arm in lessons.arms]
    figures = [
        *difference_figures("After less before", compared[0], marked),
        accuracy_figure(f"Before: {names[before]}", marked, before),
        accuracy_figure(f"After: {names[after]}", marked, after),
    ]
    if marked.divided:
        gained = over_seeds(marked.by_group(after)[:, TAIL] - marked.by_group(before)[:, TAIL])
        asked = int((marked.group[marked.labels] == TAIL).sum())
        figures.append(estimate_figure("After less before in the tail", gained, f"paired; {marked.basis}", asked, POINTS))
    figures += [nsd_figure(f"NSD {side}", marked, place) for side, place in (("before", before), ("after", after))]
    return tuple(figures)


def _caveats(distilled_set: DistilledSet, marked: Marked, lessons: Arms, compared: list[Paired]) -> tuple[str, ...]:
    caveats = list(common_caveats(marked, distilled_set.class_counts is not None))
    if compared and not compared[0].sure:
        caveats.append("After and before are not told apart: an interval of their difference holds 0, or is not known.")
    if len(compared) > 1:
        caveats.append(
            f"{len(compared)} comparisons are made, of which one may stand out by chance; the last p value of the table "
            "'differences' allows for that (Holm)."
        )
    if compared:
        caveats.append("Per-class intervals hold one class at a time; of 20 classes one is expected to miss 0 by chance.")
    return tuple(caveats)
