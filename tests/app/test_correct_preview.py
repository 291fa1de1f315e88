"""What a correction would do, worked out beside the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.corrections.registry import find
from app.correct_preview import KIND, answers, ask, owner_of, question, work_out
from data.derived_sources import write_derived
from data.errors import ImpossibleRequest
from tests.app.workspaces import opened


@pytest.fixture
def open_set(tmp_path):
    with opened(tmp_path) as (running, set_id):
        record = running.workspace.set_record(set_id)
        yield running, record
        running.tasks.shutdown()


def logits(record, fill: float = 1.0) -> torch.Tensor:
    rows = torch.zeros(record.n, record.num_classes)
    rows[:, 0] = fill
    return rows


def derive(running, record, name="mine", fill=1.0):
    folder = running.workspace.new_derived(record.id)
    write_derived(folder, name, (record.n, record.num_classes), [(np.arange(record.n), logits(record, fill))], {})
    return folder


def test_work_out__temperature_by_hand(open_set):
    running, record = open_set
    derive(running, record)
    distilled_set = running.workspace.load(record.id)
    answer = work_out(distilled_set, question(running, record, find("temperature"), "mine", {"temperature": 2}), Context())
    c = record.num_classes
    before, after = (np.exp(t) / (np.exp(t) + c - 1) for t in (1.0, 0.5))
    own_first = distilled_set.labels == 0
    found = answer.preview.classes.set_index("class_id")
    assert own_first.any() and found.loc[0, "confidence_before"] == pytest.approx(before, abs=1e-6)
    assert found.loc[0, "confidence_after"] == pytest.approx(after, abs=1e-6)
    assert answer.preview.changed.value == 0 and answer.rescales


def test_ask__the_answer_is_remembered_and_changes_with_the_parameters(open_set):
    running, record = open_set
    derive(running, record)
    distilled_set = running.workspace.load(record.id)
    asked = question(running, record, find("temperature"), "mine", {"temperature": 2})
    assert ask(running, distilled_set, asked) is None or running.tasks.wait(owner_of(asked), KIND, 10).state == "done"
    assert answers.get(asked.key) is not None
    assert answers.get(question(running, record, find("temperature"), "mine", {"temperature": 3}).key) is None


def test_question__another_source_of_the_same_name_is_another_question(open_set):
    running, record = open_set
    derive(running, record)
    first = question(running, record, find("temperature"), "mine", {}).key
    running.workspace.remove_derived(record.id, "mine")
    derive(running, record, fill=3.0)
    assert question(running, record, find("temperature"), "mine", {}).key != first


def test_ask__a_source_that_was_removed_is_one_sentence(open_set):
    running, record = open_set
    derive(running, record)
    asked = question(running, record, find("temperature"), "mine", {})
    running.workspace.remove_derived(record.id, "mine")
    ask(running, running.workspace.load(record.id), asked)
    status = running.tasks.wait(owner_of(asked), KIND, 10)
    assert status.state == "failed" and "needs soft labels" in status.error


def test_work_out__stops_where_it_is_told_to(open_set):
    running, record = open_set
    derive(running, record)

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        work_out(
            running.workspace.load(record.id),
            question(running, record, find("temperature"), "mine", {}),
            replace(Context(), report=stop),
        )


def test_question__a_parameter_out_of_bounds(open_set):
    running, record = open_set
    with pytest.raises(ImpossibleRequest, match="temperature"):
        question(running, record, find("temperature"), "", {"temperature": -1})


def test_services__findings_of_a_removed_source_are_not_those_of_another_of_its_name(open_set):
    running, record = open_set
    derive(running, record)
    first = running.start(record.id, "soft_labels", {"source": "mine"})
    assert running.start(record.id, "soft_labels", {"source": "mine"}).id == first.id
    unnamed = running.start(record.id, "soft_labels")  # the set has no other source, so this is of it, too
    running.workspace.remove_derived(record.id, "mine")
    derive(running, record, fill=3.0)
    assert running.start(record.id, "soft_labels", {"source": "mine"}).id != first.id
    assert running.start(record.id, "soft_labels").id != unnamed.id
