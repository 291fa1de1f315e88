"""Many people deciding at once, in one process and in two, and processes that are killed: every decision there, once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from data.decisions import Decision, states
from data.workspace import Workspace
from tests.app.deciding import BATCH, app_process, offering, sessions, until_killed
from tests.data.workspaces import write_set

MANY = 200
STARTS_SECONDS = 60

# One server imports what a process needs, and every process is forked from it in milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.app.deciding"])


@pytest.fixture(autouse=True)
def no_main_to_run_again(monkeypatch):
    """A process that is started runs the parent's main module first, and tests of pages leave theirs there."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


@pytest.fixture
def set_path(tmp_path):
    return write_set(tmp_path / "set.npz", 20)


def by_session(log: list[Decision]) -> dict[str, list[int]]:
    """The numbers of each session's decisions, in the order of the log."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for entry in log:
        numbers[entry.annotator].append(int(entry.seconds))
    return dict(numbers)


def check_order(log: list[Decision]) -> None:
    ids = [entry.id for entry in log]
    assert ids == sorted(set(ids))


@pytest.mark.slow
def test_sixteen_sessions_at_once_on_duckdb(tmp_path, set_path):
    with Workspace.open(tmp_path / "w") as workspace:
        set_id = workspace.add_set(set_path)
        sessions(workspace, set_id, "w", 16, MANY)
        log = workspace.decisions(set_id)
    assert by_session(log) == {f"w-{i}": list(range(MANY)) for i in range(16)}
    check_order(log)


@pytest.mark.slow
def test_sixteen_sessions_in_two_processes_on_postgresql(tmp_path, set_path, postgres):
    url, start = postgres.new_database(), processes.Barrier(2)
    both = [
        processes.Process(target=app_process, args=(tmp_path / name, url, set_path, start, (8, MANY))) for name in ("a", "b")
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    with Workspace.open(tmp_path / "c", decisions=url) as workspace:
        set_id = workspace.add_set(set_path)
        log = workspace.decisions(set_id)
        assert workspace.states(set_id) == states(log)
    assert by_session(log) == {f"{name}-{i}": list(range(MANY)) for name in "ab" for i in range(8)}
    check_order(log)
    first = [next(n for n, entry in enumerate(log) if entry.annotator[0] == name) for name in "ab"]
    last = [max(n for n, entry in enumerate(log) if entry.annotator[0] == name) for name in "ab"]
    assert max(first) < min(last), "they did decide at the same time"


def stroke(sample_id: int, action: str, milliseconds: int, annotator: str = "ann", **more: object) -> Decision:
    at = f"2026-01-01T00:00:{milliseconds / 1000:06.3f}000Z"
    return Decision(sample_id, action, annotator=annotator, at=at, **more)  # type: ignore[arg-type]


def test_same_strokes_offered_to_two_processes_at_once__each_once_in_order(tmp_path, set_path, postgres):
    """A tab's connection breaks while its process still writes, and the next process is offered the same."""
    url, start = postgres.new_database(), processes.Barrier(2)
    strokes = [stroke(n % 20, "keep", n) for n in range(40)]
    both = [processes.Process(target=offering, args=(tmp_path / name, url, set_path, start, strokes)) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    with Workspace.open(tmp_path / "c", decisions=url) as workspace:
        log = workspace.decisions(workspace.add_set(set_path))
    assert [(entry.sample_id, entry.at) for entry in log] == [(one.sample_id, one.at) for one in strokes]


def test_decide_new__repeated_strokes_of_one_sample_are_there_once(tmp_path, set_path, store):
    """Also an undo, what was decided after it, and two people in the same moment whose browsers' last digits differ."""
    strokes = [stroke(3, "keep", 0), stroke(3, "undo", 1), replace(stroke(3, "keep", 1), at="2026-01-01T00:00:00.001002Z")]
    strokes.append(replace(strokes[0], annotator="bob", at="2026-01-01T00:00:00.000001Z"))
    with Workspace.open(tmp_path / "w", decisions=store) as workspace:
        set_id = workspace.add_set(set_path)
        for upto in (1, 3, 3, 4, 4):
            workspace.decide_new(set_id, strokes[:upto])
        log = workspace.decisions(set_id)
    assert [(e.annotator, e.action, e.at) for e in log] == [(one.annotator, one.action, one.at) for one in strokes]
    assert [entry.undoes for entry in log] == [None, log[0].id, None, None]
    assert states(log)[3].last == log[-1]


def test_decide_new__an_undo_takes_back_ones_own_before_anybody_elses(tmp_path, set_path, store):
    with Workspace.open(tmp_path / "w", decisions=store) as workspace:
        set_id = workspace.add_set(set_path)
        workspace.decide_new(set_id, [stroke(5, "keep", 0), stroke(5, "relabel", 1, "bob", label=1)])
        own, theirs, none = (workspace.decide_new(set_id, [stroke(5, "undo", n)]) for n in (2, 3, 4))
        log = workspace.decisions(set_id)
        workspace.decide_new(set_id, [stroke(6, "keep", 5, "bob")])
        refused = workspace.decide_new(set_id, [stroke(6, "undo", 6)], undo_others=False)
    assert [own[0].undoes, theirs[0].undoes] == [log[0].id, log[1].id]
    assert none == refused == []


def test_decide_new__what_the_set_cannot_be_given_holds_nothing_back(tmp_path, set_path, store):
    with Workspace.open(tmp_path / "w", decisions=store) as workspace:
        set_id = workspace.add_set(set_path)
        wrong = [stroke(20, "keep", 0), stroke(1, "relabel", 1, label=99), stroke(2, "undo", 2)]
        kept = workspace.decide_new(set_id, [wrong[0], stroke(1, "keep", 3), wrong[1], wrong[2], stroke(2, "keep", 4)])
        assert workspace.decisions(set_id) == kept
    assert [entry.sample_id for entry in kept] == [1, 2]


@pytest.mark.parametrize("times", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments__every_acknowledged_decision_is_there(tmp_path, set_path, store, times):
    moments, acknowledged = random.Random(times), 0
    for time_ in range(times):
        said = decide_until_killed(tmp_path / "w", store, set_path, f"p{time_}", moments.uniform(0.1, 0.5))
        acknowledged += sum(map(len, said.values()))
        with Workspace.open(tmp_path / "w", decisions=store) as workspace:
            log = workspace.decisions(workspace.add_set(set_path))
        check_order(log)
        kept = by_session([entry for entry in log if entry.annotator.startswith(f"p{time_}-")])
        for session, numbers in said.items():
            assert kept[session][: len(numbers)] == numbers == list(range(len(numbers)))
        for session, numbers in kept.items():
            batch = BATCH if int(session[-1]) % 2 else 1
            assert numbers == list(range(len(numbers))) and len(numbers) % batch == 0, "a batch is there as a whole"
            assert len(numbers) - len(said.get(session, [])) <= batch, "only what was under way was not acknowledged"
    assert acknowledged > 5 * times


def decide_until_killed(folder: Path, store: str, set_path: Path, name: str, seconds: float) -> dict[str, list[int]]:
    """Let a process decide for so long, kill it, and return the numbers that it acknowledged, by session."""
    reading, writing = processes.Pipe(duplex=False)
    process = processes.Process(target=until_killed, args=(folder, store, set_path, name, writing))
    process.start()
    writing.close()
    reading.poll(STARTS_SECONDS)  # until it has said something: a busy machine takes its time to start it
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    said = bytearray()
    while part := os.read(reading.fileno(), 1 << 16):
        said += part
    reading.close()
    numbers: dict[str, list[int]] = defaultdict(list)
    for line in said.decode().splitlines():
        session, number = line.split()
        numbers[session].append(int(number))
    return dict(numbers)
