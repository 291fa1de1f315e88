"""A project's folder: its sets, its decisions, its runs.

    stillroom.duckdb   the tables (workspace_tables.py)
    arrays/            embeddings, memory-mapped
    derived/           label sources computed from others, a folder each
    runs/              one folder a run, written by the worker
    uploads/           sets that came through the browser
    workspace.lock     which process owns all this

This is the only module that knows DuckDB. Its commits are on disk when they return (``fsync_mode`` STANDARD). Concurrent
updates of a row conflict in DuckDB and appends never do, so decisions are only appended, and writers take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data.decision_log import Bounds, DecisionLog, SettledRows
from data.decisions import Decision, SampleState
from data.derived_sources import DerivedFolders, attach_derived
from data.distilled_set import DistilledSet, OpenOptions
from data.errors import UnreadableInput
from data.evidence import EvidenceTables
from data.run_log import RunLog, RunRecord
from data.sample_query import SamplePage, SampleQuery, ScoreRange, statement
from data.soft_labels import Ids
from data.workspace_lock import WorkspaceBusy, WorkspaceLock
from data.workspace_sets import SetRecord, SetTable
from data.workspace_tables import SCHEMA, SCHEMA_VERSION, Columns, Execute

__all__ = ["RunRecord", "SamplePage", "SampleQuery", "ScoreRange", "SetRecord", "Workspace", "WorkspaceBusy"]

DATABASE = "stillroom.duckdb"
FOLDERS = ("arrays", "derived", "runs", "uploads")


class Workspace:
    """One folder a project, owned by one process and shared by all of its threads."""

    def __init__(self, folder: Path, lock: WorkspaceLock, database: _Database) -> None:
        """Use ``Workspace.open``."""
        self.folder = folder
        self._lock = lock
        self._database = database
        self._sets = SetTable(database)
        self._derived = DerivedFolders(folder / "derived")
        self._decisions = DecisionLog(database)
        self._runs = RunLog(database, folder / "runs")
        self._runs.interrupt_unfinished()
        self._evidence = EvidenceTables(database, self._runs)

    @classmethod
    def open(cls, folder: str | Path, address: str = "") -> Workspace:
        """Open or make the workspace in ``folder``; ``address`` is where people reach this process, for others to be told.

        Raises WorkspaceBusy where another process has it, UnreadableInput where it cannot be used.
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
        try:
            return cls(place, lock, _Database(place / DATABASE))
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Write everything out and let another process have the folder; a second call does nothing."""
        self._database.close()
        self._lock.release()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

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

    def undo(self, set_id: str, annotator: str) -> Decision | None:
        """Take back the annotator's latest standing decision, a batch as one; None where nothing stands."""
        return self._decisions.undo(self._sets.record(set_id).id, annotator)

    def undo_sample(self, set_id: str, sample_id: int, annotator: str) -> Decision | None:
        """Take back the annotator's latest standing decision on one sample; None where nothing stands."""
        return self._decisions.undo(self._sets.record(set_id).id, annotator, sample_id)

    def decisions(self, set_id: str, sample_id: int | None = None, latest: int | None = None) -> list[Decision]:
        """The log of a set or of one sample, undos included, oldest first: the whole, or its ``latest`` entries."""
        return self._decisions.entries(set_id, sample_id, latest)

    def states(self, set_id: str, ids: Ids | None = None) -> dict[int, SampleState]:
        """Where the log leaves every sample, or each of ``ids``, that has a standing decision."""
        return self._decisions.states(set_id, ids)

    def settled(self, set_id: str) -> SettledRows:
        """What people settled, sample by sample, in the order of the decisions that made it so."""
        return self._decisions.settled(set_id)

    def decision_counts(self, set_id: str) -> dict[str, int]:
        """Samples by where the log leaves them: kept, relabelled, softened, pruned, skipped, undecided; sums to N."""
        return self._decisions.counts(self._bounds(set_id))

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
        total, ids = self._database.rows(asked.sql, asked.parameters, **asked.tables)[0]
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


class _Database:
    """The DuckDB file as data.workspace_tables.Tables."""

    def __init__(self, file: Path) -> None:
        self._writer = threading.Lock()
        try:
            self._connection = duckdb.connect(str(file), config={"autoinstall_known_extensions": "false"})
            try:
                self._prepare(file.parent)
            except BaseException:
                self._connection.close()
                raise
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise UnreadableInput(
                f"the workspace database {file} is damaged or was written by a newer DuckDB ({reason}); restore a copy "
                "of it or choose another --workspace."
            ) from None

    def rows(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        with self._cursor(tables) as cursor:
            return _run(cursor, sql, parameters).fetchall()

    def columns(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> dict[str, np.ndarray]:
        with self._cursor(tables) as cursor:
            return _run(cursor, sql, parameters).fetchnumpy()

    @contextmanager
    def writing(self) -> Iterator[Execute]:
        with self._writer, self._cursor({}) as cursor:

            def execute(sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
                _register(cursor, tables)
                return _run(cursor, sql, parameters).fetchall()

            cursor.begin()
            try:
                yield execute
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()

    def close(self) -> None:
        with self._writer:
            self._connection.close()

    def _prepare(self, folder: Path) -> None:
        """Check or make the tables."""
        self.rows("set global parquet_metadata_cache = true")
        known = self.rows("select 1 from duckdb_tables() where table_name = 'about'")
        version = self.rows("select max(schema_version) from about")[0][0] if known else SCHEMA_VERSION
        if version > SCHEMA_VERSION:
            raise UnreadableInput(
                f"the workspace {folder} was made by a newer Stillroom (tables of version {version}, this one knows "
                f"{SCHEMA_VERSION}); update Stillroom or choose another --workspace."
            )
        with self.writing() as execute:
            execute(SCHEMA)
            if not known:
                execute("insert into about values (?)", [SCHEMA_VERSION])

    @contextmanager
    def _cursor(self, tables: Mapping[str, Columns]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for one use, as DuckDB asks of every thread."""
        cursor = self._connection.cursor()
        try:
            _register(cursor, tables)
            yield cursor
        finally:
            cursor.close()


def _register(cursor: duckdb.DuckDBPyConnection, tables: Mapping[str, Columns]) -> None:
    for name, columns in tables.items():
        cursor.register(name, pa.table(dict(columns)))


def _run(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any]) -> duckdb.DuckDBPyConnection:
    return cursor.execute(sql, list(parameters)) if len(parameters) else cursor.execute(sql)
