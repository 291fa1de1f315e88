"""A workspace with findings, behind services whose engine only remembers what it was asked to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.engine import Job, JobStatus
from app import services as module
from app.login import Login
from app.services import Services
from data.errors import ImpossibleRequest
from data.workspace import Workspace
from tests.data.workspaces import write_set


class RememberingEngine:
    """Every job is running until ``finish`` is called."""

    def __init__(self) -> None:
        self.submitted: list[Job] = []
        self.refuse = False
        self._ended: set[str] = set()

    def submit(self, job: Job) -> None:
        if self.refuse:
            raise ImpossibleRequest("the engine has been shut down; nothing was started.")
        self.submitted.append(job)

    def status(self, run_id: str) -> JobStatus:
        return JobStatus(run_id, "done" if run_id in self._ended else "running")

    def jobs(self) -> dict[str, JobStatus]:
        return {job.run_id: self.status(job.run_id) for job in self.submitted}

    def finish(self) -> None:
        self._ended |= {job.run_id for job in self.submitted}

    def cancel(self, run_id: str) -> None:
        self._ended.add(run_id)

    def shutdown(self) -> None:
        self.finish()


@contextmanager
def opened(folder: Path, n: int = 20, login: Login | None = None) -> Iterator[tuple[Services, str]]:
    """(services, set id) of ``n`` samples whose labels count 0 to 4 and again; everybody is an owner without ``login``."""
    with Workspace.open(folder / "workspace") as workspace:
        set_id = workspace.add_set(write_set(folder / "set.npz", n))
        running = Services(workspace, RememberingEngine(), "cpu", login=login)
        module._running.append(running)
        try:
            yield running, set_id
        finally:
            module._running.remove(running)
