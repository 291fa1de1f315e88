"""Settling conflicts: what waits, what each verdict decides, and that it can be taken back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from analysis import findings_io
from analysis.context import Context
from analysis.registry import run
from app.conflicts import Conflict, answers_about, conflict, settle, take_back, verdict_decision, waiting
from app.identity import NAMELESS
from app.services import Services
from data.decisions import Decision
from data.errors import ImpossibleRequest
from tests.app.workspaces import opened

CLASSES = 5


@pytest.fixture
def reviewed(tmp_path) -> Iterator[tuple[Services, str]]:
    """Samples 0 to 3 (labelled so): ada keeps them, bob says class 4 of 0, 1 and 2; a third person sides with ada on 2."""
    with opened(tmp_path) as (running, set_id):
        log = [Decision(i, "keep", annotator="ada") for i in range(4)]
        log += [Decision(i, "relabel", label=4, annotator="bob") for i in range(3)] + [Decision(3, "keep", annotator="bob")]
        running.workspace.decide_many(set_id, [*log, Decision(2, "keep", annotator="cleo")])
        find_conflicts(running, set_id)
        yield running, set_id


def find_conflicts(running: Services, set_id: str, **parameters: object) -> None:
    distilled_set = running.workspace.load(set_id)
    found = run("agreement", distilled_set, Context(annotations=running.annotations(set_id)), settled_from=1.0, **parameters)
    begun = running.workspace.start_run(set_id, "agreement", {}, "key")
    begun.folder.mkdir(parents=True)
    findings_io.save(found, begun.folder, {})
    running.workspace.finish_run(begun.id, "done")


def test_waiting__the_least_sure_conflict_comes_first(reviewed):
    _, set_id = reviewed
    now = waiting(set_id, NAMELESS)
    assert set(now.left[:2]) == {0, 1} and now.left[2:] == (2,) and (now.settled, now.last) == (0, None)
    about = conflict(set_id, 0)
    assert {about.first, about.second} == {0, 4} and about.given == 0 and "given" not in about.labels
    assert answers_about(set_id, 0) == [("ada", 0), ("bob", 4)]


def test_settle__is_a_decision_of_whoever_settles_and_the_next_comes(reviewed):
    running, set_id = reviewed
    first, second, _ = waiting(set_id, NAMELESS).left
    assert settle(set_id, conflict(set_id, first), "both", 1.5)
    now = waiting(set_id, NAMELESS)
    assert now.left[0] == second and now.settled == 1 and now.last == first
    entry = running.workspace.decisions(set_id, first)[-1]
    assert (entry.annotator, entry.action, entry.finding, entry.seconds) == (NAMELESS, "soften", "agreement", 1.5)
    assert [entry.soft_label[c] for c in (first, 4)] == [0.5, 0.5] and sum(entry.soft_label) == 1
    assert answers_about(set_id, first) == [("ada", first), ("bob", 4)], "the verdict is no answer among theirs"


def test_settle__what_is_settled_is_not_settled_twice(reviewed):
    running, set_id = reviewed
    about = conflict(set_id, 0)
    assert settle(set_id, about, "skip") and not settle(set_id, about, "neither")
    assert [d.action for d in running.workspace.decisions(set_id, 0)] == ["keep", "relabel", "skip"]
    assert 0 not in waiting(set_id, NAMELESS).left


def test_take_back__the_reviewers_latest_verdict_and_nothing_else(reviewed):
    running, set_id = reviewed
    assert not take_back(set_id)
    first, second, _ = waiting(set_id, NAMELESS).left
    settle(set_id, conflict(set_id, first), "neither")
    settle(set_id, conflict(set_id, second), "first")
    running.workspace.decide(set_id, Decision(9, "prune", annotator=NAMELESS))
    assert take_back(set_id) and waiting(set_id, NAMELESS).last == first
    assert take_back(set_id) and not take_back(set_id)
    assert waiting(set_id, NAMELESS).settled == 0 and running.workspace.states(set_id)[9].pruned
    assert waiting(set_id, "somebody else").last is None


def test_settle__verdicts_are_known_labels_of_the_next_run(reviewed):
    running, set_id = reviewed
    about = conflict(set_id, 0)
    settle(set_id, about, "second" if about.second == 4 else "first")
    assert running.workspace.states(set_id)[0].label == 4
    find_conflicts(running, set_id, gold=NAMELESS)
    people = running.findings(set_id, "agreement")[1].tables["annotators"].set_index("annotator")
    assert people["gold_accuracy"].to_dict() == pytest.approx({"ada": 0.0, "bob": 1.0, "cleo": np.nan}, nan_ok=True)
    assert set(waiting(set_id, NAMELESS).left) == {1, 2}


def test_conflict__without_results_or_two_answers_is_refused(reviewed, tmp_path):
    _, set_id = reviewed
    with pytest.raises(ImpossibleRequest, match="no two answers"):
        conflict(set_id, 9)
    with opened(tmp_path / "other") as (_, other), pytest.raises(ImpossibleRequest):
        waiting(other, NAMELESS)


@pytest.mark.parametrize(
    ("verdict", "action", "label"),
    [
        ("given", "keep", None),
        ("first", "relabel", 1),
        ("second", "relabel", 3),
        ("neither", "prune", None),
        ("skip", "skip", None),
    ],
)
def test_verdict_decision__of_each_button(verdict, action, label):
    about = Conflict(7, given=2, first=1, second=3, p_first=0.6, p_second=0.3)
    found = verdict_decision(about, verdict, CLASSES, None)
    assert (found.sample_id, found.action, found.label, found.finding) == (7, action, label, "agreement")
    assert found.reason == {"relabel": "wrong label", "keep": None}.get(action, "ambiguous")
    assert list(about.labels) == ["given", "first", "second"]
    kept = verdict_decision(Conflict(7, given=1, first=1, second=3, p_first=0.6, p_second=0.3), "first", CLASSES, None)
    assert kept.action == "keep"
