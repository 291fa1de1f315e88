"""Shared queues on the app's side: what goes in, what a blind card may send, and how it stands in words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import history
from app.components.event_queue import Event
from app.queue import SHARED, Queue, commit_events
from app.shared_queue import cut_by_class, hand_back, hand_out, make_queue, set_open, shared_queues, shared_title, typed_ids
from app.shared_queue_words import answers_words, beyond_words, minutes, pace_words, queue_facts, said_words, why_words
from data.decisions import Decision
from data.queue_work import Claim, Progress, Worker
from data.queues import QueuePlan
from tests.app.sessions import LOGIN, claims, session
from tests.app.workspaces import opened


@pytest.fixture
def there(tmp_path):
    with opened(tmp_path) as (running, set_id), session({}, annotator="ann"):
        yield running.workspace, set_id


def event(action: str, sample: int, seq: int = 0, **more) -> Event:
    return Event("token", seq, action, sample, at=f"2026-01-01T00:00:{seq:02}", **more)


def progress(answers: int, wanted: int, *workers: Worker, beyond: int = 0) -> Progress:
    return Progress(wanted, answers, answers, wanted, beyond, workers)


def test_the_menu_lists_open_queues_with_what_is_left_for_this_person(there):
    workspace, set_id = there
    made = make_queue(set_id, QueuePlan("Round 1", np.arange(6)))
    assert made.made_by == "ann"
    assert shared_queues(set_id) == [Queue(SHARED, shared=made.id)]
    workspace.decide(set_id, Decision(0, "keep", annotator="ann"))
    assert shared_title(made.id, "ann") == shared_title(made.id, "bob") == "Round 1: 5 left for you"
    set_open(made.id, False)
    assert shared_queues(set_id) == []


def test_hand_back__gives_what_was_handed_out_to_the_next(there):
    workspace, set_id = there
    made = make_queue(set_id, QueuePlan("Round 1", np.array([4])))
    hand_back()
    assert hand_out(made.id, "ann").ids.tolist() == [4]
    hand_back(unless=(made.id, "ann"))
    assert workspace.queues.claim(made.id, "bob", 5).why == "held"
    hand_back()
    assert workspace.queues.claim(made.id, "bob", 5).ids.tolist() == [4]


def test_hand_out__is_signed_by_who_is_logged_in(tmp_path):
    with opened(tmp_path, login=LOGIN) as (running, set_id), session(claims("olga")):
        made = make_queue(set_id, QueuePlan("Round 1", np.arange(3)))
        hand_out(made.id, "somebody else")
        (worker,) = running.workspace.queues.progress(made.id).workers
        assert worker.who.startswith("olga@example.org") and worker.holding == 3


def test_commit_events__a_relabel_to_the_given_label_is_a_keep_and_written_once(there):
    workspace, set_id = there
    sent = [event("relabel", 3, label=3), event("relabel", 4, 1, label=2)]
    commit_events(set_id, "ann", None, sent, own=True)
    commit_events(set_id, "ann", None, sent, own=True)
    assert [(d.sample_id, d.action, d.label) for d in workspace.decisions(set_id)] == [(3, "keep", None), (4, "relabel", 2)]


def test_commit_events__in_a_shared_queue_an_undo_takes_back_nothing_of_others(there):
    workspace, set_id = there
    workspace.decide(set_id, Decision(3, "keep", annotator="bob"))
    commit_events(set_id, "ann", None, [event("undo", 3)], own=True)
    assert [d.action for d in workspace.decisions(set_id)] == ["keep"]
    commit_events(set_id, "ann", None, [event("undo", 3, 1)])
    assert [d.action for d in workspace.decisions(set_id)] == ["keep", "undo"]


def test_commit_events__what_was_asked_under_something_else_keeps_that(there):
    """A blind queue counts only what was decided in it, also where the answers arrive after another was chosen."""
    workspace, set_id = there
    blind = make_queue(set_id, QueuePlan("Round 1", np.arange(6), blind=True))
    told = [blind.under, "label_errors", "", None, "blind queue 99", "whatever"]
    commit_events(set_id, "ann", "critic", [event("keep", i, i, finding=said) for i, said in enumerate(told)])
    said = [decision.finding for decision in workspace.decisions(set_id)]
    assert said == [blind.under, "label_errors", None, "critic", None, None]
    assert workspace.queues.left(blind.id, "ann") == 5


def test_reopen__stays_until_the_same_person_decides_it_anew(there):
    workspace, set_id = there
    workspace.decide(set_id, Decision(3, "relabel", label=1, annotator="ann", at="2026-01-02T03:04:05.678+00:00"))
    assert history.reopened(set_id, "ann") is None
    history.reopen(set_id, 3, "ann")
    assert (history.reopened(set_id, "ann"), history.reopened(set_id, "bob")) == (3, None)
    opened_set = workspace.load(set_id)
    names = opened_set.class_names
    workspace.decide(set_id, Decision(3, "prune", annotator="bob"))
    said = f"You relabelled to {names[1]} on 2026-01-02 03:04:05."
    assert history.decided_before(set_id, 3, "ann", opened_set) == {3: said}
    workspace.undo(set_id, "ann")
    assert history.decided_before(set_id, 3, "ann", opened_set) == {3: f"{said[:-1]}, which was taken back."}
    assert history.reopened(set_id, "ann") == 3
    workspace.decide(set_id, Decision(3, "keep", annotator="ann"))
    assert history.reopened(set_id, "ann") is None


def test_what__who_is_asked_blind_does_not_learn_whether_it_is_the_given_label(there):
    workspace, set_id = there
    opened_set = workspace.load(set_id)
    given_name, other = (opened_set.class_names[label] for label in (opened_set.labels[3], opened_set.labels[3] - 1))
    told = {action: history.what(Decision(3, action), opened_set, blind=True) for action in ("keep", "skip")}
    relabelled = Decision(3, "relabel", label=int(opened_set.labels[3]) - 1)
    assert told == {"keep": f"chose {given_name}", "skip": "skipped"}
    assert history.what(relabelled, opened_set, blind=True) == f"chose {other}"
    assert history.what(relabelled, opened_set) == f"relabelled to {other}"


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=30), most=st.none() | st.integers(1, 4), data=st.data())
def test_cut_by_class__keeps_the_first_of_each_class_in_their_order(labels, most, data):
    ids = np.array(data.draw(st.permutations(range(len(labels)))), np.int64)
    ids = ids[: data.draw(st.integers(0, len(ids)))]
    counted, expected = Counter(), []
    for i in ids.tolist():
        counted[labels[i]] += 1
        if most is None or counted[labels[i]] <= most:
            expected.append(i)
    assert cut_by_class(ids, np.array(labels), most).tolist() == expected


@pytest.mark.parametrize(
    ("text", "ids", "wrong"),
    [
        ("3, 1;2\n3", [3, 1, 2], []),
        ("", [], []),
        ("5 9 10 -1 x 1e3 ٣", [5, 9], ["10", "-1", "x"]),
        ("9" * 5000, [], ["9" * 40]),
        ("0 x " * 30_000, [0], ["x"] * 3),  # each part is looked at once
    ],
)
def test_typed_ids__takes_whatever_was_pasted(text, ids, wrong):
    found, left_out = typed_ids(text, 10)
    assert (found.tolist(), list(left_out)) == (ids, wrong)


def test_words__say_what_they_count(there):
    _, set_id = there
    queue = make_queue(set_id, QueuePlan("Round 1", np.arange(6), overlap=2, blind=True, quota=5, lease_seconds=90))
    assert queue_facts(queue).startswith("2 people decide each sample, blind, at most 5 for each person.")
    assert answers_words(progress(3, 3)) == "3 of 3 samples done"
    assert answers_words(Progress(3, 1, 4, 6, 0, ())) == "1 of 3 samples done (4 of 6 answers)"
    assert beyond_words(progress(3, 3)) == "" and beyond_words(progress(3, 3, beyond=2)).startswith("2 samples have")
    assert said_words({"relabel": (2, 70.0), "skip": (1, 5.0)}) == "You decided: 2 relabelled, 1 skipped. That took 1 min."
    blind = {"relabel": (2, 70.0), "skip": (1, 5.0), "keep": (4, 45.0)}
    assert said_words(blind, blind=True) == "You decided: 6 labelled, 1 skipped. That took 2 min."
    nothing = np.empty(0, np.int64)
    assert "until 03:04 UTC" in why_words(Claim(nothing, 4, "held", 3 * 3600 + 4 * 60), queue)
    assert "5 that one person does" in why_words(Claim(nothing, 0, "quota"), queue)
    assert [minutes(s) for s in (0.4, 59, 120, 7_260)] == ["0 s", "59 s", "2 min", "2 h 1 min"]


def test_pace_words__too_few_decisions_say_nothing():
    found = progress(10, 40, Worker("ann", 4, 0, 3), Worker("bob", 6, 0, 3))
    assert "shows after 5" in pace_words("ann", 20, found, {"ann": [2.0] * 4, "bob": [3.0] * 6})


def test_pace_words__yours_and_everybody_s():
    found = progress(10, 40, Worker("ann", 5, 0, 3), Worker("bob", 5, 0, 3), Worker("eve", 9, 0))
    words = pace_words("ann", 20, found, {"ann": [6.0] * 5, "bob": [3.0] * 6, "eve": [1.0] * 9})
    assert words == (
        "Your pace: 10.0 a minute (your latest 5): 2 min for what is left for you. "
        "The queue: 60 s at the pace of the 2 at it now."  # 30 answers at 10 and 20 a minute
    ).replace("60 s", "1 min")
