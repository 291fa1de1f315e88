"""DD-Ranking's scores: what a distilled set is worth beyond its labels and its augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch

from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.label_sources import ChosenSource, choose
from analysis.registry import Between, LabelSource, analysis
from analysis.students.arms import Labels
from analysis.students.comparison import over_seeds
from analysis.students.draws import train_drawn
from analysis.students.material import exam_of, lesson_images
from analysis.students.options import HardWeight, LearningRate, Seeds, Steps, Temperature, Width, schooling
from analysis.students.ranking_scores import ars, hlr, ior, lrs
from analysis.students.real_lessons import RealImages, asked_and_taught, real_images
from analysis.students.task import Exam, Lesson, Loss, Marks, Network, Schooling
from analysis.students.told import (
    Marked,
    accuracy_columns,
    common_caveats,
    curve_table,
    estimate_figure,
    no_scores,
    per_class_of,
    with_interval,
)
from analysis.students.training import train
from data.distilled_set import DistilledSet

Protocol = Literal["usual", "hard labels", "soft labels"]
LABELLING, AUGMENTED = 0.2, 0.8  # where on the progress each part ends
REAL, HARD, OWN, RANDOM, OWN_PLAIN, RANDOM_PLAIN = range(6)
NAMES = (
    "all real images, hard labels",
    "synthetic, hard labels",
    "synthetic, its own way",
    "random real, the same way",
    "synthetic, not augmented",
    "random real, not augmented",
)


@dataclass(frozen=True)
class Weights:
    """``w`` of IOR against HLR in LRS; ``g`` of augmented against plain students in ARS."""

    w: float
    g: float


@analysis(
    title="DD-Ranking",
    meaning=(
        "Asks what the images themselves teach: how much hard labels lose against real data, how much the set gains over as "
        "many random real images taught the same way, and what is left of that without augmentation. Two scores from 0 to 1 "
        "sum it up: about 0.27 is a set that loses nothing and is no better than random images."
    ),
    paper="DD-Ranking: Rethinking the Evaluation of Dataset Distillation (arXiv 2505.13300)",
    needs=("images", "reference", "test split"),
    takes_minutes=True,
)
def dd_ranking(
    distilled_set: DistilledSet,
    context: Context,
    *,
    source: Annotated[str, LabelSource()] = "",
    protocol: Protocol = "usual",
    temperature: Temperature = 1.0,
    hard_weight: HardWeight = 0.5,
    ior_weight: Annotated[float, Between(0.0, 1.0)] = 0.5,
    augmented_weight: Annotated[float, Between(0.0, 1.0)] = 0.5,
    seeds: Seeds = 5,
    steps: Steps = 150,
    real_images_at_most: Annotated[int, Between(1, 20_000)] = 10_000,
    network: Network = "convnet",
    width: Width = 32,
    learning_rate: LearningRate = 0.05,
) -> Findings:
    """HLR, IOR, LRS and ARS, each seed's from its own students, as analysis.students.ranking_scores has them, with their w
    (``ior_weight``) and g (``augmented_weight``).

    The set's own way (``protocol``) is its soft labels (``source``) at ``temperature`` with ``hard_weight`` of hard ones, or
    hard labels alone where it has no others. Random real images are drawn anew by each seed, as many of each class as the
    set has; where the set's own way has soft labels they are labelled by a network trained on the reference, as nobody has
    those of the set's teacher. Every student is marked after its last step: the published code marks the step that does best
    on the test images, which reports the luckiest of many and is too high.
    """
    context.report(0.0, "reading the images")
    chosen = _source(distilled_set, source, protocol)
    labels = Labels(np.arange(len(distilled_set)), distilled_set.labels, chosen)
    exam = exam_of(distilled_set)
    real = real_images(distilled_set, real_images_at_most, chosen is not None, width, context.part(0, LABELLING))
    taught = schooling(distilled_set, network, width, steps, learning_rate, True, seeds)
    loss = Loss("hard" if chosen is None else "soft", temperature, hard_weight)
    marks = _Students(distilled_set, exam, real, labels, loss).marks(taught, context.part(LABELLING, 1))
    marked = Marked.of(distilled_set, marks, exam, taught)
    scores = _scores(marked, Weights(ior_weight, augmented_weight))
    return Findings(
        per_sample=no_scores(len(distilled_set)),
        per_class=per_class_of(distilled_set, marked, {"random": RANDOM, "synthetic": OWN}),
        summary=tuple(_figure(name, marked, values, what) for name, (values, what) in scores.items()),
        caveats=(
            *(chosen.caveats if chosen else ()),
            *exam.caveats,
            *_caveats(distilled_set, marked, real),
            *_seen_before(exam, real),
        ),
        headline="difference",
        tables=_tables(marked, scores),
    )


def _source(distilled_set: DistilledSet, source: str, protocol: Protocol) -> ChosenSource | None:
    """The soft labels of the set's own way; None where that is hard labels."""
    if protocol == "hard labels" or (protocol == "usual" and not source and not distilled_set.selectable_sources):
        return None
    return choose(distilled_set, source)


