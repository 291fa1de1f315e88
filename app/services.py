"""What every page shares: one workspace, one engine, made once when the app starts."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analysis import findings_io
from analysis.engine import Engine, Job, JobStatus
from analysis.engine.local import LocalEngine
from analysis.findings import Findings
from analysis.registry import Analysis, analyses, find
from app.analysis_order import start_order
from app.background import BackgroundTasks
from data.derived_sources import versions_named
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.verdicts import NO_VERDICTS, Verdicts, verdicts
from data.workspace import RunRecord, SetRecord, Workspace

ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class Services:
    """The workspace, the engine and the background tasks of this process."""

    workspace: Workspace
    engine: Engine
    device: str
    tasks: BackgroundTasks = field(default_factory=BackgroundTasks)

    def start(self, set_id: str, name: str, parameters: Mapping[str, Any] = {}) -> RunRecord:
        """Queue one analysis, or return the run that already answers, or is about to answer, exactly this question."""
        record = self.workspace.set_record(set_id)
        entry = find(name)
        arguments = entry.arguments(parameters)
        settled = entry.heard(self.verdicts(set_id)) if entry.reads_verdicts else NO_VERDICTS
        key = self._key(record, name, arguments, settled)
        under_way = next((run for run, _ in self.active(set_id) if run.key == key), None)
        if under_way is not None:
            return under_way
        known = self.workspace.find_run(set_id, name, key)
        if known is not None:
            return self._made_latest(known)
        run = self.workspace.start_run(set_id, name, arguments, key)
        derived = self.workspace.derived(set_id)
        self.engine.submit(Job(run.id, Path(record.path), record.options, name, arguments, run.folder, settled, derived))
        return run

    def verdicts(self, set_id: str) -> Verdicts:
        """What people have settled about the set's labels until now."""
        return verdicts(self.workspace.states(set_id), self.workspace.load(set_id).labels)

    def is_stale(self, run: RunRecord) -> bool:
        """Whether a run that learnt from what people settled would learn from something else by now."""
        entry = find(run.analysis)
        if not entry.reads_verdicts:
            return False
        record = self.workspace.set_record(run.set_id)
        return run.key != self._key(record, run.analysis, run.parameters, entry.heard(self.verdicts(run.set_id)))

    def start_first(self, set_id: str) -> None:
        """Queue what this set can answer with default parameters: what most people ask first, and soonest.

        Of a large set only that; the rest waits until somebody asks.
        """
        distilled_set = self.workspace.load(set_id)
        for entry in start_order(self.analyses_for(distilled_set), len(distilled_set)):
            self.start(set_id, entry.name)

    def _key(self, record: SetRecord, name: str, arguments: Mapping[str, Any], settled: Verdicts) -> str:
        texts = "\n".join(value for value in arguments.values() if isinstance(value, str))
        folders = self.workspace.derived(record.id)
        # Where a set has no soft labels of its own, a derived source is taken without being named.
        unnamed = bool(folders) and not self.workspace.load(record.id).label_sources
        derived = versions_named(folders, None if unnamed else texts)
        return _run_key([name, dict(arguments), asdict(record.options), *derived], settled)

    def _made_latest(self, known: RunRecord) -> RunRecord:
        """A finished run is what the pages show only while it is the latest; an older answer becomes so by a copy."""
        if self.workspace.latest_run(known.set_id, known.analysis).id == known.id:
            return known
        run = self.workspace.start_run(known.set_id, known.analysis, known.parameters, known.key)
        shutil.copytree(known.folder, run.folder)
        self.workspace.finish_run(run.id, "done", known.message, known.seconds, known.device)
        return self.workspace.run(run.id)

    def active(self, set_id: str | None = None) -> list[tuple[RunRecord, JobStatus]]:
        """Runs queued or running, oldest first; of one set, or of all."""
        under_way = [run_id for run_id, status in self.engine.jobs().items() if status.state in ACTIVE]
        runs = [self.workspace.run(run_id) for run_id in under_way]
        return [(run, self.engine.status(run.id)) for run in runs if set_id in (None, run.set_id)]

    def findings(self, set_id: str, name: str) -> tuple[RunRecord, Findings] | None:
        """The latest finished run of an analysis with what it found, or None."""
        run = self.workspace.latest_run(set_id, name)
        return None if run is None else (run, findings_io.load(run.folder))

    def analyses_for(self, distilled_set: DistilledSet) -> list[Analysis]:
        """The analyses that this set has everything for."""
        return [entry for entry in analyses().values() if not entry.missing(distilled_set)]

    def close(self) -> None:
        self.tasks.shutdown()
        self.engine.shutdown()
        self.workspace.close()


def start(folder: Path, address: str, device: str) -> Services:
    """Open the workspace and start the worker. Raises StillroomError where another process owns the workspace."""
    workspace = Workspace.open(folder, address)

    def finished(run_id: str, status: JobStatus) -> None:
        workspace.finish_run(run_id, status.state, status.error or status.message, status.elapsed, status.device)

    services = Services(workspace, LocalEngine(folder, device, finished), device)
    _running.append(services)
    return services


def services() -> Services:
    """The services of this process. Raises StillroomError where the app was not started as it should be."""
    if not _running:
        raise StillroomError("Stillroom is not running in this process; start it with `python -m app`.")
    return _running[-1]


_running: list[Services] = []


def _run_key(asked: list[Any], settled: Verdicts) -> str:
    """A run answers another's question where analysis, parameters, opening options, derived label sources that these name
    and verdicts read are the same."""
    parts = [*asked, *([] if settled.empty else [settled.digest])]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
