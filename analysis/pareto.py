"""What accuracy costs in images and in bytes of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
import torch

from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.intervals import FEWEST_FOR_A_MEAN
from analysis.label_sources import ChosenSource, choose
from analysis.registry import Between, LabelSource, analysis
from analysis.students.arms import Labels
from analysis.students.comparison import over_seeds, paired
from analysis.students.draws import drawn_by_class, train_drawn
from analysis.students.material import exam_of, lesson_images
from analysis.students.options import Kept, LearningRate, Seeds, Steps, Temperature, Width, schooling
from analysis.students.pareto_front import dominated, on_front
from analysis.students.task import Lesson, Loss, Network
from analysis.students.told import (
    FEW_SEEDS,
    Marked,
    accuracy_columns,
    accuracy_figure,
    common_caveats,
    curve_table,
    no_scores,
    per_class_of,
    with_interval,
)
from data.distilled_set import DistilledSet

READING = 0.02
VALUE_BYTES = 2
"""A soft-label value in float16, as relabelled trees keep them."""


@dataclass(frozen=True)
class Kind:
    """A way to keep labels: how students are taught by it, and its ``bytes`` an image."""

    name: str
    loss: Loss
    bytes: int


@dataclass(frozen=True)
class Choice:
    """``ipc`` images of each class, or all there are, with labels of one ``kind``; ``images`` of them in all."""

    ipc: int
    kind: Kind
    images: int

    @property
    def name(self) -> str:
        return f"{self.ipc} a class, {self.kind.name}"

    @property
    def label_bytes(self) -> int:
        return self.images * self.kind.bytes


@analysis(
    title="Accuracy against cost",
    meaning=(
        "Trains small networks on fewer images a class and on labels kept in fewer bytes, and sets what they get right of "
        "real test images beside what it costs. A choice is marked where no other gives as much for less."
    ),
    paper="A Label is Worth A Thousand Images in Dataset Distillation (Qin, Deng, Alvarez-Melis, arXiv 2406.10485)",
    needs=("images", "test split"),
    takes_minutes=True,
)
def pareto(
    distilled_set: DistilledSet,
    context: Context,
    *,
    source: Annotated[str, LabelSource()] = "",
    levels: Annotated[int, Between(1, 12)] = 4,
    k: Kept = 2,
    temperature: Temperature = 1.0,
    seeds: Seeds = 3,
    steps: Steps = 150,
    network: Network = "convnet",
    width: Width = 32,
    learning_rate: LearningRate = 0.05,
    augment: bool = True,
) -> Findings:
    """Students of ``levels`` numbers of images a class, evenly spread on a logarithmic scale from 1 to all, each with hard
    labels, the ``k`` largest probabilities and whole soft labels.

    Each seed draws its own images of each class, so that intervals hold the draw. Label bytes an image: an index of 2 bytes
    (4 above 32,768 classes) for a hard label; for top-k a float16 and an index each; a float16 a class for a whole soft one.
    A choice is "no" optimum where one that costs no more is better beyond the chance of seeds and of test images, "yes"
    where it is so much better than all that cost no more, else "perhaps".
    """
    context.report(0.0, "reading the images")
    chosen = choose(distilled_set, source) if distilled_set.selectable_sources or source else None
    choices = _choices(distilled_set, levels, _kinds(distilled_set, chosen is not None, k, temperature))
    exam = exam_of(distilled_set)
    taught = schooling(distilled_set, network, width, steps, learning_rate, augment, seeds)
    classes = distilled_set.num_classes
    lessons = _Lessons(distilled_set, chosen, choices)
    marks = train_drawn(lessons.of_seed, exam, taught, classes, context.part(READING, 1))
    marked = Marked.of(distilled_set, marks, exam, taught)
    better = _better(marked)
    largest = {choice.kind.name: place for place, choice in enumerate(choices)}
    sides = {name: largest[name] for name in ("hard labels", "soft labels") if name in largest}
    return Findings(
        per_sample=no_scores(len(distilled_set)),
        per_class=per_class_of(distilled_set, marked, sides if len(sides) > 1 else {"accuracy": largest["hard labels"]}),
        summary=_summary(marked, choices, better, largest),
        caveats=(
            *(
                chosen.caveats
                if chosen is not None
                else ("The set has no soft labels; hard ones are all there is to keep.",)
            ),
            *exam.caveats,
            *common_caveats(marked, distilled_set.class_counts is not None),
            *_caveats(distilled_set, choices),
        ),
        headline="difference" if len(sides) > 1 else "accuracy",
        tables=_tables(distilled_set, marked, choices, better),
    )


class _Lessons:
    """The lessons of every choice, with the images that a seed draws."""

    def __init__(self, distilled_set: DistilledSet, chosen: ChosenSource | None, choices: Sequence[Choice]) -> None:
        self._set = distilled_set
        self._choices = choices
        self._images = lesson_images(distilled_set)
        self._hard = torch.from_numpy(distilled_set.labels)
        self._logits = Labels(np.arange(len(distilled_set)), distilled_set.labels, chosen).logits()

    def of_seed(self, seed: int) -> list[Lesson]:
        """Choices of as many images share them."""
        drawn = {ipc: self._drawn(ipc, seed) for ipc in dict.fromkeys(choice.ipc for choice in self._choices)}
        return [self._lesson(choice, *drawn[choice.ipc]) for choice in self._choices]

    def _drawn(self, ipc: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids and images of ``ipc`` of each class."""
        ids = drawn_by_class(self._set.labels, np.full(self._set.num_classes, ipc), seed)
        return torch.from_numpy(ids), self._images if len(ids) == len(self._set) else self._images[ids]

    def _lesson(self, choice: Choice, ids: torch.Tensor, images: torch.Tensor) -> Lesson:
        logits = None if self._logits is None or choice.kind.loss.teaching == "hard" else self._logits[ids]
        return Lesson(choice.name, images, self._hard[ids], logits, choice.kind.loss)