@dataclass(frozen=True, eq=False)
class _Students:
    """Who learns what: the set and the ``real`` images beside it, taught with ``labels`` and ``loss`` the set's own way."""

    set: DistilledSet
    exam: Exam
    real: RealImages
    labels: Labels
    loss: Loss

    def marks(self, taught: Schooling, context: Context) -> list[Marks]:
        """Those of NAMES, in that order; ``taught`` is with augmentation."""
        hard, own = self._synthetic()
        fixed = [self.real.all(NAMES[REAL]), hard, *([] if own is None else [own])]
        plain, augmented = replace(taught, augment=False), context.part(0, AUGMENTED)
        found = self._train(fixed, taught, augmented.part(0, 0.7))
        synthetic = [*found, found[-1]][:3]  # its own way is with hard labels, where it has no others
        random = self._random(NAMES[RANDOM], taught, augmented.part(0.7, 1))
        rest = context.part(AUGMENTED, 1)
        unaugmented = self._train([replace(own or hard, name=NAMES[OWN_PLAIN])], plain, rest.part(0, 0.5))
        drawn = self._random(NAMES[RANDOM_PLAIN], plain, rest.part(0.5, 1))
        marks = (*synthetic, random, *unaugmented, drawn)
        return [replace(one, lesson=name) for one, name in zip(marks, NAMES, strict=True)]

    def _synthetic(self) -> tuple[Lesson, Lesson | None]:
        """With hard labels, and the set's own way where that is another."""
        hard = Lesson(NAMES[HARD], lesson_images(self.set), torch.from_numpy(self.labels.hard))
        logits = self.labels.logits()
        return hard, None if logits is None else replace(hard, name=NAMES[OWN], logits=logits, loss=self.loss)

    def _train(self, lessons: list[Lesson], taught: Schooling, context: Context) -> list[Marks]:
        return train(lessons, self.exam, taught, self.set.num_classes, context)

    def _random(self, name: str, taught: Schooling, context: Context) -> Marks:
        counts, classes = self.set.per_class, self.set.num_classes
        return train_drawn(
            lambda seed: [self.real.some(name, counts, seed, self.loss)], self.exam, taught, classes, context
        )[0]


def _scores(marked: Marked, weights: Weights) -> dict[str, tuple[np.ndarray, str]]:
    """Each score by seed, float64 (S,), and what it is."""
    real, hard, own, random, own_plain, random_plain = (marked.accuracy(place) for place in range(len(NAMES)))
    lost, gained = hlr(real, hard), ior(own, random)
    return {
        "LRS": (lrs(gained, lost, weights.w), f"label-robust score, w = {weights.w:g}; 0 to 1, more is better"),
        "ARS": (
            ars(gained, ior(own_plain, random_plain), weights.g),
            f"augmentation-robust score, g = {weights.g:g}; 0 to 1, more is better",
        ),
        "HLR": (lost, "accuracy lost from all real images to the synthetic ones, both with hard labels; less is better"),
        "IOR": (gained, "accuracy gained over as many random real images taught the same way; more is better"),
    }


def _figure(name: str, marked: Marked, values: np.ndarray, what: str) -> Figure:
    return estimate_figure(
        name, over_seeds(values), f"{what}; accuracies as fractions {marked.basis}", len(marked.labels), ""
    )


def _tables(marked: Marked, scores: dict[str, tuple[np.ndarray, str]]) -> dict[str, pd.DataFrame]:
    rows = [
        {"score": name, **with_interval("value", over_seeds(values), None), "meaning": what}
        for name, (values, what) in scores.items()
    ]
    students = [{"students": name, **accuracy_columns(marked, place)} for place, name in enumerate(NAMES)]
    return {"scores": pd.DataFrame(rows), "students": pd.DataFrame(students), "learning curve": curve_table(marked)}


def _seen_before(exam: Exam, real: RealImages) -> tuple[str, ...]:
    same = asked_and_taught(exam, real.images)
    if not same:
        return ()
    return (
        f"{same:,} of the exam's {len(exam):,} images are in the reference, too: students of real images have learnt the "
        "answers, so HLR and IOR are both wrong. Give a reference or a test split without them.",
    )


def _caveats(distilled_set: DistilledSet, marked: Marked, real: RealImages) -> tuple[str, ...]:
    known = distilled_set.class_counts
    whole = f"; the set was made from {int(np.sum(known)):,}" if known is not None else ""
    caveats = [
        f"'All real images' are {len(real):,} of the reference's {real.of:,}{whole}: with all the real data there is, the "
        "real accuracy and HLR would be higher, and LRS lower.",
        "Each student is marked after its last step. The published code marks its best step on the test images, which "
        "chooses by what it measures and comes out too high; it also reckons in per cent. These scores are none of its "
        "leaderboard's.",
        "Per class, the difference is the accuracy of the synthetic set's students less that of random real images'.",
    ]
    if real.logits is not None:
        caveats.append(
            f"Random real images have soft labels from a network trained on these {len(real):,} reference images, of which "
            "they are some: another teacher than the set's, most likely a weaker one, which raises IOR."
        )
    if short := real.short_of(distilled_set.per_class):
        caveats.append(f"The reference is short of some classes: a random draw is {short:,} images smaller than the set.")
    return (*caveats, *common_caveats(marked, known is not None))
