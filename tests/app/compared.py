"""A finished run of the label critic, of which only the table of candidates says anything."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import findings_io
from analysis.findings import Findings, per_class_table, per_sample_table
from data.decisions import CRITIC
from data.workspace import RunRecord, Workspace


def candidates(rows: list[tuple[int, list[tuple[int, float]]]]) -> pd.DataFrame:
    """The table of (sample, [(label, p), ...]) as the critic writes it."""
    return pd.DataFrame(
        [
            {"sample_id": sample, "place": place, "label": label, "class_name": str(label), "p": p, "origins": "given"}
            for sample, found in rows
            for place, (label, p) in enumerate(found)
        ],
        columns=["sample_id", "place", "label", "class_name", "p", "origins"],
    )


def add_critic(workspace: Workspace, set_id: str, table: pd.DataFrame, key: str = "key") -> RunRecord:
    """A run that found ``table``; the score of each asked sample is the p of its given label."""
    opened = workspace.load(set_id)
    score = np.full(len(opened), np.nan)
    for row in table.itertuples():
        if row.label == opened.labels[row.sample_id]:
            score[row.sample_id] = row.p
    found = Findings(
        per_sample=per_sample_table(score, score < 0.5),
        per_class=per_class_table(opened.class_names, opened.per_class),
        tables={"candidates": table},
    )
    run = workspace.start_run(set_id, CRITIC, {}, key)
    run.folder.mkdir()
    findings_io.save(found, run.folder)
    return workspace.finish_run(run.id, "done", "", 0.5, "cpu")
