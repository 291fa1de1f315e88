"""What the tests of many writers start: processes that decide, and say what was acknowledged."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from data.decisions import Decision
from data.workspace import SampleQuery, Workspace

BATCH = 3


def decide_all(workspace: Workspace, set_id: str, session: str, many: int) -> None:
    """One session: ``many`` decisions in a row, each with its number as the seconds taken, looking at the page between."""
    for number in range(many):
        workspace.decide(set_id, Decision(number % 20, "keep", annotator=session, seconds=number))
        if number % 20 == 0:
            workspace.select(set_id, SampleQuery(decision="undecided", limit=12))
            workspace.decision_counts(set_id)


def sessions(workspace: Workspace, set_id: str, name: str, at_once: int, many: int) -> None:
    """So many sessions at the same time. Raises what any of them raised."""
    with ThreadPoolExecutor(at_once) as pool:
        for session in [pool.submit(decide_all, workspace, set_id, f"{name}-{i}", many) for i in range(at_once)]:
            session.result()


def app_process(folder: Path, store: str, set_path: Path, start: Barrier, sizes: tuple[int, int]) -> None:
    """The part of an app process that decides."""
    with Workspace.open(folder, decisions=store) as workspace:
        set_id = workspace.add_set(set_path)
        start.wait(60)
        sessions(workspace, set_id, folder.name, *sizes)


def offering(folder: Path, store: str, set_path: Path, start: Barrier, strokes: list[Decision]) -> None:
    """An app process that a browser offers ``strokes`` one by one, and all of them with each, as it repeats them."""
    with Workspace.open(folder, decisions=store) as workspace:
        set_id = workspace.add_set(set_path)
        start.wait(60)
        for upto in range(1, len(strokes) + 1):
            workspace.decide_new(set_id, strokes[:upto])


def until_killed(folder: Path, store: str, set_path: Path, name: str, acknowledged: Connection) -> None:
    """Several sessions that decide one by one and in batches, and say each number once it is acknowledged."""
    workspace = Workspace.open(folder, decisions=store)
    set_id = workspace.add_set(set_path)

    def session(i: int) -> None:
        who, number = f"{name}-{i}", 0
        while True:
            batch = range(number, number + (BATCH if i % 2 else 1))
            workspace.decide_many(set_id, [Decision(n % 20, "keep", annotator=who, seconds=n) for n in batch])
            for n in batch:
                os.write(acknowledged.fileno(), f"{who} {n}\n".encode())
            number = batch.stop

    for i in range(4):
        threading.Thread(target=session, args=(i,)).start()
