import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest

from data.decisions import Decision
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, StillroomError, UnreadableInput
from data.workspace import Workspace, WorkspaceBusy
from tests.data.workspaces import add_run, write_set

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "project") as opened:
        yield opened


@pytest.fixture
def set_path(tmp_path):
    return write_set(tmp_path / "set.npz")


def test_open__makes_the_folders(workspace):
    assert {"arrays", "runs", "uploads"} <= {entry.name for entry in workspace.folder.iterdir()}


def test_open__second_process_is_told_who_has_it(tmp_path):
    code = "import sys; from data.workspace import Workspace\nwith Workspace.open(sys.argv[1]): pass"
    with Workspace.open(tmp_path, "http://127.0.0.1:8501"):
        second = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=PROJECT, capture_output=True, text=True)
    last = second.stderr.strip().splitlines()[-1]
    assert second.returncode != 0
    assert last.startswith("data.workspace_lock.WorkspaceBusy: ")
    assert f"process {os.getpid()} at http://127.0.0.1:8501 since 20" in last
    third = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=PROJECT, capture_output=True, text=True)
    assert third.returncode == 0, third.stderr


def test_open__busy_is_one_sentence_for_people(tmp_path):
    with Workspace.open(tmp_path), pytest.raises(WorkspaceBusy) as raised:
        Workspace.open(tmp_path)
    assert isinstance(raised.value, StillroomError)
    assert "\n" not in str(raised.value) and "choose another --workspace" in str(raised.value)


def test_open__takes_over_from_a_killed_process(tmp_path):
    code = "import sys, time; from data.workspace import Workspace; w = Workspace.open(sys.argv[1]); print(1, flush=True); "
    command = [sys.executable, "-c", code + "time.sleep(60)", tmp_path]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(WorkspaceBusy, match=f"process {holder.pid}"):
            Workspace.open(tmp_path)
        holder.kill()
        holder.wait()
    Workspace.open(tmp_path).close()


def test_open__damaged_database(tmp_path):
    (tmp_path / "stillroom.duckdb").write_bytes(b"not a database " * 1000)
    for _ in range(2):  # and the lock is let go of
        with pytest.raises(UnreadableInput, match=r"stillroom\.duckdb is damaged"):
            Workspace.open(tmp_path)


def test_open__truncated_database(tmp_path):
    with Workspace.open(tmp_path) as workspace:
        workspace.add_set(write_set(tmp_path / "set.npz"))
    file = tmp_path / "stillroom.duckdb"
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(UnreadableInput, match="is damaged"):
        Workspace.open(tmp_path)


def test_open__made_by_a_newer_stillroom(tmp_path):
    Workspace.open(tmp_path).close()
    with duckdb.connect(str(tmp_path / "stillroom.duckdb")) as connection:
        connection.execute("update about set schema_version = 99")
    with pytest.raises(UnreadableInput, match=r"newer Stillroom .*version 99"):
        Workspace.open(tmp_path)


@pytest.mark.parametrize("place", ["/proc/stillroom", "a-file"])
def test_open__folder_that_cannot_be_written(tmp_path, place):
    (tmp_path / "a-file").touch()
    with pytest.raises(UnreadableInput, match="cannot be written"):
        Workspace.open(tmp_path / place)


def test_open__question_mark_in_the_folder(tmp_path):
    with pytest.raises(UnreadableInput, match="rename the folder"):
        Workspace.open(tmp_path / "why?" / "project")


def test_open__odd_letters_in_the_folder(tmp_path):
    odd = tmp_path / 'it\'s [1]* a=1 "ß"'
    with Workspace.open(odd) as workspace:
        set_id = workspace.add_set(write_set(tmp_path / "set.npz"))
        add_run(workspace, set_id, "odd", {"score": np.linspace(0, 1, 20)})
        assert workspace.evidence(set_id) == {"odd": ["score", "flag"]}
        assert workspace.evidence_of(set_id, 19) == {"odd": {"score": 1.0, "flag": False}}


def test_add_set__lists_what_it_opened(workspace, set_path):
    set_id = workspace.add_set(set_path)
    (record,) = workspace.sets()
    assert (record.id, record.path, record.n, record.num_classes) == (set_id, set_path.resolve(), 20, 5)
    assert record == workspace.set_record(set_id)
    assert len(workspace.load(set_id)) == 20


