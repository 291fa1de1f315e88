"""The worker process: ``python -m analysis.engine.worker DESCRIPTOR DEVICE CACHE [MODULE ...]``.

It is given one end of a pair of sockets and nothing else of its parent's: no database, no lock. It is a plain program
rather than a multiprocessing child because those import the parent's main module again, which in the app is a page.

    parent -> worker   ("run", job), ("cancel", run_id)
    worker -> parent   ("ready", device), ("progress", fraction, message), ("draft", name, table), ("done",), ("cancelled",),
                       ("failed", sentence)
"""

from __future__ import annotations

import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd

from analysis import device
from analysis.context import Cancelled, Context
from analysis.engine.job import Job, log_error, run_job
from analysis.registry import analyses
from data.errors import StillroomError

NICENESS = 10
SECONDS_BETWEEN_REPORTS = 0.1


def main(arguments: Sequence[str]) -> None:
    """Serve one parent until it is gone."""
    descriptor, device_name, cache, *modules = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the app, which then lets go of us
    os.nice(NICENESS)
    worker = _Worker(Connection(int(descriptor)), device_name, Path(cache))
    threading.Thread(target=worker.listen, daemon=True).start()
    for module in modules:
        importlib.import_module(module)
    analyses()
    worker.serve()


class _Worker:
    def __init__(self, parent: Connection, device_name: str, cache: Path) -> None:
        self._parent = parent
        self._device = device_name
        self._cache = cache
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._cancelled: set[str] = set()

    def listen(self) -> None:
        """Take what the parent sends; end the process at once, whatever it is doing, when the parent is gone."""
        try:
            while True:
                verb, subject = self._parent.recv()
                if verb == "run":
                    self._cancelled.discard(subject.run_id)  # an earlier attempt's, when a run is resumed
                    self._jobs.put(subject)
                else:
                    self._cancelled.add(subject)
        finally:
            os._exit(0)

    def serve(self) -> None:
        """Run jobs one after the other."""
        while True:
            self._parent.send(self._outcome(self._jobs.get()))

    def _outcome(self, job: Job) -> tuple[str, ...]:
        try:
            self._parent.send(("ready", device.describe(device.pick(self._device))))
            reporter = _Reporter(self._parent, job.run_id, self._cancelled)
            run_job(job, Context(self._device, self._cache, reporter, reporter.draft))
            return ("done",)
        except Cancelled:
            return ("cancelled",)
        except StillroomError as error:
            return ("failed", str(error))
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return ("failed", f"the analysis failed: {what}{log_error(job, traceback.format_exc())}")


class _Reporter:
    """Tells the parent how far a run is, ten times a second at most, and stops it where it was cancelled."""

    def __init__(self, parent: Connection, run_id: str, cancelled: set[str]) -> None:
        self._parent = parent
        self._run_id = run_id
        self._cancelled = cancelled
        self._told = 0.0

    def __call__(self, fraction: float, message: str) -> None:
        if self._run_id in self._cancelled:
            raise Cancelled
        now = time.monotonic()
        if now - self._told >= SECONDS_BETWEEN_REPORTS:
            self._told = now
            self._parent.send(("progress", min(max(float(fraction), 0.0), 1.0), message))

    def draft(self, name: str, table: pd.DataFrame) -> None:
        """Tell the parent what can be shown by now; the caller sees to it that this is small and not too often."""
        self._parent.send(("draft", name, table))


if __name__ == "__main__":
    main(sys.argv[1:])
