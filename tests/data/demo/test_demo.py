"""The demo set as it ships: it opens, and what its records say about it is true."""

import json

import numpy as np
import pytest
import torch

from data import open_set
from data.demo import DEMO
from data.demo.fashion import tail_counts
from data.demo.recipe import Tail
from data.distilled_set import DistilledSet
from data.soft_labels import hard_labels

TRUE = np.repeat(np.arange(10), 20)
TEACHERS = ("weak", "medium", "strong")
# CIFAR-10-LT, imbalance factor 100: the counts that the long-tail literature prints.
LONG_TAIL = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


@pytest.fixture(scope="module")
def demo() -> DistilledSet:
    return open_set(DEMO)


@pytest.fixture(scope="module")
def recipe() -> dict:
    return json.loads((DEMO / "recipe.json").read_text())


@pytest.fixture(scope="module")
def planted() -> dict:
    return json.loads((DEMO / "planted.json").read_text())


def test_opens__as_a_whole_set(demo: DistilledSet) -> None:
    assert len(demo) == 200
    assert demo.images is not None and demo.images.shape == (1, 28, 28) and demo.images.dtype == torch.float32
    assert demo.pixel_space is not None and demo.pixel_space.name == "fashion-mnist"
    assert demo.class_names[6] == "Shirt" and len(demo.class_names) == 10
    assert demo.provenance.warnings == ()


def test_opens__every_teacher_says_something_about_every_sample(demo: DistilledSet) -> None:
    assert {name: source.kind for name, source in demo.label_sources.items()} == {f"teacher {t}": "logits" for t in TEACHERS}
    assert all((len(source), source.num_classes) == (200, 10) for source in demo.label_sources.values())


def test_opens__the_real_images_are_balanced_and_apart(demo: DistilledSet) -> None:
    assert demo.reference is not None and np.array_equal(np.bincount(demo.reference.labels), [60] * 10)
    assert demo.test is not None and np.array_equal(np.bincount(demo.test.labels), [150] * 10)
    real = [part.images.stored(np.arange(len(part.labels))).numpy() for part in (demo.reference, demo.test)]
    assert not {image.tobytes() for image in real[0]} & {image.tobytes() for image in real[1]}


def test_class_counts__are_a_long_tail(demo: DistilledSet, recipe: dict) -> None:
    assert demo.class_counts is not None
    assert demo.class_counts.tolist() == LONG_TAIL == recipe["class_counts"]
    assert tail_counts(Tail(head=5_000, factor=100)).tolist() == LONG_TAIL


def test_planted__the_recorded_flips_are_all_that_differs(demo: DistilledSet, planted: dict) -> None:
    restored = demo.labels.copy()
    for flip in planted["flips"]:
        assert flip["given_label"] != flip["true_label"]
        assert restored[flip["sample_id"]] == flip["given_label"]
        restored[flip["sample_id"]] = flip["true_label"]
    assert np.array_equal(restored, TRUE)
    assert np.count_nonzero(demo.labels != TRUE) == len(planted["flips"]) == 16
    assert planted["share"] == pytest.approx(16 / 200)


def test_planted__the_recorded_copies_are_the_nearest_pairs(demo: DistilledSet, planted: dict) -> None:
    assert demo.images is not None
    flat = demo.images.stored(np.arange(200)).flatten(1)
    distance = torch.cdist(flat, flat).fill_diagonal_(torch.inf)
    recorded = {frozenset((copy["sample_id"], copy["copy_of"])) for copy in planted["near_duplicates"]}
    order = distance.triu(1).masked_fill_(torch.ones(200, 200).tril().bool(), torch.inf).flatten().argsort()
    assert {frozenset(divmod(int(pair), 200)) for pair in order[: len(recorded)]} == recorded


def test_teachers__a_stronger_one_is_right_more_often(demo: DistilledSet, recipe: dict) -> None:
    recorded = [recipe["teacher_accuracy"][name] for name in TEACHERS]
    for real in ("test", "reference"):
        weak, medium, strong = (accuracy[real] for accuracy in recorded)
        assert weak + 0.02 < medium < strong - 0.02
    agreement = [float(np.mean(hard_labels(demo.label_sources[f"teacher {name}"]) == TRUE)) for name in TEACHERS]
    assert agreement == sorted(agreement) and agreement[2] > agreement[0]


def test_students__distilled_images_teach_more_than_random_real_ones(recipe: dict) -> None:
    found = recipe["student_test_accuracy"]
    distilled, real = found["distilled_true_labels"], found["random_real_of_long_tail"]
    assert distilled["n"] == real["n"] == len(distilled["accuracies"]) >= 3
    assert distilled["mean"] == pytest.approx(np.mean(distilled["accuracies"]))
    assert distilled["mean"] > real["mean"]


def test_images__are_visibly_no_longer_real(recipe: dict) -> None:
    assert recipe["matching"]["mean_change_from_real_start_in_grey_levels"] > 5
    assert recipe["matching"]["loss_last"] < recipe["matching"]["loss_first"]


def test_files__are_small_and_say_their_licence() -> None:
    assert sum(file.stat().st_size for file in DEMO.iterdir()) < 4_000_000
    licence = (DEMO / "LICENSE").read_text()
    assert "MIT" in licence and "Zalando SE" in licence