def test_add_set__same_place_same_set(workspace, set_path, monkeypatch):
    monkeypatch.chdir(set_path.parent)
    assert workspace.add_set(set_path) == workspace.add_set(set_path.name) == workspace.add_set(f"./{set_path.name}")
    assert len(workspace.sets()) == 1


def test_add_set__refused_is_not_listed(workspace, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    for name in ("bad.npz", "missing.npz"):
        with pytest.raises(UnreadableInput):
            workspace.add_set(tmp_path / name)
    assert workspace.sets() == []


def test_set_options__keep_the_id_and_survive(tmp_path, set_path):
    with Workspace.open(tmp_path) as workspace:
        set_id = workspace.add_set(set_path)
        workspace.decide(set_id, Decision(1, "prune"))
        workspace.set_options(set_id, OpenOptions(profile="mnist"))
        assert workspace.load(set_id).pixel_space.name == "mnist"
    with Workspace.open(tmp_path) as workspace:
        assert workspace.load(set_id).pixel_space.name == "mnist"
        assert workspace.add_set(set_path) == set_id  # as it was opened last
        assert workspace.load(set_id).pixel_space.name == "mnist"
        assert workspace.states(set_id)[1].pruned


def test_set_options__that_make_other_samples_are_refused(workspace, set_path):
    set_id = workspace.add_set(set_path)
    with pytest.raises(ImpossibleRequest, match="set of its own"):
        workspace.set_options(set_id, OpenOptions(repeat=1))
    with pytest.raises(UnreadableInput, match="no pixel profile 'none such'"):
        workspace.set_options(set_id, OpenOptions(profile="none such"))
    assert workspace.set_record(set_id).options == OpenOptions()


def test_remove_set__forgets_the_listing_and_keeps_decisions(workspace, set_path):
    set_id = workspace.add_set(set_path)
    workspace.decide(set_id, Decision(3, "relabel", label=2))
    workspace.remove_set(set_id)
    assert workspace.sets() == []
    with pytest.raises(ImpossibleRequest, match="open it first"):
        workspace.load(set_id)
    assert workspace.add_set(set_path) == set_id
    assert workspace.states(set_id)[3].label == 2


def test_load__keeps_the_opened_set(workspace, set_path):
    set_id = workspace.add_set(set_path)
    assert workspace.load(set_id) is workspace.load(set_id)


@pytest.mark.parametrize("reopened", [False, True])
def test_load__changed_on_disk(tmp_path, set_path, reopened):
    workspace = Workspace.open(tmp_path / "project")
    set_id = workspace.add_set(set_path)
    run = add_run(workspace, set_id, "judged", {"score": np.ones(20)})
    if reopened:
        workspace.close()
        workspace = Workspace.open(tmp_path / "project")
    write_set(set_path, n=10)
    with workspace:
        with pytest.raises(UnreadableInput, match="changed on disk"):
            workspace.load(set_id)
        assert workspace.add_set(set_path) == set_id  # wanted after all
        assert len(workspace.load(set_id)) == workspace.set_record(set_id).n == 10
        assert workspace.run(run.id).status == "outdated" and workspace.evidence(set_id) == {}


def test_load__gone_from_disk(workspace, set_path):
    set_id = workspace.add_set(set_path)
    set_path.unlink()
    with pytest.raises(UnreadableInput, match="put it back"):
        workspace.load(set_id)


def test_runs__from_start_to_end(workspace, set_path):
    set_id = workspace.add_set(set_path)
    first = workspace.start_run(set_id, "diversity", {"k": 3, "embedding": "pixels"}, "abc")
    assert (first.status, first.parameters) == ("running", {"k": 3, "embedding": "pixels"})
    assert first.folder.parent == workspace.folder / "runs" and not first.folder.exists()
    second = workspace.start_run(set_id, "diversity", {}, "def")
    failed = workspace.finish_run(second.id, "failed", "no memory.", 2.5, "cpu")
    assert (failed.status, failed.message, failed.seconds, failed.device) == ("failed", "no memory.", 2.5, "cpu")
    assert [run.id for run in workspace.runs(set_id)] == [second.id, first.id]
    assert workspace.runs(set_id, "map") == []
    assert workspace.latest_run(set_id, "diversity") is None
    assert workspace.latest_run(set_id, "diversity", "failed") == failed == workspace.run(second.id)


def test_runs__unknown(workspace, set_path):
    with pytest.raises(ImpossibleRequest, match="no run '7'"):
        workspace.run("7")
    with pytest.raises(ImpossibleRequest, match="no set 'x'"):
        workspace.start_run("x", "map", {}, "")
    run = workspace.start_run(workspace.add_set(set_path), "map", {}, "")
    with pytest.raises(ImpossibleRequest, match="not as 'running'"):
        workspace.finish_run(run.id, "running")


def test_runs__interrupted_by_the_end_of_the_app(tmp_path, set_path):
    with Workspace.open(tmp_path) as workspace:
        set_id = workspace.add_set(set_path)
        left = workspace.start_run(set_id, "map", {}, "")
        done = add_run(workspace, set_id, "diversity", {"score": np.ones(20)})
    with Workspace.open(tmp_path) as workspace:
        assert workspace.run(left.id).status == "interrupted"
        assert workspace.run(done.id).status == "done"


def test_find_run__same_key_with_results_still_there(workspace, set_path):
    set_id = workspace.add_set(set_path)
    run = add_run(workspace, set_id, "map", {"score": np.ones(20)}, key="a")
    add_run(workspace, set_id, "map", {"score": np.ones(20)}, key="b")
    assert workspace.find_run(set_id, "map", "a").id == run.id
    assert workspace.find_run(set_id, "map", "c") is None
    (run.folder / "per_sample.parquet").unlink()
    assert workspace.find_run(set_id, "map", "a") is None


@pytest.mark.slow
def test_threads__every_decision_once(workspace, set_path):
    set_id = workspace.add_set(set_path)
    told: list[Decision] = []

    def annotate(name: str) -> None:
        for i in range(200):
            told.append(workspace.decide(set_id, Decision(i % 20, "keep", annotator=name, seconds=i)))
            if i % 50 == 0:
                workspace.decision_counts(set_id)

    threads = [threading.Thread(target=annotate, args=(f"annotator {t}",)) for t in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = workspace.decisions(set_id)
    assert len(stored) == 16 * 200
    assert sorted(told, key=lambda d: d.id) == stored
    assert len({d.id for d in stored}) == 3200
    assert {(d.annotator, d.seconds) for d in stored} == {(f"annotator {t}", i) for t in range(16) for i in range(200)}


_ANNOTATE = """
import sys
from data.decisions import Decision
from data.workspace import Workspace
folder, path, begin = sys.argv[1:]
workspace = Workspace.open(folder)
set_id = workspace.add_set(path)
for i in range(int(begin), int(begin) + 100_000):
    one = workspace.decide(set_id, Decision(i % 20, "keep", annotator=str(i)))
    print(one.id, one.annotator, flush=True)
    batch = workspace.decide_many(set_id, [Decision(s, "prune", annotator=f"{i} batch") for s in range(3)])
    for entry in batch:
        print(entry.id, entry.annotator, flush=True)
"""


@pytest.mark.slow
def test_kill_9__no_acknowledged_decision_is_lost(tmp_path, set_path):
    acknowledged: list[tuple[int, str]] = []
    random = np.random.default_rng(0)
    for attempt in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", _ANNOTATE, tmp_path / "project", set_path, str(attempt * 100_000)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        first = child.stdout.readline()
        time.sleep(float(random.uniform(0, 0.4)))
        child.send_signal(signal.SIGKILL)
        lines = [first, *child.stdout.readlines()]
        child.wait()
        acknowledged += [_acknowledged(line) for line in lines if line.endswith("\n")]
        _check_log(tmp_path / "project", set_path, acknowledged)
    assert len(acknowledged) > 50


def _acknowledged(line: str) -> tuple[int, str]:
    number, annotator = line.rstrip("\n").split(" ", 1)
    return int(number), annotator


def _check_log(folder: Path, set_path: Path, acknowledged: list[tuple[int, str]]) -> None:
    with Workspace.open(folder) as workspace:
        log = workspace.decisions(workspace.add_set(set_path))
    stored = [(entry.id, entry.annotator) for entry in log]
    assert len(set(stored)) == len(stored)
    assert set(acknowledged) <= set(stored)
    batches = [annotator for _, annotator in stored if annotator.endswith("batch")]
    assert all(batches.count(annotator) == 3 for annotator in set(batches))
