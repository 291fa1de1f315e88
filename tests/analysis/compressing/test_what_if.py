"""What students are taught of a plan, and what is said where they cannot be asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analysis.compressing import what_if as module
from analysis.compressing.combined import Wish, combine
from analysis.compressing.mosaics import enlarged_tiles
from analysis.compressing.what_if import RANDOM, Asked, what_if
from analysis.context import Context
from analysis.students.task import Schooling
from data.distilled_set import Reference
from tests.analysis.made_sets import made_set

CPU = Context(device="cpu")
TINY = Schooling(network="linear", steps=5, batch=8, augment=False, seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def opened():
    plain = made_set((8, 8, 8))
    return replace(plain, test=Reference(plain.reference.images, plain.reference.labels))


def asked(opened, labels="hard", factor=2) -> Asked:
    order = np.argsort(opened.labels, kind="stable")
    kept = np.tile(np.arange(8) < 5, 3)
    tile = np.where(kept, np.tile(np.arange(8), 3), -1)
    return Asked(order, kept, Wish(tile, factor, "area", {}), labels, "teacher 1", 2.0, TINY, 0)


NAMES = ("whole set", "kept", RANDOM, "as many whole images", "mosaics of 2 x 2", "mosaics of 2 x 2, tiles enlarged")


def lessons_of(opened, plan, monkeypatch):
    """By name, as the table has them, the random ones of the first seed; and all of these."""
    seen, random = [], []

    def drawing(lessons_of_seed, exam, schooling, *rest):
        random.extend(lessons_of_seed(seed)[0] for seed in schooling.seeds)
        return _train_drawn(lessons_of_seed, exam, schooling, *rest)

    monkeypatch.setattr(module, "train", lambda lessons, *rest: seen.extend(lessons) or _train(lessons, *rest))
    monkeypatch.setattr(module, "train_drawn", drawing)
    told = what_if(opened, plan, CPU)
    found = {lesson.name: lesson for lesson in (*seen, random[0])}
    return {name: found[name] for name in NAMES if name in found}, told, random


_train, _train_drawn = module.train, module.train_drawn


def test_what_if__teaches_what_it_says(opened, monkeypatch):
    plan = asked(opened)
    lessons, told, _ = lessons_of(opened, plan, monkeypatch)
    whole, kept, random, fewer, mosaics, enlarged = lessons.values()
    assert [len(lesson) for lesson in lessons.values()] == [24, 15, 15, 6, 6, 24]
    assert torch.equal(kept.images, whole.images[plan.kept]) and kept.labels.tolist() == opened.labels[plan.kept].tolist()
    assert np.bincount(random.labels).tolist() == [5, 5, 5] and not torch.equal(random.images, kept.images)
    assert torch.equal(fewer.images, whole.images[[0, 1, 8, 9, 16, 17]]), "the first of each class"
    combined, _ = combine(opened, plan.combine)
    corner = F.avg_pool2d(whole.images[combined.tiles[0, 0]], 2)
    torch.testing.assert_close(mosaics.images[0][:, :4, :4], corner)
    large = F.interpolate(corner[None], (8, 8), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(enlarged.images[0], large)
    assert enlarged.labels.tolist() == np.repeat(mosaics.labels.numpy(), 4).tolist()
    assert all(lesson.logits is None for lesson in lessons.values())
    assert told.tables["what if"]["students"].tolist() == list(lessons)
    assert told.tables["what if"]["images"].tolist() == [len(lesson) for lesson in lessons.values()]


def test_what_if__accuracies_and_differences_are_those_of_the_marks(opened, monkeypatch):
    marks = []

    def kept(train):
        return lambda *args: marks.extend(found := train(*args)) or found

    monkeypatch.setattr(module, "train", kept(_train))
    monkeypatch.setattr(module, "train_drawn", kept(_train_drawn))
    told = what_if(opened, asked(opened), CPU)
    truth = opened.test.labels
    by_hand = {m.lesson: (m.predictions == truth).mean(axis=1) for m in marks}
    table = told.tables["what if"].set_index("students")
    assert set(by_hand) == set(table.index) == set(NAMES)
    for name, values in by_hand.items():
        assert table.loc[name, "accuracy"] == pytest.approx(values.mean())
    differences = told.tables["differences"].set_index("comparison")["difference"]
    assert len(differences) == 5
    for name, difference in differences.items():
        first, second = name.split(", less ")
        assert difference == pytest.approx(by_hand[first].mean() - by_hand[second].mean())
    assert any("chance of seeds" in figure.label for figure in told.figures)


def test_what_if__soft_labels_are_the_sources_and_the_tiles_mean(opened, monkeypatch):
    lessons, *_ = lessons_of(opened, asked(opened, "soft"), monkeypatch)
    whole, *_, mosaics, enlarged = lessons.values()
    assert torch.equal(whole.logits, opened.label_sources["teacher 1"].values)
    assert whole.loss.teaching == "soft" and whole.loss.temperature == 2.0
    combined, _ = combine(opened, asked(opened).combine)
    mean = opened.label_sources["teacher 1"].probabilities(combined.tiles[0]).mean(dim=0)
    torch.testing.assert_close(mosaics.logits[0].softmax(dim=0), mean)
    assert torch.equal(enlarged.logits[:4], mosaics.logits[:1].expand(4, -1))


def test_what_if__a_derived_source_teaches_mosaics_too(opened, monkeypatch):
    derived = replace(opened, derived_sources={"mine": opened.label_sources["teacher 0"]})
    lessons, *_ = lessons_of(derived, replace(asked(derived, "soft"), source="mine"), monkeypatch)
    assert all(lesson.logits is not None for lesson in lessons.values()) and len(lessons) == 6


def test_what_if__without_mosaics_teaches_the_rest(opened, monkeypatch):
    lessons, told, _ = lessons_of(opened, asked(opened, factor=1), monkeypatch)
    assert len(lessons) == 3 and len(told.tables["differences"]) == 2


def test_what_if__without_a_test_split_says_so():
    plain = made_set((8, 8, 8))
    told = what_if(plain, asked(plain), CPU)
    (figure,) = told.figures
    assert figure.value is None and "test split" in figure.basis and not told.tables


def test_what_if__each_seed_draws_random_images_of_its_own(opened, monkeypatch):
    plan = asked(opened, factor=1)
    _, told, random = lessons_of(opened, plan, monkeypatch)
    assert len(random) == 3 and all(np.bincount(lesson.labels).tolist() == [5, 5, 5] for lesson in random)
    assert not any(torch.equal(random[0].images, other.images) for other in random[1:])
    assert any("random images of its own" in caveat for caveat in told.caveats)
    _, _, others = lessons_of(opened, replace(plan, seed=1), monkeypatch)
    assert not torch.equal(others[0].images, random[0].images), "and the parameter draws others"


def test_what_if__says_whether_students_crop_as_mosaics_ask_for(opened):
    plan = replace(asked(opened), schooling=replace(TINY, augment=True, seeds=(0,)))
    plain, cropped = (
        what_if(opened, replace(plan, schooling=replace(plan.schooling, crop=crop)), CPU) for crop in (1.0, 0.3)
    )
    assert any("learn without" in caveat for caveat in plain.caveats)
    assert not any("learn without" in caveat for caveat in cropped.caveats)
    assert plain.tables["what if"]["students"].tolist() == list(NAMES)
    assert any("random crops of 30%" in figure.basis for figure in cropped.figures)


def test_enlarged_tiles__of_odd_sides():
    mosaics = torch.randn(2, 3, 7, 5)
    large = enlarged_tiles(mosaics, 2)
    assert large.shape == (8, 3, 7, 5)
    wanted = F.interpolate(mosaics[[1], :, 4:, :3], (7, 5), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(large[6], wanted)
