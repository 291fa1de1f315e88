"""What the tables of findings tell beyond their columns."""

from __future__ import annotations

import numpy as np

from data.workspace import Workspace
from tests.data.workspaces import add_run, write_set


def test_judging__only_analyses_that_score_or_flag_some_sample(tmp_path):
    with Workspace.open(tmp_path / "project") as workspace:
        set_id = workspace.add_set(write_set(tmp_path / "set.npz"))
        nothing, never = np.full(20, np.nan), np.zeros(20, bool)
        once = np.arange(20) == 7
        runs = {
            "flags": (nothing, once),
            "scores": (np.where(once, 0.5, np.nan), never),
            "neither": (nothing, never),
        }
        for name, (score, flag) in runs.items():
            add_run(workspace, set_id, name, {"sample_id": np.arange(20), "score": score, "flag": flag}, key=name)
        assert workspace.judging(set_id) == ["flags", "scores"]
        assert list(workspace.evidence(set_id)) == ["flags", "neither", "scores"]


def test_of_samples__says_of_each_what_it_says_of_one_alone(tmp_path):
    with Workspace.open(tmp_path / "project") as workspace:
        set_id = workspace.add_set(write_set(tmp_path / "set.npz"))
        columns = {"score": np.linspace(0, 1, 20), "flag": np.arange(20) == 7}
        add_run(workspace, set_id, "all", {"sample_id": np.arange(20), **columns}, key="all")
        some = {name: values[5:9] for name, values in columns.items()}
        add_run(workspace, set_id, "some", {"sample_id": np.arange(5, 9), **some}, key="some")
        together = workspace.evidence_of_samples(set_id, [7, 3, 7])
        assert together == {i: workspace.evidence_of(set_id, i) for i in (7, 3)}
        assert set(together[7]) == {"all", "some"} and set(together[3]) == {"all"}
        assert together[7]["some"]["flag"] is True and together[3]["all"]["score"] == columns["score"][3]
