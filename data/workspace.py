"""A project's folder: its sets, its decisions, its runs.

    stillroom.duckdb   the tables (workspace_tables.py, duckdb_tables.py)
    arrays/            embeddings, memory-mapped
    derived/           label sources computed from others, a folder each
    runs/              one folder a run, written by the worker
    uploads/           sets that came through the browser
    workspace.lock     which process owns all this

What people decide and answer lies in a PostgreSQL database instead where one is named (data/postgres).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from data.answer_log import AnswerLog
from data.decision_log import Bounds, DecisionLog, SettledRows
from data.decisions import Decision, SampleState
from data.derived_sources import DerivedFolders, attach_derived
from data.distilled_set import DistilledSet, OpenOptions
from data.duckdb_tables import DATABASE, DuckDBTables
from data.errors import UnreadableInput
from data.evidence import EvidenceTables
from data.log_pages import LogPages
from data.pair_answers import PairAnswers
from data.people import People
from data.postgres.shared_log import SharedLog, shared_log
from data.queues import Queues
from data.run_log import RunLog, RunRecord
from data.sample_query import SamplePage, SampleQuery, ScoreRange, statement
from data.soft_labels import Ids
from data.workspace_lock import WorkspaceBusy, WorkspaceLock
from data.workspace_sets import SetRecord, SetTable
from data.workspace_tables import Tables

__all__ = ["RunRecord", "SamplePage", "SampleQuery", "ScoreRange", "SetRecord", "Workspace", "WorkspaceBusy"]

FOLDERS = ("arrays", "derived", "runs", "uploads")


class Workspace:
    """One folder a project, owned by one process and shared by all of its threads."""

    def __init__(self, folder: Path, lock: WorkspaceLock, database: DuckDBTables, shared: SharedLog | None = None) -> None:
        """Use ``Workspace.open``."""
        self.folder = folder
        self._lock = lock
        self._database = database
        self._shared = shared
        self._log: Tables = shared or database
        self._sets = SetTable(database)
        self._derived = DerivedFolders(folder / "derived")
        self._decisions = DecisionLog(self._log)
        self._answers = AnswerLog(self._log)
        self.people = People(self._log)
        self.queues = Queues(self._log, self._bounds)
        self._runs = RunLog(database, folder / "runs")
        self._runs.interrupt_unfinished()
        self._evidence = EvidenceTables(database, self._runs)

    @classmethod
    def open(cls, folder: str | Path, address: str = "", decisions: str = "") -> Workspace:
        """Open or make the workspace in ``folder``; ``address`` is where people reach this process, for others to be told.

        ``decisions`` is the URL of a PostgreSQL database that holds the decisions and the answers about pairs instead, for
        several processes to share. Raises WorkspaceBusy where another process has the folder, UnreadableInput where it
        cannot be used, and what data.postgres.server.Server raises.
        """
        place = Path(folder).resolve()
        if "?" in str(place):  # DuckDB takes what follows for a query and looks for its log elsewhere
            raise UnreadableInput(
                f"the workspace {place} has a '?' in its path, which its database cannot; rename the folder."
            )
        try:
            for name in FOLDERS:
                (place / name).mkdir(parents=True, exist_ok=True)
            lock = WorkspaceLock(place, address)
        except OSError as error:
            raise UnreadableInput(
                f"the workspace {place} cannot be written ({error.strerror}); choose another --workspace."
            ) from None
        with ExitStack() as undo:
            undo.callback(lock.release)
            database = DuckDBTables(place / DATABASE)
            undo.callback(database.close)
            workspace = cls(place, lock, database, shared_log(decisions, database) if decisions else None)
            undo.pop_all()
        return workspace

    def close(self) -> None:
        """Write everything out and let another process have the folder; a second call does nothing."""
        if self._shared is not None:
            self._shared.close()
        self._database.close()
        self._lock.release()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def trouble(self) -> str:
        """One sentence while a shared log cannot be reached, and what is read of it is what was known last; else ""."""
        return "" if self._shared is None else self._shared.trouble

    @property
    def arrays(self) -> Path:
        """Where embeddings are cached."""
        return self.folder / "arrays"

    @property
    def uploads(self) -> Path:
        """Where uploaded sets are kept."""
        return self.folder / "uploads"

    # Sets

    def add_set(self, path: str | Path, options: OpenOptions = OpenOptions()) -> str:
        """Open a set and list it; see SetTable.add. Raises UnreadableInput where it cannot be opened."""
        return self._sets.add(Path(path), options)

    def sets(self) -> list[SetRecord]:
        """The listed sets, in the order in which they were last opened."""
        return self._sets.records()

    def set_record(self, set_id: str) -> SetRecord:
        """What the list says of one set. Raises ImpossibleRequest where it is not listed."""
        return self._sets.record(set_id)

    def load(self, set_id: str) -> DistilledSet:
        """The opened set, kept in memory, with the label sources derived here. Raises UnreadableInput where its files have
        changed since they were opened."""
        return attach_derived(self._sets.load(set_id), self._derived.of(set_id))

    def set_options(self, set_id: str, options: OpenOptions) -> None:
        """Understand the set differently (another pixel profile, say); its id and its decisions stay."""
        self._sets.set_options(set_id, options)

    def remove_set(self, set_id: str) -> None:
        """Take the set off the list; added again, it has its decisions back."""
        self._sets.remove(set_id)

    # Derived label sources

    def derived(self, set_id: str) -> tuple[Path, ...]:
        """The folders of the label sources that were derived from the set's, oldest first."""
        return self._derived.of(self._sets.record(set_id).id)

    def new_derived(self, set_id: str) -> Path:
        """Where the next derived source of the set goes (data.derived_sources.write_derived); it does not exist yet."""
        return self._derived.next(self._sets.record(set_id).id)

    def remove_derived(self, set_id: str, which: str | Path) -> None:
        """Throw away the derived source of a name, or in a folder. Raises ImpossibleRequest where there is none."""
        self._derived.remove(self._sets.record(set_id).id, which)

    # Decisions

    def decide(self, set_id: str, decision: Decision) -> Decision:
        """Append one decision; it is on disk, with id, time and ``undoes`` filled, when this returns."""
        return self.decide_many(set_id, [decision])[0]

    def decide_many(self, set_id: str, decisions: Sequence[Decision]) -> list[Decision]:
        """Append all decisions as one batch, or none: ImpossibleRequest names what the set cannot be given."""
        return self._decisions.append(self._bounds(set_id), decisions)

    def decide_new(self, set_id: str, decisions: Sequence[Decision], undo_others: bool = True) -> list[Decision]:
        """Append what of ``decisions`` the log does not have yet, each by itself; see DecisionLog.append_new."""
        return self._decisions.append_new(self._bounds(set_id), decisions, undo_others)

    def undo(self, set_id: str, annotator: str) -> Decision | None:
        """Take back the annotator's latest standing decision, a batch as one; None where nothing stands."""
        return self._decisions.undo(self._sets.record(set_id).id, annotator)

    def undo_sample(self, set_id: str, sample_id: int, annotator: str) -> Decision | None:
        """Take back the annotator's latest standing decision on one sample; None where nothing stands."""
        return self._decisions.undo(self._sets.record(set_id).id, annotator, sample_id)

    def decisions(self, set_id: str, sample_id: int | None = None, latest: int | None = None) -> list[Decision]:
        """The log of a set or of one sample, undos included, oldest first: the whole, or its ``latest`` entries."""
        return self._decisions.entries(set_id, sample_id, latest)

    def log(self, set_id: str) -> LogPages:
        """The same log a page at a time, filtered and counted."""
        return LogPages(self._log, self._sets.record(set_id).id)

    def take_back(self, set_id: str, batch: int, annotator: str) -> int:
        """Undo what still stands of a batch, whoever signed it, as one batch of ``annotator``; returns how many entries."""
        return self._decisions.take_back(self._sets.record(set_id).id, batch, annotator)

    def states(self, set_id: str, ids: Ids | None = None) -> dict[int, SampleState]:
        """Where the log leaves every sample, or each of ``ids``, that has a standing decision."""
        return self._decisions.states(set_id, ids)

    def settled(self, set_id: str) -> SettledRows:
        """What people settled, sample by sample, in the order of the decisions that made it so."""
        return self._decisions.settled(set_id)

    def decision_counts(self, set_id: str) -> dict[str, int]:
        """Samples by where the log leaves them: kept, relabelled, softened, pruned, skipped, undecided; sums to N."""
        return self._decisions.counts(self._bounds(set_id))

    # What judges answered about pairs of labels

    def add_answers(self, set_id: str, answers: PairAnswers, run: str = "") -> int:
        """Append answers, all or none; those of one ``run`` once. They are on disk when this returns how many were added."""
        return self._answers.append(self._bounds(set_id), answers, run)

    def add_new_answers(self, set_id: str, answers: PairAnswers) -> int:
        """Append what of people's ``answers`` the log does not have yet; see AnswerLog.append_new."""
        return self._answers.append_new(self._bounds(set_id), answers)

    def answers(self, set_id: str, judge: str | None = None) -> PairAnswers:
        """What every judge, or one, answered about pairs of labels, in the order in which it was added."""
        return self._answers.of_set(self._sets.record(set_id).id, judge)

    # Runs

    def start_run(self, set_id: str, analysis: str, parameters: Mapping[str, Any], key: str) -> RunRecord:
        """Record that an analysis begins; its results belong in the record's ``folder``, which does not exist yet."""
        return self._runs.start(self._sets.record(set_id).id, analysis, parameters, key)

    def finish_run(
        self, run_id: str, status: str, message: str = "", seconds: float | None = None, device: str = ""
    ) -> RunRecord:
        """Record that a run is done, failed or cancelled."""
        return self._runs.finish(run_id, status, message, seconds, device)

    def runs(self, set_id: str, analysis: str | None = None) -> list[RunRecord]:
        """Runs of a set, newest first."""
        return self._runs.of_set(set_id, analysis)

    def run(self, run_id: str) -> RunRecord:
        """One run. Raises ImpossibleRequest where there is none of that id."""
        return self._runs.get(run_id)

    def latest_run(self, set_id: str, analysis: str, status: str = "done") -> RunRecord | None:
        """The newest run of an analysis with that status."""
        return self._runs.latest(set_id, analysis, status)

    def find_run(self, set_id: str, analysis: str, key: str) -> RunRecord | None:
        """The newest finished run of the same content and parameters whose results are still there."""
        return self._runs.find(set_id, analysis, key)

    # Evidence: the per-sample tables of the latest finished runs

    def select(self, set_id: str, query: SampleQuery) -> SamplePage:
        """The samples that ``query`` asks for. Raises ImpossibleRequest where it names evidence that is not there."""
        size = self._sets.record(set_id).n
        if query.takes_all:
            return SamplePage(np.arange(query.offset, max(query.offset, min(query.offset + query.limit, size))), size)
        asked = statement(set_id, size, query, {name: self._evidence.find(set_id, name) for name in query.analyses})
        tables = self._log if query.decision is not None else self._database
        total, ids = tables.rows(asked.sql, asked.parameters, **asked.tables)[0]
        return SamplePage(np.asarray(ids or [], dtype=np.int64), total)

    def evidence(self, set_id: str) -> dict[str, list[str]]:
        """The columns that samples can be sorted by, by analysis."""
        return {found.analysis: found.sortable for found in self._evidence.all(set_id)}

    def judging(self, set_id: str) -> list[str]:
        """The analyses that find some samples better or worse than others, by a score or a flag."""
        return [found.analysis for found in self._evidence.all(set_id) if found.judges]

    def evidence_of(self, set_id: str, sample_id: int) -> dict[str, dict[str, Any]]:
        """What every analysis says about one sample: values by column, by analysis."""
        return self._evidence.of_sample(set_id, sample_id)

    def evidence_of_samples(self, set_id: str, ids: Ids) -> dict[int, dict[str, dict[str, Any]]]:
        """``evidence_of`` each of ``ids``, read together."""
        return self._evidence.of_samples(set_id, ids)

    def evidence_values(self, set_id: str, analysis: str, column: str) -> tuple[np.ndarray, np.ndarray]:
        """(sample ids int64 (m,), values (m,)) of one column, for a map's colours; a missing number is NaN."""
        return self._evidence.values(set_id, analysis, column)

    def mentions(self, set_id: str, analysis: str, column: str) -> np.ndarray:
        """How often each sample is named in a column that lists sample ids, int64 (N,)."""
        return self._evidence.mentions(set_id, analysis, column, self._sets.record(set_id).n)

    def values(self, set_id: str, analysis: str, column: str, ids: Ids) -> dict[int, Any]:
        """The same for some samples: values by sample id; those without one are left out."""
        return self._evidence.values_of(set_id, analysis, column, ids)

    def flags(self, set_id: str, ids: Ids, analysis: str | None = None) -> dict[int, bool]:
        """Whether an analysis, or any of them, flags each of ``ids``; samples that none looked at are left out."""
        return self._evidence.flags(set_id, ids, analysis)

    def _bounds(self, set_id: str) -> Bounds:
        record = self._sets.record(set_id)
        return Bounds(record.id, record.n, record.num_classes)
