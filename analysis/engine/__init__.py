"""Where a run happens: a queue of jobs, each with progress, cancel and resume.

Every engine has the same four verbs, so that the pages need not know whether a run happens in a worker process beside
them (``analysis.engine.local``) or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from analysis.engine.job import Job, JobStatus, State, run_job

__all__ = ["Engine", "Job", "JobStatus", "OnFinished", "State", "run_job"]

OnFinished = Callable[[str, JobStatus], None]
"""Called once with (run id, status) when a run is done, failed or cancelled, just before ``status`` says so; from any
thread."""


class Engine(Protocol):
    """Runs jobs in the order in which they were submitted. Any thread may call it."""

    def submit(self, job: Job) -> None:
        """Queue a job. Raises ImpossibleRequest where a run of that id is queued or running already."""

    def status(self, run_id: str) -> JobStatus:
        """How far a run is. Raises ImpossibleRequest where this engine was never given it."""

    def jobs(self) -> dict[str, JobStatus]:
        """Every run that this engine was given, by id, in the order of submission."""

    def cancel(self, run_id: str) -> None:
        """Stop a run, or never start it; nothing happens to one that has ended."""

    def shutdown(self) -> None:
        """Cancel everything and let go of all processes; returns when they are gone."""
