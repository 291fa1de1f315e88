"""A workspace in which every page of the menu has something to show: findings, decisions, conflicts, a relabelled tree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from app import services as module
from app.services import ACTIVE, Services
from data.decisions import Decision
from data.demo import DEMO
from data.distilled_set import OpenOptions
from tests.analysis.test_every_analysis import QUICK
from tests.data.trees import make_tree

OF_CROPS = ("crops", "label_budget")
RUN_SECONDS = 120
SECONDS_A_LOOK = 0.05
CONFLICTS = 3


def fill(folder: Path) -> tuple[str, str]:
    """Open the demo set and a small relabelled set in the new workspace ``folder``; run every analysis that either has
    everything for, in the quick way of its own tests, after two people decided about some samples and fell out over
    CONFLICTS of them. Returns the ids of both sets. Raises RuntimeError where a run fails."""
    tree = make_tree("sre2l", folder.parent / "relabelled", epochs=4)
    running = module.start(folder, "", "cpu")
    try:
        demo = running.workspace.add_set(DEMO)
        _decide(running, demo)
        analysed = [entry.name for entry in running.analyses_for(running.workspace.load(demo))]
        _run(running, demo, analysed)
        relabelled = running.workspace.add_set(tree.images, OpenOptions(labels=str(tree.tree)))
        _run(running, relabelled, OF_CROPS)
        return demo, relabelled
    finally:
        running.close()
        module._running.remove(running)


def _decide(running: Services, set_id: str) -> None:
    labels = running.workspace.load(set_id).labels
    kept = [Decision(sample, "keep", annotator="ada", seconds=2.0) for sample in range(2 * CONFLICTS)]
    moved = [
        Decision(sample, "relabel", label=int(labels[sample] + 1) % 10, annotator="bob", seconds=3.0)
        for sample in range(CONFLICTS)
    ]
    for decisions in (kept, moved, [Decision(40, "prune", annotator="bob", reason="unrecognisable")]):
        running.workspace.decide_many(set_id, decisions)


def _run(running: Services, set_id: str, names: Sequence[str]) -> None:
    """One after the other, as the worker takes them."""
    runs = [running.start(set_id, name, QUICK.get(name, {})) for name in names]
    for run in runs:
        give_up = time.monotonic() + RUN_SECONDS
        while running.engine.status(run.id).state in ACTIVE and time.monotonic() < give_up:
            time.sleep(SECONDS_A_LOOK)
        status = running.engine.status(run.id)
        if status.state != "done":
            raise RuntimeError(f"{run.analysis} ended as {status.state}: {status.error or status.message}")