def _kinds(distilled_set: DistilledSet, soft: bool, k: int, temperature: float) -> list[Kind]:
    classes = distilled_set.num_classes
    index = 2 if classes <= 1 << 15 else 4
    kinds = [Kind("hard labels", Loss("hard"), index)]
    if soft and k < classes:
        kinds.append(Kind(f"top {k}", Loss("top-k", temperature, k=k), k * (VALUE_BYTES + index)))
    return [*kinds, Kind("soft labels", Loss("soft only", temperature), classes * VALUE_BYTES)] if soft else kinds


def _choices(distilled_set: DistilledSet, levels: int, kinds: Sequence[Kind]) -> list[Choice]:
    """Fewest images first; a class with fewer than asked for gives all it has."""
    most = int(distilled_set.per_class.max())
    every = np.unique(np.rint(np.geomspace(1, most, levels)).astype(int)) if levels > 1 else np.array([most])
    return [Choice(int(ipc), kind, int(np.minimum(distilled_set.per_class, ipc).sum())) for ipc in every for kind in kinds]


def _better(marked: Marked) -> np.ndarray:
    """Which choice is better than which beyond both kinds of chance, bool (n, n)."""
    n = len(marked.marks)
    better = np.zeros((n, n), bool)
    for i in range(n):
        for j in range(i):
            found = paired(marked.marks[j], marked.marks[i], marked.labels)
            better[i, j], better[j, i] = found.sure and found.difference > 0, found.sure and found.difference < 0
    return better


def _optimal(costs: np.ndarray, better: np.ndarray) -> np.ndarray:
    """ "yes", "perhaps" or "no" for each choice of ``costs`` (n,)."""
    rivals = (costs[:, None] <= costs[None, :]) & ~np.eye(len(costs), dtype=bool)
    beats_all = (better.T | ~rivals).all(axis=0)
    return np.where(dominated(costs[:, None], better), "no", np.where(beats_all, "yes", "perhaps"))


def _tables(
    distilled_set: DistilledSet, marked: Marked, choices: Sequence[Choice], better: np.ndarray
) -> dict[str, pd.DataFrame]:
    pixels = distilled_set.images.dtype.itemsize * int(np.prod(distilled_set.images.shape))
    labels = np.array([choice.label_bytes for choice in choices])
    images = np.array([choice.images for choice in choices])
    means = np.array([marked.accuracy(place).mean() for place in range(len(choices))])
    table = pd.DataFrame(
        {
            "choice": [choice.name for choice in choices],
            "chosen": on_front(labels[:, None], means),
            "bytes": labels,
            **pd.DataFrame([accuracy_columns(marked, place) for place in range(len(choices))]).to_dict("list"),
            "optimal": _optimal(labels, better),
            "images": images,
            "image_bytes": images * pixels,
            "optimal_with_images": _optimal(labels + images * pixels, better),
        }
    )
    return {"label bytes": table, "images per class": _by_ipc(marked, choices), "learning curve": curve_table(marked)}


def _by_ipc(marked: Marked, choices: Sequence[Choice]) -> pd.DataFrame:
    """Accuracy along the images a class, a group a kind of label."""
    rows = [
        {
            "images_per_class": choice.ipc,
            "group": choice.kind.name,
            **with_interval("accuracy", over_seeds(marked.accuracy(place))),
        }
        for place, choice in enumerate(choices)
    ]
    return pd.DataFrame(rows).sort_values(["group", "images_per_class"], kind="stable", ignore_index=True)


def _summary(marked: Marked, choices: Sequence[Choice], better: np.ndarray, largest: dict[str, int]) -> tuple[Figure, ...]:
    best = int(np.argmax([marked.accuracy(place).mean() for place in range(len(choices))]))
    enough = [place for place in range(len(choices)) if not better[best, place]]
    cheapest = min(enough, key=lambda place: choices[place].label_bytes)
    basis = (
        f"{choices[cheapest].name}: the cheapest labels whose students are not surely worse than the best, "
        f"{choices[best].name} ({choices[best].label_bytes:,} bytes); not told apart is no proof that they are the same"
    )
    label, n = "Label bytes that are enough", len(marked.labels)
    found = Figure(label, choices[cheapest].label_bytes, basis, n, "bytes")
    if marked.seeds < FEWEST_FOR_A_MEAN:
        found = Figure(label, None, FEW_SEEDS, n, "bytes")
    whole = (accuracy_figure(f"All images, {name}", marked, place) for name, place in largest.items())
    return found, *whole


def _caveats(distilled_set: DistilledSet, choices: Sequence[Choice]) -> tuple[str, ...]:
    sentences = [
        "Every choice learns for as many steps; one with few images may do better with fewer, and one with many with more.",
        "Choices are told apart two at a time; of so many pairs a few may stand out by chance.",
        "A part of a distilled set is no set distilled for that many images, which is often better.",
    ]
    if any(choice.kind.name == "soft labels" for choice in choices):
        sentences.append("Per class, the difference is that of soft labels less hard ones, on all images.")
    if distilled_set.per_class.min() < choices[-1].ipc:
        sentences.append("Classes with fewer images than asked for give all they have.")
    return tuple(sentences)
