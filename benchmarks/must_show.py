"""What corrections and curation do to students on real images: ``python -m benchmarks.must_show``.

Two claims, each told with what happened, whichever way it went:

1. *ADSA* (arXiv 2511.17914) raises the accuracy of tail classes and does not lower the mean beyond its interval. On the demo
   set (imbalance 100) and on sets of other imbalances, made anew by the demo's own script from Fashion-MNIST.
2. *Repair*: an annotator looks at what label errors flag with default parameters on the demo set, keeps what is right and
   corrects what is wrong (``planted.json`` knows); students learn from the hard labels before and after.

Each compares students of the same seeds: means, Student's intervals over seeds, bootstrap intervals over the exam's images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import analysis
from analysis.class_groups import GROUPS, group_classes
from analysis.context import Context
from analysis.corrections import correct
from analysis.corrections.logits import logits_of
from analysis.students.comparison import Estimate, over_seeds, paired
from analysis.students.material import exam_of, lesson_images
from analysis.students.task import Exam, Lesson, Loss, Marks, Schooling
from analysis.students.training import train
from data.demo import DEMO
from data.demo.make import make
from data.demo.recipe import Matching, Recipe, Students, Tail, Teacher
from data.distilled_set import DistilledSet
from data.formats import open_set

LONG_TAILED = "teacher medium"
"""The demo's teacher that learnt well, from the long tail."""
SOFT = Loss("soft only")
SHORT = {"matching": Matching(iterations=150), "images_per_class": 10, "students": Students(seeds=(0,), epochs=1)}
"""What makes a further set in minutes: fewer iterations and images, and no measuring of its students."""


def sets(imbalances: list[int], folder: Path) -> Iterator[tuple[str, DistilledSet]]:
    """The demo set, then one for each further imbalance, made in ``folder``."""
    yield "demo set, imbalance 100", open_set(DEMO)
    for place, imbalance in enumerate(imbalances):
        recipe = Recipe(seed=777 + place, tail=Tail(factor=imbalance), teachers=_teachers(), **SHORT)
        make(folder / str(imbalance), recipe=recipe)
        yield f"made anew, imbalance {imbalance}", open_set(folder / str(imbalance))


def adsa_shown(name: str, distilled_set: DistilledSet, schooling: Schooling, context: Context) -> None:
    """Students of the long-tailed teacher's labels, as they are and corrected by ADSA."""
    corrected = correct("adsa", distilled_set, LONG_TAILED, context)
    ids = np.arange(len(distilled_set))
    labels = {
        "before": logits_of(distilled_set.label_sources[LONG_TAILED], ids),
        "after ADSA": corrected.logits(ids),
    }
    exam, images = exam_of(distilled_set), lesson_images(distilled_set)
    hard = torch.from_numpy(distilled_set.labels)
    lessons = [Lesson(what, images, hard, logits, SOFT) for what, logits in labels.items()]
    marks = train(lessons, exam, schooling, distilled_set.num_classes, context)
    print(f"\n{name}: {len(ids)} images, '{LONG_TAILED}', {corrected.found[0].label} {corrected.found[0].value:.2f}")
    group = group_classes(distilled_set.class_counts, "thirds")
    _tell(marks, exam, group)


def repair_shown(distilled_set: DistilledSet, schooling: Schooling, context: Context) -> None:
    """Students of the demo set's hard labels, as given and as an annotator leaves them who looks at what is flagged."""
    recorded = json.loads((DEMO / "planted.json").read_text())["flips"]
    truth = distilled_set.labels.copy()
    truth[[flip["sample_id"] for flip in recorded]] = [flip["true_label"] for flip in recorded]
    table = analysis.run("label_errors", distilled_set, context).per_sample
    flagged = table["sample_id"][table["flag"]].to_numpy()
    repaired = distilled_set.labels.copy()
    repaired[flagged] = truth[flagged]
    exam, images = exam_of(distilled_set), lesson_images(distilled_set)
    arms = {"labels as given": distilled_set.labels, "flagged ones repaired": repaired, "all flips repaired": truth}
    lessons = [Lesson(what, images, torch.from_numpy(labels)) for what, labels in arms.items()]
    marks = train(lessons, exam, schooling, distilled_set.num_classes, context)
    found = int((repaired != distilled_set.labels).sum())
    print(f"\nrepair: {len(flagged)} of {len(truth)} flagged, {found} of {len(recorded)} flips among them")
    _tell(marks, exam, group_classes(distilled_set.class_counts, "thirds"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--imbalances", type=int, nargs="*", default=[50], help="of further sets to make (default: 50)")
    parser.add_argument("--steps", type=int, default=Schooling().steps)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    schooling = replace(Schooling(), steps=given.steps, seeds=tuple(range(given.seeds)))
    context = Context(given.device)
    print(f"students: {schooling}")
    with tempfile.TemporaryDirectory() as folder:
        for name, distilled_set in sets(given.imbalances, Path(folder)):
            adsa_shown(name, distilled_set, schooling, context)
    repair_shown(open_set(DEMO), schooling, context)


def _teachers() -> tuple[Teacher, ...]:
    return tuple(teacher for teacher in Recipe().teachers if f"teacher {teacher.name}" == LONG_TAILED)


def _tell(marks: list[Marks], exam: Exam, group: np.ndarray) -> None:
    """Accuracies of each arm, then what each differs by from the first; means over the exam's classes' images."""
    labels = exam.labels.numpy()
    parts = {"all": np.full(len(labels), True), **{name: group[labels] == g for g, name in enumerate(GROUPS)}}
    print(f"{'':34}" + "".join(f"{f'{name} ({part.sum()})':>26}" for name, part in parts.items()))
    for one in marks:
        cells = [_percent(over_seeds(_only(one, part).accuracies(labels[part]))) for part in parts.values()]
        print(f"{one.lesson:34}" + "".join(f"{cell:>26}" for cell in cells))
    for one in marks[1:]:
        differences = {name: paired(_only(marks[0], part), _only(one, part), labels[part]) for name, part in parts.items()}
        print(f"{one.lesson + ', less the first':34}" + "".join(f"{_percent(d.seeds):>26}" for d in differences.values()))
        images = [f"{100 * d.images_low:+.1f} to {100 * d.images_high:+.1f}" for d in differences.values()]
        print(f"{'   over the images of the exam':34}" + "".join(f"{cell:>26}" for cell in images))


def _only(marks: Marks, part: np.ndarray) -> Marks:
    return replace(marks, predictions=marks.predictions[:, part])


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.mean:.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


if __name__ == "__main__":
    main()
