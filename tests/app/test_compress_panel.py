"""Carrying out a plan: what would be pruned, what people's decisions keep from it, and that it is undone as one."""

from __future__ import annotations

import numpy as np

from app.compress_panel import left_out, prune_decisions, wish_of
from data.decisions import Decision, states
from tests.analysis.made_sets import made_set
from tests.analysis.test_compression import plan
from tests.app.workspaces import opened

KEPT = np.array([True, False, False, False, False, False, False])
LOG = [
    Decision(0, "prune"),
    Decision(1, "prune"),
    Decision(2, "keep"),
    Decision(3, "relabel", label=1),
    Decision(4, "skip"),
    Decision(5, "prune"),
    Decision(5, "restore"),
]


def test_left_out__people_who_settled_an_image_are_not_overruled():
    out = left_out(KEPT, states(LOG))
    assert out.pruned.tolist() == [1]
    assert out.overruled.tolist() == [2, 3, 5]
    assert out.undecided.tolist() == [4, 6], "skipping settles nothing"
    assert len(out) == 6
    assert out.missing.tolist() == [0]


def test_left_out__nothing_where_all_is_kept():
    assert len(left_out(np.ones(7, bool), states(LOG))) == 0


def test_prune_decisions__are_one_batch_and_undone_as_one(tmp_path):
    with opened(tmp_path) as (running, set_id):
        workspace = running.workspace
        workspace.decide(set_id, Decision(3, "keep", annotator="ann"))
        kept = np.arange(20) < 8
        ids = left_out(kept, workspace.states(set_id)).undecided
        workspace.decide_many(set_id, [d.stamped("ann") for d in prune_decisions(ids)])
        assert workspace.decision_counts(set_id)["pruned"] == 12
        assert {(d.reason, d.finding) for d in workspace.decisions(set_id)[1:]} == {("other", "compression")}
        assert not len(left_out(kept, workspace.states(set_id)).undecided)
        workspace.undo(set_id, "ann")
        counts = workspace.decision_counts(set_id)
        assert counts["pruned"] == 0 and counts["kept"] == 1


def test_wish_of__is_what_the_run_planned():
    found = plan(made_set((6, 6)), ipc=4, factor=3)
    wish = wish_of(found, {"factor": 3, "resampling": "bilinear", "ipc": 4})
    assert wish.tile.tolist() == found.per_sample["tile"].tolist()
    assert (wish.factor, wish.resampling, wish.plan["ipc"]) == (3, "bilinear", 4)
