"""Teacher bias and image bias on real images: ``python -m benchmarks.two_by_two``.

Two sets are distilled from Fashion-MNIST by the demo's own script: from long-tailed data (imbalance 100), and from as many
balanced images; a teacher learns from each. Both teachers label both sets. Printed: what ``bias_decomposition`` makes of the
four cells, and what students of each cell get right on real test images, several seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import analysis
from analysis.class_groups import GROUPS, group_classes
from analysis.context import Context
from analysis.students.comparison import group_accuracies, over_seeds
from analysis.students.material import exam_of, lesson_images
from analysis.students.task import Lesson, Loss, Schooling
from analysis.students.training import train
from data.demo.distill import distil, initial_images
from data.demo.fashion import FOLDER, Splits, load_splits, tail_counts
from data.demo.recipe import CLASSES, Matching, Recipe, Tail, Teacher
from data.demo.teachers import train_teacher
from data.demo.training import logits
from data.distilled_set import DistilledSet
from data.formats import open_set
from data.known_datasets import class_names_of

LONG_TAILED, BALANCED = "long-tailed", "balanced"
TEACHER = Teacher("learnt", "convnet", epochs=6, learning_rate=0.02)
SOFT = Loss("soft only")


def recipes(iterations: int) -> dict[str, Recipe]:
    """The two recipes: as many originals in both, the balanced ones from as large a pool."""
    tail = Tail()
    each = int(tail_counts(tail).sum()) // CLASSES
    common = {"teachers": (TEACHER,), "matching": Matching(iterations=iterations), "seed": 4_242}
    return {LONG_TAILED: Recipe(tail=tail, **common), BALANCED: Recipe(tail=Tail(each, 1.0), **common)}


def made_sets(folder: Path, iterations: int) -> dict[str, Path]:
    """The two sets as folders, each with both teachers' logits."""
    splits = {name: (recipe, load_splits(FOLDER, recipe)) for name, recipe in recipes(iterations).items()}
    teachers = {name: train_teacher(TEACHER, split, recipe) for name, (recipe, split) in splits.items()}
    for name, (recipe, split) in splits.items():
        images, _ = distil(initial_images(split.long_tail, recipe), split.long_tail, recipe)
        (folder / name).mkdir()
        torch.save(images, folder / name / "images_best.pt")
        torch.save(torch.arange(CLASSES).repeat_interleave(recipe.images_per_class), folder / name / "labels_best.pt")
        for teacher, model in teachers.items():
            np.save(folder / name / f"{teacher}.npy", logits(model, images).numpy())
        _describe(folder / name, split)
    return {name: folder / name for name in splits}


def tell_students(sets: dict[str, DistilledSet], seeds: int, context: Context) -> None:
    """Accuracy of students of each cell, in all and by group of the long-tailed counts."""
    exam, schooling = exam_of(sets[LONG_TAILED]), replace(Schooling(), seeds=tuple(range(seeds)))
    lessons = [
        Lesson(
            f"{teacher} teacher, {name} images",
            lesson_images(held),
            torch.from_numpy(held.labels),
            held.label_sources[teacher].stored(np.arange(len(held))).float(),
            SOFT,
        )
        for name, held in sets.items()
        for teacher in sets
    ]
    labels, group = exam.labels.numpy(), group_classes(sets[LONG_TAILED].class_counts, "thirds")
    print(f"\n{'students of':44}" + "".join(f"{part:>26}" for part in ("all", *GROUPS)))
    for marks in train(lessons, exam, schooling, CLASSES, context):
        found = [over_seeds(marks.accuracies(labels)), *map(over_seeds, group_accuracies(marks, labels, group, 3).T)]
        cells = [f"{100 * e.mean:.1f} ({100 * e.low:.1f} to {100 * e.high:.1f})" for e in found]
        print(f"{marks.lesson:44}" + "".join(f"{cell:>26}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=150, help="of distillation")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    context = Context(given.device)
    with tempfile.TemporaryDirectory() as folder:
        paths = made_sets(Path(folder), given.iterations)
        sets = {name: open_set(path) for name, path in paths.items()}
        found = analysis.run(
            "bias_decomposition",
            sets[LONG_TAILED],
            context,
            balanced_teacher=BALANCED,
            long_tailed_teacher=LONG_TAILED,
            balanced_set=str(paths[BALANCED]),
        )
        for figure in found.summary:
            print(f"{figure.label:52}{figure.shown:>10}  {figure.interval}")
        for name, table in found.tables.items():
            print(f"\n{name}\n{table.to_string(index=False)}")
        tell_students(sets, given.seeds, context)


def _describe(folder: Path, split: Splits) -> None:
    np.save(folder / "test_images.npy", split.test_part.images)
    np.save(folder / "test_labels.npy", split.test_part.labels)
    said = {
        "class_names": list(class_names_of("fashion-mnist")),
        "class_counts": split.long_tail.per_class().tolist(),
        "pixel_space": "fashion-mnist",
        "label_sources": {name: {"file": f"{name}.npy", "kind": "logits"} for name in (LONG_TAILED, BALANCED)},
        "test": {"images": "test_images.npy", "labels": "test_labels.npy", "pixel_space": "uint8"},
    }
    (folder / "stillroom.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
