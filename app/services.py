"""What every page shares: one workspace, one engine, made once when the app starts."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from analysis import findings_io
from analysis.engine import Engine, Job, JobStatus
from analysis.engine.local import LocalEngine
from analysis.findings import Findings
from analysis.registry import Analysis, analyses, find
from app.analysis_order import start_order
from app.background import BackgroundTasks
from app.login import Login
from data.annotations import NO_ANNOTATIONS, Annotations, annotations
from data.derived_sources import versions_named
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.pair_answers import NO_ANSWERS, PEOPLE, PairAnswers, from_frame
from data.verdicts import NO_VERDICTS, Verdicts, verdicts
from data.workspace import RunRecord, SetRecord, Workspace

ACTIVE = ("queued", "running")
ANSWERS = "answers"
"""The table of findings that holds what judges answered."""


@dataclass(frozen=True)
class Services:
    """The workspace, the engine and the background tasks of this process; ``login`` is None where there is none."""

    workspace: Workspace
    engine: Engine
    device: str
    tasks: BackgroundTasks = field(default_factory=BackgroundTasks)
    login: Login | None = None

    def start(self, set_id: str, name: str, parameters: Mapping[str, Any] = {}) -> RunRecord:
        """Queue one analysis, or return the run that already answers, or is about to answer, exactly this question."""
        record = self.workspace.set_record(set_id)
        entry = find(name)
        arguments = entry.arguments(parameters)
        heard = self._heard(entry, set_id)
        key = self._key(record, name, arguments, heard)
        under_way = next((run for run, _ in self.active(set_id) if run.key == key), None)
        if under_way is not None:
            return under_way
        known = self.workspace.find_run(set_id, name, key)
        if known is not None:
            return self._made_latest(known)
        run = self.workspace.start_run(set_id, name, arguments, key)
        derived = self.workspace.derived(set_id)
        place = (run.id, Path(record.path), record.options)
        said = (heard.verdicts, derived, heard.answers, heard.annotations)
        self.engine.submit(Job(*place, name, arguments, run.folder, *said))
        return run

    def verdicts(self, set_id: str) -> Verdicts:
        """What people have settled about the set's labels until now."""
        return verdicts(self.workspace.states(set_id), self.workspace.load(set_id).labels)

    def annotations(self, set_id: str) -> Annotations:
        """What each annotator says of each sample until now, whoever decided after them."""
        latest = self.workspace.decisions(set_id, latest=1)
        return _annotations(self.workspace, set_id, latest[-1].id if latest else None)

    def is_stale(self, run: RunRecord) -> bool:
        """Whether a run that learnt from what people said would learn from something else by now."""
        entry = find(run.analysis)
        if not (entry.reads_verdicts or entry.reads_answers or entry.reads_annotations):
            return False
        record = self.workspace.set_record(run.set_id)
        return run.key != self._key(record, run.analysis, run.parameters, self._heard(entry, run.set_id))

    def _heard(self, entry: Analysis, set_id: str) -> _Heard:
        settled = entry.heard(self.verdicts(set_id)) if entry.reads_verdicts else NO_VERDICTS
        answers = self.workspace.answers(set_id, PEOPLE) if entry.reads_answers else NO_ANSWERS
        return _Heard(settled, answers, self.annotations(set_id) if entry.reads_annotations else NO_ANNOTATIONS)

    def start_first(self, set_id: str) -> None:
        """Queue what this set can answer with default parameters: what most people ask first, and soonest.

        Of a large set only that; the rest waits until somebody asks.
        """
        distilled_set = self.workspace.load(set_id)
        for entry in start_order(self.analyses_for(distilled_set), len(distilled_set)):
            self.start(set_id, entry.name)

    def _key(self, record: SetRecord, name: str, arguments: Mapping[str, Any], heard: _Heard) -> str:
        texts = "\n".join(value for value in arguments.values() if isinstance(value, str))
        folders = self.workspace.derived(record.id)
        # Where a set has no soft labels of its own, a derived source is taken without being named.
        unnamed = bool(folders) and not self.workspace.load(record.id).label_sources
        derived = versions_named(folders, None if unnamed else texts)
        return _run_key([name, dict(arguments), asdict(record.options), *derived], heard)

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


def start(folder: Path, address: str, device: str, login: Login | None = None, decisions: str = "") -> Services:
    """Open the workspace and start the worker; ``decisions`` as Workspace.open takes it. Raises StillroomError where another
    process owns the workspace, or the decisions cannot be had."""
    workspace = Workspace.open(folder, address, decisions)

    def finished(run_id: str, status: JobStatus) -> None:
        run = workspace.finish_run(run_id, status.state, status.error or status.message, status.elapsed, status.device)
        _keep_answers(workspace, run)

    services = Services(workspace, LocalEngine(folder, device, finished), device, login=login)
    _running.append(services)
    return services


def services() -> Services:
    """The services of this process. Raises StillroomError where the app was not started as it should be."""
    if not _running:
        raise StillroomError("Stillroom is not running in this process; start it with `python -m app`.")
    return _running[-1]


_running: list[Services] = []


@lru_cache(maxsize=4)
def _annotations(workspace: Workspace, set_id: str, latest: int | None) -> Annotations:
    """Kept until the log has another ``latest`` entry: every rerun of a page asks, and reading 100,000 entries takes 2 s."""
    return annotations(workspace.decisions(set_id), workspace.load(set_id).labels)


@dataclass(frozen=True)
class _Heard:
    """What people said until now that an analysis learns from."""

    verdicts: Verdicts
    answers: PairAnswers
    annotations: Annotations

    @property
    def digests(self) -> list[str]:
        settled = [] if self.verdicts.empty else [self.verdicts.digest]
        return settled + [said.digest for said in (self.answers, self.annotations) if len(said)]


def _keep_answers(workspace: Workspace, run: RunRecord) -> None:
    """Judges' answers are kept in one table, whichever run asked them."""
    if run.status == "done" and find(run.analysis).reads_answers:
        found = findings_io.table(run.folder, ANSWERS)
        if found is not None:
            answers = from_frame(found)
            judges = answers.take(answers.judge != PEOPLE)  # people answer on their page, never in a run
            # Several processes may share the table, and each counts its own runs.
            workspace.add_answers(run.set_id, judges, f"{run.id} {run.started_at} {run.key}")


def _run_key(asked: list[Any], heard: _Heard) -> str:
    """A run answers another's question where analysis, parameters, opening options, derived label sources that these name
    and what people said are the same."""
    parts = [*asked, *heard.digests]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
