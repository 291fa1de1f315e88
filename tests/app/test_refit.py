"""Learning after every batch: when it starts, what it starts with, and what must not stop a decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis import registry
from app.refit import Refits
from data.decisions import Decision
from tests.app.workspaces import opened


@pytest.fixture
def there(tmp_path, monkeypatch):
    """(services, set id), with one analysis that learns from decisions and any number that do not."""
    known = registry.analyses()
    learner = replace(known["diversity"], name="learner", reads_verdicts=True)
    others = {name: replace(entry, reads_verdicts=False) for name, entry in known.items()}
    monkeypatch.setattr(registry, "_REGISTRY", {**others, "learner": learner})
    with opened(tmp_path) as (services, set_id):
        run = services.workspace.start_run(set_id, "learner", {"embedding": "pixels"}, "key")
        services.workspace.finish_run(run.id, "done")
        yield services, set_id


def decide(services, set_id, ids):
    for i in ids:
        services.workspace.decide(set_id, Decision(i, "keep"))
    return len(list(ids))


def test_after__a_whole_batch_starts_what_learns_with_what_was_settled(there):
    services, set_id = there
    refits = Refits()
    refits.status(set_id, 0)
    decide(services, set_id, range(4))
    assert not refits.after(set_id, 4, 5) and not services.engine.submitted
    decide(services, set_id, [4])
    assert refits.after(set_id, 5, 5)
    (job,) = services.engine.submitted
    assert job.analysis == "learner" and job.verdicts.ids.tolist() == [0, 1, 2, 3, 4]


def test_after__nothing_starts_while_one_runs_and_nothing_is_forgotten(there):
    services, set_id = there
    refits = Refits()
    refits.status(set_id, 0)
    decide(services, set_id, range(5))
    assert refits.after(set_id, 5, 5) and refits.status(set_id, 5).running
    decide(services, set_id, range(5, 10))
    assert not refits.after(set_id, 10, 5)
    services.engine.finish()
    decide(services, set_id, [10])
    assert refits.after(set_id, 11, 5)
    assert [len(job.verdicts) for job in services.engine.submitted] == [5, 11]


def test_after__what_was_decided_before_this_process_is_no_batch(there):
    services, set_id = there
    refits = Refits()
    decide(services, set_id, range(12))
    refits.status(set_id, 12)
    assert not refits.after(set_id, 13, 5)


def test_after__keeps_the_parameters_of_the_latest_run(there):
    services, set_id = there
    refits = Refits()
    refits.status(set_id, 0)
    decide(services, set_id, range(5))
    assert refits.after(set_id, 5, 5)
    assert services.engine.submitted[0].parameters["embedding"] == "pixels"


def test_after__trouble_is_told_and_never_raised(there):
    services, set_id = there
    services.engine.refuse = True
    refits = Refits()
    refits.status(set_id, 0)
    decide(services, set_id, range(5))
    refits.after(set_id, 5, 5)
    assert "shut down" in refits.status(set_id, 5).trouble


def test_after__what_nobody_ran_on_this_set_is_left_alone(there):
    services, set_id = there
    for run in services.workspace.runs(set_id, "learner"):
        services.workspace.finish_run(run.id, "cancelled")
    refits = Refits()
    refits.status(set_id, 0)
    decide(services, set_id, range(5))
    assert not refits.after(set_id, 5, 5) and not services.engine.submitted


def test_after__nothing_that_learns_starts_nothing(tmp_path, monkeypatch):
    others = {name: replace(entry, reads_verdicts=False) for name, entry in registry.analyses().items()}
    monkeypatch.setattr(registry, "_REGISTRY", others)
    with opened(tmp_path) as (services, set_id):
        refits = Refits()
        refits.status(set_id, 0)
        decide(services, set_id, range(5))
        assert not refits.after(set_id, 5, 5) and not services.engine.submitted


def test_after__what_takes_minutes_waits_until_somebody_asks(there, monkeypatch):
    services, set_id = there
    slow = replace(registry.analyses()["learner"], takes_minutes=True)
    monkeypatch.setattr(registry, "_REGISTRY", {**registry.analyses(), "learner": slow})
    refits = Refits()
    refits.status(set_id, 0)
    decide(services, set_id, range(5))
    assert not refits.after(set_id, 5, 5) and not services.engine.submitted
