"""The engine of a single machine: one warm worker process and a queue in front of it.

One process, because importing torch and compiling UMAP cost tens of seconds that only the first run should pay; a
process, so that the pages never wait for arithmetic and a crash takes nothing with it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.engine import OnFinished
from analysis.engine.job import ACTIVE, Job, JobStatus, Pace, State, discard
from data.errors import ImpossibleRequest

SECONDS_TO_STOP = 3.0
SECONDS_A_LOOK = 0.1
PROJECT = Path(__file__).resolve().parents[2]


class LocalEngine:
    """See analysis.engine.Engine. Embeddings are cached in ``folder``/arrays, so a run submitted again goes on from there.

    ``modules`` are imported by the worker for the analyses that they register.
    """

    def __init__(
        self, folder: Path, device: str = "auto", on_finished: OnFinished | None = None, modules: Sequence[str] = ()
    ) -> None:
        self._arguments = (device, str(folder / "arrays"), *modules)
        self._on_finished = on_finished
        self._runs: dict[str, _Run] = {}
        self._queue: deque[_Run] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._worker = _Worker(self._arguments)
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        with self._changed:
            known = self._runs.pop(job.run_id, None)
            if self._closing or (known is not None and known.state in ACTIVE):
                self._runs.update({} if known is None else {job.run_id: known})
                reason = "the engine has been shut down" if self._closing else f"run {job.run_id} is under way already"
                raise ImpossibleRequest(f"{reason}; nothing was started.")
            run = self._runs[job.run_id] = _Run(job)
            self._queue.append(run)
            self._changed.notify_all()

    def status(self, run_id: str) -> JobStatus:
        with self._changed:
            return self._find(run_id).status()

    def jobs(self) -> dict[str, JobStatus]:
        with self._changed:
            return {run_id: run.status() for run_id, run in self._runs.items()}

    def cancel(self, run_id: str) -> None:
        with self._changed:
            run = self._find(run_id)
            if run.state == "running":
                run.cancelled_at = run.cancelled_at or time.monotonic()
            if run not in self._queue:
                return
            self._queue.remove(run)
        self._end(run, _Outcome("cancelled"))

    def shutdown(self) -> None:
        with self._changed:
            self._closing = True
            dropped = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join()
        for run in dropped:
            self._end(run, _Outcome("cancelled"))
        self._worker.kill()

    def _find(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            raise ImpossibleRequest(f"run '{run_id}' was not started since the app was; its result, if any, is in the list.")
        return self._runs[run_id]

    def _serve(self) -> None:
        while (run := self._next()) is not None:
            self._end(run, self._carry_out(run))
            with suppress(OSError):  # warm again for the next run; where that fails, the next run will say so
                self._warm_worker()

    def _next(self) -> _Run | None:
        """The next run, as running; None when the engine closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._closing:
                return None
            run = self._queue.popleft()
            run.begin()
            return run

    def _carry_out(self, run: _Run) -> _Outcome:
        try:
            try:
                return self._follow(run, self._warm_worker())
            except _WorkerGone:
                if run.device:
                    raise
                self._worker.kill()  # it had ended before it saw this run, which can have another
                return self._follow(run, self._warm_worker())
        except _WorkerGone:
            return _Outcome("failed", self._worker.last_words(run.job.analysis))
        except Exception as error:  # whatever it is, the queue goes on
            logging.getLogger(__name__).exception("run %s", run.job.run_id)
            return _Outcome("failed", f"the worker process cannot be used ({error}); run this again.")

    def _follow(self, run: _Run, worker: _Worker) -> _Outcome:
        """Have the worker do it and listen until the run ends. Raises _WorkerGone where the worker ends first."""
        worker.tell("run", run.job)
        told = False
        while True:
            outcome = self._take(run, worker.hear())
            if outcome is not None:
                return outcome
            if run.cancelled_at is not None and not told:
                worker.tell("cancel", run.job.run_id)
                told = True
            if self._closing or run.overdue():
                worker.kill()
                return _Outcome("cancelled")

    def _take(self, run: _Run, message: tuple | None) -> _Outcome | None:
        """Note one message of the worker, if there is one; the outcome, if it is one."""
        if message is None:
            return None
        verb, *rest = message
        with self._changed:
            if verb == "ready":
                run.device = rest[0]
            elif verb == "progress":
                run.progress(*rest)
            elif verb == "draft":
                name, table = rest
                run.drafts = {**run.drafts, name: table}
            else:
                return _Outcome(verb, *rest)
        return None

    def _end(self, run: _Run, outcome: _Outcome) -> None:
        """Tell whoever asked to be told, then show the run as ended; in this order, so that its record is never behind."""
        if outcome.state != "done":
            discard(run.job)
        status = run.ended(outcome)
        try:
            if self._on_finished is not None:
                self._on_finished(run.job.run_id, status)
        except Exception:
            logging.getLogger(__name__).exception("recording the end of run %s", run.job.run_id)
        with self._changed:
            run.final = status

    def _warm_worker(self) -> _Worker:
        if not self._worker.alive:
            self._worker = _Worker(self._arguments)
        return self._worker


