"""What the editor opens with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from app.components.label_editor import MOST_LISTED, MOST_TOLD, editor_data
from app.standing_labels import STANDING
from data.decisions import SampleState
from data.distilled_set import GIVEN, DistilledSet, Provenance, numbered_classes
from data.errors import UnreadableInput
from data.soft_labels import DenseSoftLabels
from tests.app.test_standing_labels import LOGITS, TEACHER, C, made, softmax


def test_editor_data__small_set_lists_every_class_of_every_source():
    data = editor_data(made(), 1)
    assert data["classes"] == list(range(C)) and data["num_classes"] == C and data["given"] == int(LOGITS[1].argmax())
    assert [source["base"] for source in data["sources"]] == [GIVEN, "teacher"]
    assert data["sources"][1]["p"] == pytest.approx([*TEACHER[1].tolist(), 0.0], rel=1e-6)
    assert data["original"]["p"][:-1] == pytest.approx(softmax(1), rel=1e-5)
    assert data["start"]["base"] == data["original"]["base"] == GIVEN


def test_editor_data__starts_from_what_people_made_of_it():
    data = editor_data(made(), 1, SampleState(soft_label=(0.4, 0.3, 0.2, 0.1)))
    assert data["start"]["base"] == STANDING and data["start"]["p"] == [0.4, 0.3, 0.2, 0.1, 0.0]
    assert data["original"]["p"][:-1] == pytest.approx(softmax(1), rel=1e-5)


def test_editor_data__hard_labels_start_as_one_class():
    opened = made({})
    data = editor_data(opened, 2)
    assert data["start"]["p"] == [*np.eye(C)[opened.labels[2]], 0.0]
    assert data["start"]["base"] is None and data["sources"] == []


def test_editor_data__thousands_of_classes_are_told_by_the_most_probable_and_one_number():
    classes = 5_000
    values = torch.randn(3, classes, generator=torch.Generator().manual_seed(0)) * 2
    p = values[1].double().softmax(0).numpy()
    opened = made_of(values)
    data = editor_data(opened, 1)
    listed = np.array(data["classes"])
    assert len(listed) == MOST_LISTED and set(np.argsort(-p)[:MOST_LISTED]) == set(listed.tolist())
    others = np.delete(p, listed)
    assert data["start"]["p"][-1] == pytest.approx(others.sum(), rel=1e-5)
    assert data["start"]["restEntropy"] == pytest.approx(entropy(others), abs=1e-4)
    assert len(str(data)) < 10_000


def test_editor_data__many_sources_that_agree_on_nothing_stay_within_bounds():
    classes, sources = 2_000, 30
    values = torch.rand(sources, 3, classes, generator=torch.Generator().manual_seed(0)) ** 8
    p = values / values.sum(dim=2, keepdim=True)
    teachers = {f"teacher {i}": DenseSoftLabels(p[i], "probabilities") for i in range(sources)}
    opened = replace(made_of(values[0]), label_sources=teachers)
    data = editor_data(opened, 1)
    highest = p[:, 1].amax(dim=0)
    assert len(data["classes"]) <= MOST_TOLD + 1 and int(highest.argmax()) in data["classes"]
    assert all(sum(source["p"]) == pytest.approx(1, abs=1e-4) for source in data["sources"])


def test_editor_data__the_given_class_is_listed_however_little_it_gets():
    values = torch.zeros(3, 200)
    values[:, :100] = 3
    opened = made_of(values, labels=np.array([150, 160, 170]))
    assert 160 in editor_data(opened, 1)["classes"]


def test_editor_data__a_source_that_holds_no_numbers_is_left_out_and_a_label_that_does_not_is_none():
    broken = DenseSoftLabels(torch.full_like(TEACHER, torch.nan), "probabilities")
    whole = DenseSoftLabels(LOGITS, "logits")
    assert [source["base"] for source in editor_data(made({GIVEN: whole, "b": broken}), 0)["sources"]] == [GIVEN]
    assert editor_data(made({GIVEN: broken}), 0) is None


def test_editor_data__labels_that_cannot_be_read_are_none():
    class Gone(DenseSoftLabels):
        def probabilities(self, ids, temperature=1.0):
            raise UnreadableInput("the file is gone.")

    assert editor_data(made({GIVEN: Gone(LOGITS, "logits")}), 0) is None


def made_of(values: torch.Tensor, labels: np.ndarray | None = None) -> DistilledSet:
    labels = values.argmax(dim=1).numpy() if labels is None else labels
    sources = {GIVEN: DenseSoftLabels(values, "logits")}
    provenance = Provenance(Path("made.pt"), "dc", "made", ())
    return DistilledSet("made", labels, numbered_classes(values.shape[1]), provenance, label_sources=sources)
