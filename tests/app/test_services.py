"""Services: one workspace and one worker behind every page."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from app import services as module
from app.services import Services, start
from data.decisions import Decision
from data.derived_sources import write_derived
from data.errors import StillroomError
from data.pair_answers import PEOPLE, from_frame
from tests.data.sets import N, make

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    started = start(tmp_path_factory.mktemp("workspace"), "http://127.0.0.1:1", "cpu")
    yield started
    started.close()
    module._running.clear()


@pytest.fixture
def set_id(running, tmp_path):
    return running.workspace.add_set(make("datm", tmp_path / "set").path)


def wait(running: Services) -> None:
    give_up = time.monotonic() + 60
    while running.active():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_start__findings_appear_and_are_not_computed_twice(running, set_id):
    assert running.findings(set_id, "soft_labels") is None
    run = running.start(set_id, "soft_labels")
    assert running.start(set_id, "soft_labels").id == run.id, "the same question while the first is under way"
    wait(running)
    found, findings = running.findings(set_id, "soft_labels")
    assert found.id == run.id and found.device and len(findings.per_sample) == N
    assert running.start(set_id, "soft_labels").id == run.id


def test_start__an_older_answer_becomes_the_latest_again(running, set_id):
    first = running.start(set_id, "soft_labels")
    running.start(set_id, "soft_labels", {"temperature": 3.0})
    wait(running)
    assert running.findings(set_id, "soft_labels")[0].parameters["temperature"] == 3.0
    again = running.start(set_id, "soft_labels")
    assert not running.active(), "nothing needs computing"
    assert running.findings(set_id, "soft_labels")[0].id == again.id != first.id


def test_start__decisions_make_only_those_runs_stale_that_learn_from_them(running, set_id):
    quick = {"combined_evidence": {"images": "none"}, "soft_labels": {}}
    first = {name: running.start(set_id, name, parameters) for name, parameters in quick.items()}
    wait(running)
    assert not any(running.is_stale(running.workspace.run(run.id)) for run in first.values())
    running.workspace.decide(set_id, Decision(0, "keep", annotator="ann"))
    assert {name: running.is_stale(run) for name, run in first.items()} == {"combined_evidence": True, "soft_labels": False}
    again = {name: running.start(set_id, name, parameters) for name, parameters in quick.items()}
    assert again["soft_labels"].id == first["soft_labels"].id
    assert again["combined_evidence"].id != first["combined_evidence"].id
    wait(running)
    assert not running.is_stale(running.findings(set_id, "combined_evidence")[0])
    running.workspace.undo(set_id, "ann")
    assert not running.is_stale(first["combined_evidence"]), "the earlier answer holds again"
    running.start(set_id, "combined_evidence", quick["combined_evidence"])
    assert not running.active(), "nothing needs computing"


def test_start__agreement_reads_each_persons_answers_and_ages_with_them(running, set_id):
    for who, label in (("ada", 1), ("bob", 2)):
        running.workspace.decide(set_id, Decision(0, "relabel", label=label, annotator=who))
    run = running.start(set_id, "agreement")
    wait(running)
    found = running.findings(set_id, "agreement")[1].per_sample
    assert found["n_answers"].tolist()[:2] == [2, 0] and found["flag"].tolist()[:2] == [True, False]
    assert not running.is_stale(run)
    running.workspace.decide(set_id, Decision(0, "relabel", label=1, annotator="bob"))
    assert running.is_stale(run)


def test_start__bad_parameters_queue_nothing(running, set_id):
    with pytest.raises(StillroomError, match="no parameter"):
        running.start(set_id, "soft_labels", {"volume": 1})
    assert running.active() == [] and running.workspace.runs(set_id) == []


def test_start__a_derived_source_of_a_set_without_others_asks_anew(running, tmp_path):
    """It is taken where none is named, so what was found without it is no answer any more."""
    hard = running.workspace.add_set(make("dc", tmp_path / "hard").path)
    first = running.start(hard, "diversity", {"embedding": "pixels"})
    wait(running)
    shape = len(running.workspace.load(hard)), running.workspace.load(hard).num_classes
    write_derived(running.workspace.new_derived(hard), "zipf", shape, [(np.arange(shape[0]), torch.zeros(shape))], {})
    again = running.start(hard, "diversity", {"embedding": "pixels"})
    assert again.id != first.id
    wait(running)
    assert running.start(hard, "diversity", {"embedding": "pixels"}).id == again.id


def test_analyses_for__only_what_the_set_can_answer(running, tmp_path):
    hard = running.workspace.add_set(make("dc", tmp_path / "hard").path)
    names = [entry.name for entry in running.analyses_for(running.workspace.load(hard))]
    assert "diversity" in names and "soft_labels" not in names


def test_start_first__a_large_set_waits_for_a_click_with_what_is_asked_rarely(running, set_id, monkeypatch):
    asked = []
    monkeypatch.setattr(Services, "start", lambda services, set_id, name, parameters={}: asked.append(name))
    running.start_first(set_id)
    everything, asked[:] = list(asked), []
    assert everything.index("label_errors") < everything.index("hardness")
    monkeypatch.setattr("app.analysis_order.MOST_FOR_ALL", N - 1)
    running.start_first(set_id)
    assert "hardness" not in asked and asked == everything[: len(asked)] and "label_errors" in asked


def test_services__outside_a_running_app_says_how_to_start(monkeypatch):
    monkeypatch.setattr(module, "_running", [])
    with pytest.raises(StillroomError, match="python -m app"):
        module.services()


def test_finished__judges_answers_are_kept_once_and_peoples_age_the_critic(running, set_id):
    quick = {"zero_shot": False, "embedding": "pixels"}
    run = running.start(set_id, "critic", quick)
    wait(running)
    _, findings = running.findings(set_id, "critic")
    asked = findings.tables["answers"]
    assert len(asked) and len(running.workspace.answers(set_id)) == len(asked)
    assert not running.is_stale(run)
    answer = from_frame(asked.head(1).assign(judge=PEOPLE, author="ada"))
    running.workspace.add_answers(set_id, answer)
    assert running.is_stale(run)
    again = running.start(set_id, "critic", quick)
    wait(running)
    assert again.id != run.id and not running.is_stale(again)
    assert PEOPLE in set(running.findings(set_id, "critic")[1].tables["judges"]["judge"])