class _Outcome(NamedTuple):
    state: State
    error: str | None = None


@dataclass(eq=False)
class _Run:
    """One run as the engine knows it; read and written under the engine's lock."""

    job: Job
    began: float | None = None
    fraction: float = 0.0
    message: str = ""
    device: str = ""
    pace: Pace = field(default_factory=Pace)
    drafts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    cancelled_at: float | None = None
    final: JobStatus | None = None

    @property
    def state(self) -> State:
        if self.final is not None:
            return self.final.state
        return "queued" if self.began is None else "running"

    def begin(self) -> None:
        self.began = time.monotonic()
        self.message = "starting"

    def progress(self, fraction: float, message: str) -> None:
        self.fraction, self.message = fraction, message
        self.pace.mark(time.monotonic(), fraction)

    def overdue(self) -> bool:
        """Whether the run was cancelled and has had its time to stop by itself."""
        return self.cancelled_at is not None and time.monotonic() - self.cancelled_at > SECONDS_TO_STOP

    def status(self) -> JobStatus:
        if self.final is not None:
            return self.final
        left = self.pace.seconds_left(time.monotonic())
        return JobStatus(
            self.job.run_id, self.state, self.fraction, self.message, self._elapsed(), left, None, self.device, self.drafts
        )

    def ended(self, outcome: _Outcome) -> JobStatus:
        """The status that this run ends with."""
        done = outcome.state == "done"
        fraction, message = (1.0, "") if done else (self.fraction, self.message)
        return JobStatus(
            self.job.run_id, outcome.state, fraction, message, self._elapsed(), None, outcome.error, self.device
        )

    def _elapsed(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began


class _WorkerGone(Exception):
    """The worker process has ended."""


class _Worker:
    """A running worker process (analysis.engine.worker) and our end of the line to it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises OSError where no process can be started."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "analysis.engine.worker", str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": _search_path()},
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, verb: str, subject: Job | str) -> None:
        """Raises _WorkerGone."""
        try:
            self._connection.send((verb, subject))
        except ConnectionError:
            raise _WorkerGone from None

    def hear(self) -> tuple | None:
        """The next message, or None where there is none for a while. Raises _WorkerGone."""
        try:
            return self._connection.recv() if self._connection.poll(SECONDS_A_LOOK) else None
        except (EOFError, ConnectionError):
            raise _WorkerGone from None

    def kill(self) -> None:
        """End the process, and those that it may have started, at once."""
        if self.alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._connection.close()

    def last_words(self, analysis: str) -> str:
        """What is to be said about a process that ended by itself."""
        code = self._process.wait()
        self._connection.close()
        if code == -signal.SIGKILL:
            return (
                f"the worker process was killed while it ran {analysis}, most likely because memory ran out; close other "
                "programs or choose a smaller embedding, then run it again."
            )
        return f"the worker process ended unexpectedly (exit code {code}) while it ran {analysis}; run it again."


def _search_path() -> str:
    """The worker finds this project's modules wherever it is started, and no others of the same names."""
    return os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
