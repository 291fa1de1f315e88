"""Which ranks of a soft label carry what students learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pandas as pd
import torch

from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.label_sources import choose
from analysis.registry import Between, LabelSource, analysis
from analysis.students.arms import Labels
from analysis.students.comparison import Paired, over_seeds, paired
from analysis.students.label_cuts import kept, swapped
from analysis.students.material import exam_of, lesson_images
from analysis.students.options import LearningRate, Seeds, Steps, Temperature, Width, schooling
from analysis.students.task import Lesson, Loss, Network
from analysis.students.told import (
    POINTS,
    Marked,
    accuracy_columns,
    accuracy_figure,
    common_caveats,
    curve_table,
    difference_figures,
    differences_table,
    no_scores,
    per_class_of,
    with_interval,
)
from analysis.students.training import train
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

READING = 0.02
WHOLE, HARD = 0, 1
KEEP, SWAP = "keep the top k only", "exchange the k-th with the last"


@dataclass(frozen=True, eq=False)
class Cut:
    """One lesson: the ``sweep`` it is of ("" for whole and hard labels) at rank ``k``; ``mass`` is the mean probability that
    was taken from its class."""

    sweep: str
    k: int
    mass: float
    lesson: Lesson


@analysis(
    title="Which part of the label teaches?",
    meaning=(
        "Trains small networks on soft labels of which one part was taken away: all but the k largest probabilities, or the "
        "k-th largest exchanged with the smallest. Where real test images are then classified worse, that part was worth "
        "something."
    ),
    paper="A Label is Worth A Thousand Images in Dataset Distillation (Qin, Deng, Alvarez-Melis, arXiv 2406.10485)",
    needs=("images", "soft labels", "test split"),
    takes_minutes=True,
)
def label_ablation(
    distilled_set: DistilledSet,
    context: Context,
    *,
    source: Annotated[str, LabelSource()] = "",
    temperature: Temperature = 1.0,
    most_k: Annotated[int, Between(1, 1_000)] = 16,
    seeds: Seeds = 3,
    steps: Steps = 150,
    network: Network = "convnet",
    width: Width = 32,
    learning_rate: LearningRate = 0.05,
    augment: bool = True,
) -> Findings:
    """Students of the whole label, of the hard label, and of the label cut at k = 1, 2, 4, ... up to ``most_k``.

    "keep": the k largest probabilities at ``temperature``, the others 0 and nothing renormalised; k = 0 is the hard label,
    as in the paper. "exchange": the k-th largest with the smallest; k = 0 is the whole label. All but the hard label are
    taught without hard labels beside them, so that nothing but the cut makes the difference.
    """
    context.report(0.0, "reading the images")
    chosen = choose(distilled_set, source)
    cuts = _cuts(distilled_set, Labels(np.arange(len(distilled_set)), distilled_set.labels, chosen), temperature, most_k)
    exam = exam_of(distilled_set)
    taught = schooling(distilled_set, network, width, steps, learning_rate, augment, seeds)
    lessons, classes = [cut.lesson for cut in cuts], distilled_set.num_classes
    marks = train(lessons, exam, taught, classes, context.part(READING, 1))
    marked = Marked.of(distilled_set, marks, exam, taught)
    against = [paired(marks[WHOLE], other, marked.labels) for other in marks[1:]]
    return Findings(
        per_sample=no_scores(len(distilled_set)),
        per_class=per_class_of(distilled_set, marked, {"hard": HARD, "whole": WHOLE}),
        summary=_summary(marked, cuts, against),
        caveats=(
            *chosen.caveats,
            *exam.caveats,
            *common_caveats(marked, distilled_set.class_counts is not None),
            *_caveats(cuts),
        ),
        headline="difference",
        tables=_tables(marked, cuts, against),
    )


def _cuts(distilled_set: DistilledSet, labels: Labels, temperature: float, most_k: int) -> list[Cut]:
    """The whole label, the hard one, and then both sweeps."""
    logits = labels.logits()
    images, hard = lesson_images(distilled_set), torch.from_numpy(labels.hard)
    ranks = [2**power for power in range(min(most_k, distilled_set.num_classes - 1).bit_length())]
    if not ranks:
        raise ImpossibleRequest(f"{distilled_set.name} has one class, so its soft labels have no parts.")
    whole = Lesson("whole soft label", images, hard, logits, Loss("soft only", temperature))
    probabilities = torch.softmax(logits / temperature, dim=1)
    ordered = probabilities.sort(dim=1, descending=True).values
    cuts = [Cut("", 0, 0.0, whole), Cut("", 0, float("nan"), Lesson("hard label", images, hard))]
    for k in ranks:
        lost = 1 - float(kept(probabilities, k).sum(dim=1).mean())
        cuts.append(Cut(KEEP, k, lost, replace(whole, name=f"top {k} only", loss=Loss("top-k", temperature, k=k))))
    for k in ranks:
        moved = float((ordered[:, k - 1] - ordered[:, -1]).mean())
        cuts.append(Cut(SWAP, k, moved, replace(whole, name=f"{_th(k)} exchanged with the last", logits=swapped(logits, k))))
    return cuts


def _th(k: int) -> str:
    return "largest" if k == 1 else f"{k}{'nd' if k % 10 == 2 and k % 100 != 12 else 'th'} largest"


def _tables(marked: Marked, cuts: Sequence[Cut], against: Sequence[Paired]) -> dict[str, pd.DataFrame]:
    names = [cut.lesson.name for cut in cuts]
    rows = [
        {"label": name, **accuracy_columns(marked, place), "mass_taken": cut.mass}
        for place, (name, cut) in enumerate(zip(names, cuts, strict=True))
    ]
    return {
        "by k": _by_k(marked, cuts),
        "cuts": pd.DataFrame(rows),
        "differences": differences_table([f"{name} less whole" for name in names[1:]], against),
        "learning curve": curve_table(marked),
    }


def _by_k(marked: Marked, cuts: Sequence[Cut]) -> pd.DataFrame:
    """Accuracy along k, a group a sweep; at k = 0 each begins with what it departs from."""
    starts = {KEEP: HARD, SWAP: WHOLE}
    rows = []
    for sweep, start in starts.items():
        places = [start, *(place for place, cut in enumerate(cuts) if cut.sweep == sweep)]
        for place in places:
            k = 0 if place == start else cuts[place].k
            rows.append({"k": k, "group": sweep, **with_interval("accuracy", over_seeds(marked.accuracy(place)))})
    return pd.DataFrame(rows)


def _summary(marked: Marked, cuts: Sequence[Cut], against: Sequence[Paired]) -> tuple[Figure, ...]:
    found = dict(zip(range(1, len(cuts)), against, strict=True))
    return (
        accuracy_figure("Whole soft label", marked, WHOLE),
        accuracy_figure("Hard label", marked, HARD),
        *difference_figures("Hard label less whole", found[HARD], marked),
        _fewest(cuts, found, len(marked.labels)),
        _most_missed(cuts, found, len(marked.labels)),
    )


def _fewest(cuts: Sequence[Cut], found: dict[int, Paired], n: int) -> Figure:
    label = "Fewest classes kept that do as well"
    kept_at = {cut.k: found[place] for place, cut in enumerate(cuts) if cut.sweep == KEEP}
    enough = next((k for k in sorted(kept_at) if all(not _worse(kept_at[other]) for other in kept_at if other >= k)), None)
    if enough is None or all(np.isnan(pair.seeds.low) for pair in kept_at.values()):
        why = (
            "too few seeds, or students that all agree, tell no spread"
            if enough is not None
            else f"even the top {max(kept_at)} are surely worse than the whole"
        )
        return Figure(label, None, why, n)
    basis = (
        "the smallest k from which on students of the top k are not told apart from those of the whole label, beyond the "
        "chance of seeds and of test images; that is no proof that they are the same"
    )
    return Figure(label, enough, basis, n)


def _most_missed(cuts: Sequence[Cut], found: dict[int, Paired], n: int) -> Figure:
    """The rank that costs most where it is exchanged, the first aside: that one says which class it is."""
    label = "Costliest rank to lose after the first"
    others = [place for place, cut in enumerate(cuts) if cut.sweep == SWAP and cut.k > 1]
    if not others:
        return Figure(label, None, "two classes have no ranks after the first but the last", 0, POINTS)
    place = min(others, key=lambda at: found[at].difference)
    seeds = found[place].seeds
    bounds = (None, None) if np.isnan(seeds.low) else (100 * float(seeds.low), 100 * float(seeds.high))
    sure = "beyond the chance of seeds and of test images" if _worse(found[place]) else "not told apart from chance"
    basis = f"{cuts[place].lesson.name}, less the whole label; {sure}; the largest of {len(others)}, which overstates it"
    return Figure(label, 100 * found[place].difference, basis, n, POINTS, *bounds)


def _worse(pair: Paired) -> bool:
    return pair.sure and pair.difference < 0


def _caveats(cuts: Sequence[Cut]) -> tuple[str, ...]:
    return (
        f"{len(cuts) - 1} cuts are compared with the whole label, of which one may stand out by chance; the last p value of "
        "the table 'differences' allows for that (Holm).",
        "Per class, the difference is the whole label's accuracy less the hard label's. In the table 'by k', k = 0 is the "
        "hard label where the top k are kept, and the whole label where the k-th is exchanged.",
        "A cut that makes no difference to these students may make one to larger ones, or to longer training.",
    )
