"""The classes that a card shows, and the images that stand for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.class_nearest import nearest_of_class
from app.candidates import candidate_classes, looks
from app.components.soft_label_bars import BarSource
from app.near_images import Nearness, near_of_class, stored_neighbours
from data.distilled_set import DistilledSet, Provenance, Reference
from tests.browser.component_pages.pictures import CLASSES, images


def source(top: int, classes: int = 10) -> BarSource:
    return BarSource("teacher", "probabilities", np.eye(classes)[top])


def made(n: int = 30, reference: bool = False, labels=None) -> DistilledSet:
    labels = np.arange(n) % 10 if labels is None else np.asarray(labels)
    real = Reference(images(40), np.arange(40) % 10) if reference else None
    return DistilledSet(
        name="made",
        labels=labels,
        class_names=CLASSES,
        provenance=Provenance(Path("made"), "made", "", ()),
        images=images(n),
        reference=real,
    )


def test_candidate_classes__standing_given_suggested_then_tops_each_once():
    found = candidate_classes(3, 5, 7, [source(5), source(9)])
    assert [(one.label, one.why) for one in found] == [(5, "relabelled"), (3, "given"), (7, "suggested")]
    found = candidate_classes(3, None, None, [source(3), source(9), source(1), source(2)])
    assert [one.label for one in found] == [3, 9, 1]


@pytest.mark.parametrize("seed", range(5))
def test_nearest_of_class__is_what_sorting_all_similarities_gives(seed):
    chance = np.random.default_rng(seed)
    vectors, labels = chance.normal(size=(60, 7)).astype(np.float32), chance.integers(0, 4, 60)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    members = [i for i in range(60) if labels[i] == 2 and i != 11]
    expected = sorted(members, key=lambda i: -float(unit[i] @ unit[11]))[:4]
    assert nearest_of_class(vectors, labels, 11, 2, 4).tolist() == expected


def test_nearest_of_class__never_itself_even_where_it_is_alone():
    assert nearest_of_class(np.ones((3, 2), np.float32), np.array([0, 1, 1]), 0, 0, 4).tolist() == []
    assert nearest_of_class(np.ones((3, 2), np.float32), np.array([0, 1, 1]), 1, 1, 4).tolist() == [2]


def test_near_of_class__without_vectors_what_a_run_kept_filtered_by_label():
    distilled_set = made()
    assert near_of_class(Nearness(), distilled_set, 3, 3, [3, 13, 4, 23], 4) == [13, 23]
    evidence = {"map": {"neighbours": [4, -1, 2, 99]}, "other": {"neighbours": None}}
    assert stored_neighbours(evidence, 30) == [4, 2]
    assert stored_neighbours({"other": {"score": 1.0}}, 30) == []


def test_looks__tiles_of_this_set_come_from_one_sheet_in_the_order_of_the_candidates():
    distilled_set = made(reference=True)
    near = Nearness(np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32), "pixels")
    found = looks(distilled_set, 3, candidate_classes(3, None, 4, []), near, [], "as trained")
    own = [candidate.strips[0] for candidate in found]
    assert [strip.caption for strip in own] == ["nearest by pixels", "nearest by pixels"]
    assert own[0].sheet is own[1].sheet and own[0].sheet.n == 2 + 3
    assert [list(strip.places) for strip in own] == [[0, 1], [2, 3, 4]]
    assert "sample 3" not in own[0].names and {*own[1].names} == {"sample 4", "sample 14", "sample 24"}
    real = [candidate.strips[1] for candidate in found]
    assert [strip.caption for strip in real] == ["real images", "real images"] and len(real[0].places) == 4


def test_looks__says_why_there_are_no_near_images():
    found = looks(
        made(), 3, candidate_classes(3, None, None, []), Nearness(why="looking for similar images"), [], "as trained"
    )
    (strip,) = found[0].strips
    assert (strip.caption, list(strip.places)) == ("looking for similar images", [])
    found = looks(made(), 3, candidate_classes(3, None, None, []), Nearness(why="too large"), [7], "as trained")
    assert found[0].strips[0].caption == "none among the nearest on the map"
