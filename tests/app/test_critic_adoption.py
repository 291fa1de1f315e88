"""Adopting the critic's labels: which ones, what people's decisions keep from it, and that it is taken back as one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from app.critic_adoption import adopt, adopted, adoption, best_of, decisions, known_of
from data.decisions import CRITIC, Decision, states
from data.pair_answers import NOTHING
from data.verdicts import NO_VERDICTS, Verdicts
from tests.app.critic_findings import critic_findings
from tests.app.workspaces import opened

FOUND = critic_findings().per_sample


def test_adoption__sorts_what_reaches_the_probability_the_surest_first():
    chosen = adoption(FOUND, 0.8, {})
    assert chosen.relabel.tolist() == [5, 6, 10, 11] and chosen.labels.tolist() == [1, 2, 1, 2]
    assert chosen.keep.tolist() == [7] and chosen.no_fit.tolist() == [9]
    assert len(chosen.by_people) == len(chosen.standing) == 0 and len(chosen) == 6


def test_adoption__the_probability_itself_is_enough():
    assert adoption(FOUND, 0.97, {}).relabel.tolist() == [5, 6]
    assert adoption(FOUND, 0.971, {}).relabel.tolist() == [5]


def test_adoption__whatever_people_decided_is_left_out():
    log = [
        Decision(5, "skip", annotator="ann", id=1),
        Decision(6, "prune", annotator="ann", id=2),
        Decision(7, "keep", annotator="ann", id=3),
        Decision(9, "relabel", label=3, annotator="ann", id=4),
        Decision(10, "keep", annotator="ann", id=5),
        Decision(10, "undo", annotator="ann", undoes=5, id=6),
    ]
    chosen = adoption(FOUND, 0.8, states(log))
    assert sorted(chosen.by_people.tolist()) == [5, 6, 7, 9]
    assert chosen.relabel.tolist() == [10, 11] and not len(chosen.keep) and not len(chosen.no_fit)


def test_adoption__a_decision_over_the_critics_own_is_a_persons():
    log = [Decision(5, "relabel", label=1, annotator=CRITIC, id=1), Decision(5, "prune", annotator="ann", id=2)]
    assert adoption(FOUND, 0.95, states(log)).by_people.tolist() == [5]


def test_adoption__another_best_label_than_it_adopted_before_is_adopted_anew():
    log = [Decision(5, "relabel", label=4, annotator=CRITIC, id=1), Decision(6, "relabel", label=2, annotator=CRITIC, id=2)]
    chosen = adoption(FOUND, 0.95, states(log))
    assert chosen.relabel.tolist() == [5] and chosen.standing.tolist() == [6]


def test_decisions__are_signed_by_the_critic_at_one_time_and_say_why():
    batch = decisions(adoption(FOUND, 0.95, {}), also_keep=True)
    assert [(d.sample_id, d.action, d.label, d.reason) for d in batch] == [
        (5, "relabel", 1, "wrong label"),
        (6, "relabel", 2, "wrong label"),
        (7, "keep", None, None),
    ]
    assert {(d.annotator, d.finding) for d in batch} == {(CRITIC, "critic")} and len({d.at for d in batch}) == 1
    assert [d.sample_id for d in decisions(adoption(FOUND, 0.95, {}), also_keep=False)] == [5, 6]


def test_adopting__counts_never_overrides_and_is_undone_as_one(tmp_path):
    with opened(tmp_path) as (running, set_id):
        workspace = running.workspace
        workspace.decide(set_id, Decision(6, "keep", annotator="ann"))

        def adopt(level: float) -> int:
            batch = decisions(adoption(FOUND, level, workspace.states(set_id)), also_keep=True)
            return len(workspace.decide_many(set_id, batch))

        assert adopt(0.95) == 2 and adopt(0.95) == 0, "the second time everything stands already"
        counts = workspace.decision_counts(set_id)
        assert (counts["relabelled"], counts["kept"]) == (1, 2)
        assert workspace.states(set_id)[6].label is None, "a person kept it"
        assert adopt(0.8) == 2
        stands = adopted(workspace.decisions(set_id))
        assert (stands.relabelled, stands.kept, stands.before) == (2, 0, 2)
        workspace.undo(set_id, CRITIC)
        stands = adopted(workspace.decisions(set_id))
        assert (stands.relabelled, stands.kept, stands.before) == (1, 1, 0)
        workspace.undo(set_id, CRITIC)
        assert adopted(workspace.decisions(set_id)) is None
        assert workspace.decision_counts(set_id)["kept"] == 1, "what ann decided is still there"
        assert running.verdicts(set_id).ids.tolist() == [6]


def test_adopt__what_somebody_decided_since_the_page_was_drawn_stands(tmp_path):
    with opened(tmp_path) as (running, set_id):
        workspace = running.workspace
        drawn = adoption(FOUND, 0.95, workspace.states(set_id))
        workspace.decide(set_id, Decision(6, "keep", annotator="ann"))
        assert adopt(set_id, FOUND, drawn, also_keep=True) == 2
        states_now = workspace.states(set_id)
        assert states_now[6].last.annotator == "ann" and states_now[6].label is None
        assert states_now[5].label == 1 and states_now[7].settled_by == CRITIC


def test_adopt__two_at_once_write_one_batch(tmp_path):
    with opened(tmp_path) as (running, set_id):
        drawn = adoption(FOUND, 0.5, running.workspace.states(set_id))
        with ThreadPoolExecutor(4) as sessions:
            written = list(sessions.map(lambda _: adopt(set_id, FOUND, drawn, True), range(4)))
        assert sorted(written) == [0, 0, 0, drawn.writes(True)]
        running.workspace.undo(set_id, CRITIC)
        assert adopted(running.workspace.decisions(set_id)) is None


def test_adopting__is_no_verdict_of_peoples(tmp_path):
    with opened(tmp_path) as (running, set_id):
        batch = decisions(adoption(FOUND, 0.5, {}), also_keep=True)
        running.workspace.decide_many(set_id, batch)
        assert running.verdicts(set_id).empty


def test_adopted__what_people_took_over_is_still_told():
    log = [
        Decision(5, "relabel", label=1, annotator=CRITIC, at="2026-01-01", id=1),
        Decision(6, "relabel", label=2, annotator=CRITIC, at="2026-01-01", id=2),
        Decision(5, "keep", annotator="ann", id=3),
        Decision(6, "undo", annotator="ann", undoes=2, id=4),
    ]
    stands = adopted(log)
    assert (stands.relabelled, stands.kept, stands.before) == (1, 0, 0)
    assert adopted(log[2:3]) is None and adopted([]) is None


ROW = st.tuples(st.integers(0, 3), st.integers(NOTHING, 3), st.floats(0, 1) | st.just(float("nan")))


@given(st.lists(ROW, max_size=30), st.floats(0.5, 0.999), st.lists(st.sampled_from(["ann", CRITIC]), max_size=30))
def test_adoption__every_sample_that_reaches_the_probability_stands_in_one_part(rows, level, deciders):
    table = pd.DataFrame(rows, columns=["given_label", "suggested_label", "p_suggested"])
    table = table.assign(sample_id=np.arange(len(rows)), score=table["p_suggested"])
    log = [Decision(i, "relabel", label=2, annotator=who, id=i + 1) for i, who in enumerate(deciders)]
    chosen = adoption(table, level, states(log))
    parts = [chosen.relabel, chosen.keep, chosen.by_people, chosen.standing, chosen.no_fit]
    reached = [i for i, (_, _, p) in enumerate(rows) if p >= level]
    assert sorted(np.concatenate(parts).tolist()) == reached
    assert all(deciders[i : i + 1] != ["ann"] for i in chosen.relabel)
    assert all(label not in (NOTHING, rows[i][0]) for i, label in zip(chosen.relabel, chosen.labels, strict=True))
    assert all(rows[i][0] == rows[i][1] for i in chosen.keep)


def test_best_of__what_people_settled_says_which_best_labels_are_right():
    settled = Verdicts(np.array([3, 5, 6, 9]), np.array([0, 1, 4, 4]))
    best = best_of(FOUND, settled)
    assert len(best) == 8, "only what was asked"
    np.testing.assert_array_equal(best.right, [1, 0, np.nan, np.nan, 0, np.nan, np.nan, np.nan])
    assert np.isnan(best.p[4]) and best.p[0] == 0.99 and best.agrees.tolist() == [False, False, True, True] + [False] * 4
    assert best.adopted(0.95).sum() == 3 and np.isnan(best_of(FOUND, NO_VERDICTS).right).all()


def test_known_of__is_worked_out_anew_after_every_decision(tmp_path):
    with opened(tmp_path) as (running, set_id):
        workspace = running.workspace
        run = workspace.start_run(set_id, "critic", {}, "key")
        assert known_of(run) is known_of(run)
        workspace.decide(set_id, Decision(5, "keep", annotator="ann"))
        assert known_of(run).verdicts.ids.tolist() == [5] and known_of(run).adopted is None
        workspace.decide_many(set_id, decisions(adoption(FOUND, 0.8, known_of(run).states), True))
        assert known_of(run).adopted.relabelled == 3 and known_of(run).states[5].last.annotator == "ann"
        workspace.undo(set_id, CRITIC)
        assert known_of(run).adopted is None
