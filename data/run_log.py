"""The runs of a workspace: which analysis was run on which set, with what, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data.decisions import now
from data.errors import ImpossibleRequest
from data.workspace_tables import Tables

RunStatus = Literal["running", "done", "failed", "cancelled", "interrupted", "outdated"]
ENDINGS: tuple[str, ...] = ("done", "failed", "cancelled")
PER_SAMPLE = "per_sample.parquet"


@dataclass(frozen=True)
class RunRecord:
    """One execution of an analysis. ``folder`` holds its results once ``status`` is done; ``seconds`` is how long it
    took; ``key`` stands for the set's content and the parameters, so that a run need not be repeated. "interrupted"
    means that the app ended before the run did; "outdated" that the set's files are no longer those it was done on.
    """

    id: str
    set_id: str
    analysis: str
    parameters: Mapping[str, Any]
    key: str
    folder: Path
    started_at: str
    status: RunStatus
    message: str = ""
    seconds: float | None = None
    device: str = ""


class RunLog:
    """Records runs; the results themselves are files that the workers write below ``folder``."""

    def __init__(self, tables: Tables, folder: Path) -> None:
        self._tables = tables
        self._folder = folder

    def interrupt_unfinished(self) -> None:
        """Mark the runs that were under way when the app ended; nothing runs while a workspace opens."""
        with self._tables.writing() as execute:
            execute(
                "update runs set status = 'interrupted', message = 'the app ended while this ran; run it again.' "
                "where status = 'running'"
            )

    def start(self, set_id: str, analysis: str, parameters: Mapping[str, Any], key: str) -> RunRecord:
        """A new run under way. Its folder does not exist until there are results."""
        with self._tables.writing() as execute:
            number = execute("select coalesce(max(number), 0) + 1 from runs")[0][0]
            run_id = f"{number:06d}"
            execute(
                "insert into runs values (?, ?, ?, ?, ?, ?, ?, 'running', '', null, '')",
                [number, run_id, set_id, analysis, json.dumps(dict(parameters), sort_keys=True), key, now()],
            )
        return self.get(run_id)

    def finish(self, run_id: str, status: str, message: str, seconds: float | None, device: str) -> RunRecord:
        """Record how a run ended."""
        if status not in ENDINGS:
            raise ImpossibleRequest(f"a run ends as {', '.join(ENDINGS)}, not as '{status}'.")
        self.get(run_id)
        with self._tables.writing() as execute:
            execute(
                "update runs set status = ?, message = ?, seconds = ?, device = ? where id = ?",
                [status, message, seconds, device, run_id],
            )
        return self.get(run_id)

    def get(self, run_id: str) -> RunRecord:
        """Raises ImpossibleRequest where there is no such run."""
        found = self._select("id = ?", [run_id])
        if not found:
            raise ImpossibleRequest(f"there is no run '{run_id}' in this workspace; choose one from its list.")
        return found[0]

    def of_set(self, set_id: str, analysis: str | None = None) -> list[RunRecord]:
        """The runs of a set, newest first."""
        return self._select("set_id = ? and analysis = coalesce(?, analysis)", [set_id, analysis])

    def latest(self, set_id: str, analysis: str, status: str) -> RunRecord | None:
        """The newest run of an analysis that ended in ``status``."""
        return next(iter(self._select("set_id = ? and analysis = ? and status = ?", [set_id, analysis, status])), None)

    def find(self, set_id: str, analysis: str, key: str) -> RunRecord | None:
        """The newest finished run with this key whose results are still there."""
        found = self._select("set_id = ? and analysis = ? and key = ? and status = 'done'", [set_id, analysis, key])
        return next((run for run in found if (run.folder / PER_SAMPLE).is_file()), None)

    def latest_done(self, set_id: str) -> list[RunRecord]:
        """The newest finished run of every analysis that has results, in the order of analysis names."""
        newest: dict[str, RunRecord] = {}
        for run in self._select("set_id = ? and status = 'done'", [set_id]):
            if run.analysis not in newest and (run.folder / PER_SAMPLE).is_file():
                newest[run.analysis] = run
        return [newest[name] for name in sorted(newest)]

    def _select(self, condition: str, parameters: list[Any]) -> list[RunRecord]:
        rows = self._tables.rows(
            "select id, set_id, analysis, parameters, key, started_at, status, message, seconds, device from runs "
            f"where {condition} order by number desc",
            parameters,
        )
        return [self._record(*row) for row in rows]

    def _record(self, run_id: str, set_id: str, analysis: str, parameters: str, key: str, *rest: Any) -> RunRecord:
        return RunRecord(run_id, set_id, analysis, json.loads(parameters), key, self._folder / run_id, *rest)
