import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from analysis import findings_io
from analysis.engine import Engine, Job, JobStatus
from analysis.engine.local import LocalEngine
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest
from data.verdicts import Verdicts
from data.workspace import Workspace
from tests.analysis.conftest import MADE
from tests.data.workspaces import write_set

PROJECT = Path(__file__).resolve().parents[3]
MODULES = (MADE,)


class Bench:
    """One engine, what it told at the end of each run, and a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.set_path = write_set(folder / "set.npz")
        self.finished: list[tuple[str, JobStatus]] = []
        self.engine: Engine = LocalEngine(folder, "cpu", lambda *told: self.finished.append(told), MODULES)
        self._number = 0

    def submit(self, analysis: str, **parameters: object) -> Job:
        self._number += 1
        run_id = f"{self._number:03d}"
        job = Job(run_id, self.set_path, OpenOptions(), analysis, parameters, self.folder / "runs" / run_id)
        self.engine.submit(job)
        return job

    def wait(self, job: Job, *states: str) -> JobStatus:
        self.until(lambda: self.engine.status(job.run_id).state in (states or ("done", "failed", "cancelled")))
        return self.engine.status(job.run_id)

    def until(self, happened: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.engine.jobs()
            time.sleep(0.01)

    def last_step(self) -> list[int]:
        """The number of the last step that made_counting took, its process and its niceness."""
        return [int(word) for word in (self.folder / "last step").read_text().split()]


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("engine"))
    yield made
    made.engine.shutdown()


def test_submit__runs_to_results(bench):
    job = bench.submit("made_counting")
    status = bench.wait(job)
    assert (status.state, status.fraction, status.error, status.seconds_left) == ("done", 1.0, None, None)
    assert status.elapsed > 0 and "cpu" in status.device
    assert len(findings_io.load(job.folder).per_sample) == 20
    assert bench.finished[-1] == (job.run_id, status)
    assert json.loads((job.folder / "summary.json").read_text())["parameters"] == {"steps": 5, "pause": 0.0}


def test_submit__verdicts_travel_to_the_worker(bench):
    folder = bench.folder / "runs" / "settled"
    settled = Verdicts(np.array([2]), np.array([4]))
    job = Job("settled", bench.set_path, OpenOptions(), "made_repeating", {}, folder, settled)
    bench.engine.submit(job)
    assert bench.wait(job).state == "done"
    assert findings_io.load(folder).per_sample["said"].tolist() == [-1, -1, 4] + [-1] * 17


def test_submit__same_worker_low_priority(bench):
    seen = []
    for _ in range(2):
        bench.wait(bench.submit("made_counting"))
        seen.append(bench.last_step()[1:])
    assert seen[0] == seen[1]
    assert seen[0][0] != os.getpid() and seen[0][1] > os.nice(0)


def test_status__progress_and_time_left(bench):
    job = bench.submit("made_counting", steps=25, pause=0.1)
    seen: list[JobStatus] = []
    bench.until(lambda: seen.append(bench.engine.status(job.run_id)) or seen[-1].state == "done")
    fractions = [status.fraction for status in seen]
    assert fractions == sorted(fractions) and len({f for f in fractions if 0 < f < 1}) >= 5
    running = [status for status in seen if status.state == "running"]
    assert running[0].seconds_left is None
    known = [status for status in running if status.seconds_left is not None]
    assert known and all(status.message == "counting" for status in known)
    assert all(0 < status.seconds_left < 10 for status in known)


def test_queue__first_come_first_served_and_its_cancelled_never_run(bench):
    first = bench.submit("made_counting", steps=4, pause=0.1)
    dropped = bench.submit("made_counting")
    last = bench.submit("made_counting")
    bench.wait(first, "running")
    assert bench.engine.status(dropped.run_id) == JobStatus(dropped.run_id, "queued")
    bench.engine.cancel(dropped.run_id)
    assert bench.engine.status(dropped.run_id).state == "cancelled"
    assert bench.wait(last).state == "done" and bench.engine.status(first.run_id).state == "done"
    assert [run_id for run_id, _ in bench.finished[-3:]] == [dropped.run_id, first.run_id, last.run_id]
    assert list(bench.engine.jobs())[-3:] == [first.run_id, dropped.run_id, last.run_id]
    assert not dropped.folder.exists()
    bench.engine.cancel(first.run_id)  # too late: nothing happens
    assert bench.engine.status(first.run_id).state == "done"


def test_cancel__running_stops_at_its_next_report_and_keeps_the_worker(bench):
    bench.wait(bench.submit("made_counting"))
    worker = bench.last_step()[1]
    job = bench.submit("made_counting", steps=1000, pause=0.02)
    bench.until(lambda: bench.engine.status(job.run_id).fraction > 0)
    bench.engine.cancel(job.run_id)
    status = bench.wait(job)
    assert status.state == "cancelled" and 0 < status.fraction < 1
    assert not job.folder.exists()
    bench.engine.submit(job)  # resumed: the cancelling is forgotten
    bench.until(lambda: bench.engine.status(job.run_id).fraction > 0)
    bench.engine.cancel(job.run_id)
    assert bench.wait(job).state == "cancelled"
    bench.wait(bench.submit("made_counting"))
    assert bench.last_step()[1] == worker


@pytest.mark.slow
def test_cancel__stubborn_run_loses_its_worker(bench):
    job = bench.submit("made_stubborn")
    file = bench.folder / "stubborn"
    bench.until(lambda: file.exists() and file.read_text())
    began = time.monotonic()
    bench.engine.cancel(job.run_id)
    assert bench.wait(job).state == "cancelled"
    assert 2.5 < time.monotonic() - began < 10
    bench.until(lambda: not _alive(int(file.read_text())))
    assert bench.wait(bench.submit("made_counting")).state == "done"


def test_failure__sentence_is_told_as_it_is(bench):
    job = bench.submit("made_failing", how="sentence")
    status = bench.wait(job)
    assert (status.state, status.error) == ("failed", "this set is too small for that; choose a larger one.")
    assert not job.folder.exists()


def test_failure__bug_is_one_line_with_its_traceback_in_a_file(bench):
    job = bench.submit("made_failing", how="bug")
    status = bench.wait(job)
    assert status.error.startswith("the analysis failed: KeyError: ") and "\n" not in status.error
    log = job.folder / "error.log"
    assert str(log) in status.error
    assert "Traceback" in log.read_text() and "made_failing" in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "words"), [("killed", "memory ran out"), ("ended", "(exit code 3) while it ran made_f")])
def test_failure__worker_dies(bench, how, words):
    job = bench.submit("made_failing", how=how)
    after = bench.submit("made_counting")
    status = bench.wait(job)
    assert status.state == "failed" and words in status.error
    assert bench.wait(after).state == "done"


@pytest.mark.slow
def test_failure__worker_dies_while_idle(bench):
    bench.wait(bench.submit("made_counting"))
    os.kill(bench.last_step()[1], signal.SIGKILL)
    bench.until(lambda: not _alive(bench.last_step()[1]))
    status = bench.wait(bench.submit("made_counting"))
    assert (status.state, status.error) == ("done", None)


def test_failure__unknown_analysis_and_set(bench):
    assert "there is no analysis 'made_up'" in bench.wait(bench.submit("made_up")).error
    bench.set_path.rename(bench.folder / "elsewhere")
    assert "does not exist" in bench.wait(bench.submit("made_counting")).error
    (bench.folder / "elsewhere").rename(bench.set_path)


def test_requests__that_make_no_sense(bench):
    with pytest.raises(ImpossibleRequest, match="not started"):
        bench.engine.status("nothing")
    with pytest.raises(ImpossibleRequest, match="not started"):
        bench.engine.cancel("nothing")
    job = bench.submit("made_counting", pause=0.1)
    with pytest.raises(ImpossibleRequest, match="under way"):
        bench.engine.submit(job)
    assert bench.wait(job).state == "done"


def test_worker__started_by_a_thread_that_ended(bench):
    """A process may be told to die with the thread that made it; ours must not."""
    jobs = []
    thread = threading.Thread(target=lambda: jobs.append(bench.submit("made_counting", steps=10, pause=0.05)))
    thread.start()
    thread.join()
    assert bench.wait(jobs[0]).state == "done"


def test_worker__does_not_mind_ctrl_c(bench):
    job = bench.submit("made_counting", steps=20, pause=0.05)
    bench.until(lambda: bench.engine.status(job.run_id).fraction > 0)
    os.kill(bench.last_step()[1], signal.SIGINT)
    assert bench.wait(job).state == "done"


def test_on_finished__its_own_failure_does_not_stop_the_queue(tmp_path, bench, caplog):
    told = bench.engine._on_finished
    bench.engine._on_finished = lambda *_: 1 / 0
    try:
        assert bench.wait(bench.submit("made_counting")).state == "done"
    finally:
        bench.engine._on_finished = told
    assert "ZeroDivisionError" in caplog.text


_APP = """
import sys
from pathlib import Path
from tests.analysis.engine.test_local import Bench
bench = Bench(Path(sys.argv[1]))
job = bench.submit("made_stubborn")
bench.until((bench.folder / "stubborn").exists)
bench.until((bench.folder / "stubborn").read_text)
print("ready", flush=True)
{after}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "ending"), [("bench.until(lambda: False)", signal.SIGKILL), ("bench.engine.shutdown()", None)]
)
def test_worker__ends_with_its_parent(tmp_path, after, ending):
    parent = subprocess.Popen(
        [sys.executable, "-c", _APP.format(after=after), tmp_path], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "ready\n"
    worker = int((tmp_path / "stubborn").read_text())
    assert ending is None or _alive(worker)
    if ending is not None:
        parent.send_signal(ending)
    parent.wait(30)
    deadline = time.monotonic() + 10
    while _alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_worker__has_no_file_of_the_workspace_open(tmp_path):
    with Workspace.open(tmp_path):
        bench = Bench(tmp_path)
        bench.wait(bench.submit("made_counting"))
        worker = Path(f"/proc/{bench.last_step()[1]}/fd")
        held = [os.readlink(entry) for entry in worker.iterdir() if entry.is_symlink()]
        bench.engine.shutdown()
    assert held and not [file for file in held if file.startswith(str(tmp_path))]


@pytest.mark.slow
def test_shutdown__cancels_what_is_left_and_refuses_more(tmp_path):
    bench = Bench(tmp_path)
    running, queued = bench.submit("made_stubborn"), bench.submit("made_counting")
    bench.until((tmp_path / "stubborn").exists)
    bench.engine.shutdown()
    assert [(run_id, status.state) for run_id, status in bench.finished] == [
        (running.run_id, "cancelled"),
        (queued.run_id, "cancelled"),
    ]
    with pytest.raises(ImpossibleRequest, match="shut down"):
        bench.submit("made_counting")
    bench.engine.shutdown()


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
