"""People who work through a shared queue: for the tests in which several do at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

from data.decisions import Decision
from data.workspace import Workspace


def work(workspace: Workspace, queue: int, who: str, at_once: int = 8) -> int:
    """One person who keeps whatever they are handed until nothing is; returns how many decisions that took."""
    set_id, many = workspace.queues.get(queue).set_id, 0
    while True:
        claim = workspace.queues.claim(queue, who, at_once)
        if not len(claim.ids):
            if claim.why != "held":
                return many
            continue  # others decide what they hold, and nobody gives anything back
        for sample in claim.ids[:3].tolist():
            workspace.decide(set_id, Decision(sample, "keep", annotator=who))
            many += 1


def crowd(workspace: Workspace, queue: int, people: list[str]) -> int:
    """All of them at once; returns how many decisions they took. Raises what any of them raised."""
    with ThreadPoolExecutor(len(people)) as pool:
        return sum(worker.result() for worker in [pool.submit(work, workspace, queue, who) for who in people])


def crowd_process(folder: Path, store: str, set_path: Path, start: Barrier, queue: int) -> None:
    """The part of an app process in which people work through a queue."""
    with Workspace.open(folder, decisions=store) as workspace:
        workspace.add_set(set_path)
        start.wait(60)
        crowd(workspace, queue, [f"{folder.name}-{i}" for i in range(3)])
