"""Make the demo set: ``python -m data.demo.make --out DIR [--fashion-mnist DIR]``.

Distils a long-tailed Fashion-MNIST by distribution matching, trains three teachers, plants recorded faults, and writes the
set as MTT and DD-Ranking lay one out, with what belongs to it in ``stillroom.json``. The same torch release, one thread and
the same recipe give the same bytes. Training lives here, not in ``analysis``, because nothing of it runs in the app.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from data.demo.distill import distil, initial_images
from data.demo.fashion import FOLDER, Labelled, Splits, load_splits
from data.demo.planting import plant_copies, plant_flips
from data.demo.recipe import CLASSES, STD, Recipe
from data.demo.teachers import random_real, student_accuracies, train_teacher
from data.demo.training import accuracy, logits
from data.errors import StillroomError, UnreadableInput
from data.known_datasets import class_names_of

LICENSE = Path(__file__).with_name("FASHION-MNIST-LICENSE")
SMOOTHED = 20  # iterations whose mean loss is recorded: a single one swings with its network


@dataclass(frozen=True, eq=False)
class Made:
    """The distilled part: ``images`` float32 (N, 1, 28, 28) normalised, ``given`` and ``true`` int64 (N,)."""

    images: torch.Tensor
    given: torch.Tensor
    true: torch.Tensor
    planted: dict[str, object]
    matching: dict[str, float]


def make(out: Path, fashion_mnist: Path = FOLDER, recipe: Recipe = Recipe()) -> None:
    """Write the whole set into ``out``. Raises UnreadableInput or ImpossibleRequest with one sentence."""
    torch.set_num_threads(1)
    splits = load_splits(fashion_mnist, recipe)
    _make_folder(out)
    made = _distilled(splits, recipe)
    _say("set distilled; training teachers")
    teachers = _write_teachers(out, made.images, splits, recipe)
    _say("teachers trained; training students")
    students = _students(made, splits, recipe)
    torch.save(made.images, out / "images_best.pt")
    torch.save(made.given, out / "labels_best.pt")
    _write_real(out, "reference", splits.reference)
    _write_real(out, "test", splits.test_part)
    _write_json(out / "planted.json", made.planted)
    _write_json(out / "stillroom.json", _manifest(splits, recipe))
    _write_json(out / "recipe.json", _record(made, splits, recipe, teachers, students))
    (out / "LICENSE").write_bytes(LICENSE.read_bytes())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.demo.make", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write the set into")
    parser.add_argument("--fashion-mnist", type=Path, default=FOLDER, help="folder of the four idx.gz files (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        make(options.out, options.fashion_mnist)
    except StillroomError as error:
        print(error, file=sys.stderr)
        return 2
    _say(f"written to {options.out}")
    return 0


def _distilled(splits: Splits, recipe: Recipe) -> Made:
    initial = initial_images(splits.long_tail, recipe)
    matched, losses = distil(initial, splits.long_tail, recipe)
    images, copies = plant_copies(matched, recipe)
    true = torch.arange(CLASSES).repeat_interleave(recipe.images_per_class)
    given, flips = plant_flips(true, copies, recipe)
    planted = {
        "share": len(flips) / len(true),
        "seed": recipe.seed,
        "flips": [asdict(flip) for flip in flips],
        "near_duplicates": [asdict(copy) for copy in copies],
    }
    matching = {
        "loss_first": float(np.mean(losses[:SMOOTHED])),
        "loss_last": float(np.mean(losses[-SMOOTHED:])),
        "losses_averaged_over_iterations": SMOOTHED,
        "mean_change_from_real_start_in_grey_levels": float((matched - initial).abs().mean() * STD * 255),
    }
    return Made(images, given, true, planted, matching)


def _write_teachers(out: Path, images: torch.Tensor, splits: Splits, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Each teacher's logits for the set, float32 (N, C), written; its accuracies returned."""
    found = {}
    for teacher in recipe.teachers:
        model = train_teacher(teacher, splits, recipe)
        np.save(out / _teacher_file(teacher.name), logits(model, images).numpy())
        found[teacher.name] = {"test": accuracy(model, splits.test), "reference": accuracy(model, splits.reference)}
    return found


def _students(made: Made, splits: Splits, recipe: Recipe) -> dict[str, dict[str, object]]:
    sets = {
        "distilled_labels_as_given": lambda seed: (made.images, made.given),
        "distilled_true_labels": lambda seed: (made.images, made.true),
        "random_real_of_long_tail": random_real(splits.long_tail, recipe),
    }
    return {name: _spread(student_accuracies(drawn, splits.test, recipe)) for name, drawn in sets.items()}


def _spread(found: list[float]) -> dict[str, object]:
    deviation = float(np.std(found, ddof=1)) if len(found) > 1 else None
    return {"accuracies": found, "mean": float(np.mean(found)), "standard_deviation": deviation, "n": len(found)}


def _write_real(out: Path, name: str, real: Labelled) -> None:
    np.save(out / f"{name}_images.npy", real.images)
    np.save(out / f"{name}_labels.npy", real.labels)


def _manifest(splits: Splits, recipe: Recipe) -> dict[str, object]:
    real = {
        name: {"images": f"{name}_images.npy", "labels": f"{name}_labels.npy", "pixel_space": "uint8"}
        for name in ("reference", "test")
    }
    return {
        "class_names": list(class_names_of("fashion-mnist")),
        "class_counts": splits.long_tail.per_class().tolist(),
        "pixel_space": "fashion-mnist",
        "label_sources": {
            f"teacher {teacher.name}": {"file": _teacher_file(teacher.name), "kind": "logits"}
            for teacher in reversed(recipe.teachers)  # the strongest first: it is the one to ask where nobody names one
        },
        **real,
    }


def _record(
    made: Made,
    splits: Splits,
    recipe: Recipe,
    teachers: dict[str, dict[str, float]],
    students: dict[str, dict[str, object]],
) -> dict[str, object]:
    return {
        "source": "Fashion-MNIST (Zalando SE, 2017, MIT), Debian package dataset-fashion-mnist",
        "method": "distribution matching (Zhao & Bilen, arXiv 2110.04181)",
        "settings": asdict(recipe),
        "class_counts": splits.long_tail.per_class().tolist(),
        "matching": made.matching,
        "accuracy_measured_on": {"test": len(splits.test), "reference": len(splits.reference)},
        "teacher_accuracy": teachers,
        "student_test_accuracy": students,
        "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__},
    }


def _teacher_file(name: str) -> str:
    return f"teacher_{name}.npy"


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnreadableInput(f"{out} cannot be made a folder ({error}); choose another --out.") from error


def _say(what: str) -> None:
    print(f"{time.process_time():7.0f} s CPU  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
