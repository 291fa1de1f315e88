"""What the latest finished runs say about each sample, read where the workers wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import ImpossibleRequest, UnreadableInput
from data.run_log import PER_SAMPLE, RunLog, RunRecord
from data.soft_labels import Ids
from data.workspace_tables import WANTED, Tables, filled, wanted

_SORTABLE = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)


@dataclass(frozen=True)
class Evidence:
    """The per-sample table of one finished run: where it lies, its column types by name, its rows.

    ``judges`` says whether it finds any sample better or worse than another: whether any has a score or a flag.
    """

    analysis: str
    path: Path
    types: Mapping[str, pa.DataType]
    rows: int
    judges: bool

    @property
    def source(self) -> str:
        """The table as SQL; the path is escaped, so that neither quotes nor wildcards in a folder's name matter."""
        return f"read_parquet({text(_escape_wildcards(str(self.path)))}, hive_partitioning = false)"

    @property
    def sortable(self) -> list[str]:
        """The columns that have an order, as they come, without the sample ids themselves."""
        return [name for name, kind in self.types.items() if name != "sample_id" and any(is_(kind) for is_ in _SORTABLE)]

    def column(self, name: str) -> str:
        """The quoted column ``name``, with NaN as no value. Raises ImpossibleRequest where there is none."""
        if name not in self.sortable:
            raise ImpossibleRequest(
                f"{self.analysis} has no column '{name}' to sort by; it has {', '.join(self.sortable) or 'none'}."
            )
        quoted = identifier(name)
        is_real = pa.types.is_floating(self.types[name])
        return f"case when isnan({quoted}) then null else {quoted} end" if is_real else quoted


class EvidenceTables:
    """The per-sample tables of the newest finished run of every analysis."""

    def __init__(self, tables: Tables, runs: RunLog) -> None:
        self._tables = tables
        self._runs = runs
        self._described: dict[str, Evidence] = {}

    def find(self, set_id: str, analysis: str) -> Evidence:
        """Raises ImpossibleRequest where that analysis has no results for the set."""
        for run in self._runs.latest_done(set_id):
            if run.analysis == analysis:
                return self._describe(run)
        raise ImpossibleRequest(f"{analysis} has no results for this set yet; run it first.")

    def all(self, set_id: str) -> list[Evidence]:
        """In the order of the analyses' names."""
        return [self._describe(run) for run in self._runs.latest_done(set_id)]

    def of_sample(self, set_id: str, sample_id: int) -> dict[str, dict[str, Any]]:
        """Values by column, by analysis; an analysis that left the sample out is left out."""
        return self.of_samples(set_id, [sample_id])[sample_id]

    def of_samples(self, set_id: str, ids: Ids) -> dict[int, dict[str, dict[str, Any]]]:
        """``of_sample`` of each of ``ids``, in one query an analysis."""
        said: dict[int, dict[str, dict[str, Any]]] = {int(i): {} for i in ids}
        for found in self.all(set_id):
            for i, row in self._rows(found, ids).items():
                said[i][found.analysis] = row
        return said

    def values(self, set_id: str, analysis: str, column: str) -> tuple[np.ndarray, np.ndarray]:
        """(sample ids int64 (m,), values (m,)) in the order of ids; a missing number is NaN, any other is None."""
        found = self.find(set_id, analysis)
        sql = f"select sample_id, {found.column(column)} as value from {found.source} order by sample_id"
        result = self._tables.columns(sql)
        return np.asarray(result["sample_id"], dtype=np.int64), filled(result["value"])

    def mentions(self, set_id: str, analysis: str, column: str, n: int) -> np.ndarray:
        """How often each of ``n`` samples is named in ``column``, which lists sample ids (-1 for none), int64 (n,).

        Raises ImpossibleRequest where the analysis has no such lists.
        """
        found = self.find(set_id, analysis)
        kind = found.types.get(column)
        if kind is None or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            raise ImpossibleRequest(f"{analysis} has no lists '{column}' to count; choose another column.")
        counts = np.zeros(n, dtype=np.int64)
        with pq.ParquetFile(found.path) as stored:  # a twentieth of the time that the database takes to unnest them
            for rows in stored.iter_batches(columns=[column]):
                named = rows.column(0).flatten().to_numpy(zero_copy_only=False)
                counts += np.bincount(named[(named >= 0) & (named < n)].astype(np.int64), minlength=n)
        return counts

    def values_of(self, set_id: str, analysis: str, column: str, ids: Ids) -> dict[int, Any]:
        """The values of ``column`` by sample id, for those of ``ids`` that have one."""
        found = self.find(set_id, analysis)
        key = found.column(column)
        sql = f"select sample_id, {key} from {found.source} where {WANTED} and ({key}) is not null"
        return dict(self._tables.rows(sql, wanted=wanted(ids)))

    def flags(self, set_id: str, ids: Ids, analysis: str | None = None) -> dict[int, bool]:
        """Whether ``analysis``, or any, flags each of ``ids``; a sample that none looked at is left out."""
        tables = self.all(set_id) if analysis is None else [self.find(set_id, analysis)]
        if not tables:
            return {}
        flags = " union all ".join(f"select sample_id, flag from {found.source} where {WANTED}" for found in tables)
        return dict(
            self._tables.rows(f"select sample_id, bool_or(flag) from ({flags}) group by sample_id", wanted=wanted(ids))
        )

    def _rows(self, found: Evidence, ids: Ids) -> dict[int, dict[str, Any]]:
        names = [name for name in found.types if name != "sample_id"]
        columns = ", ".join(map(identifier, ["sample_id", *names]))
        rows = self._tables.rows(f"select {columns} from {found.source} where {WANTED}", wanted=wanted(ids))
        return {int(row[0]): dict(zip(names, row[1:], strict=True)) for row in rows}

    def _describe(self, run: RunRecord) -> Evidence:
        """A run's results never change, so they are described once."""
        if run.id not in self._described:
            path = run.folder / PER_SAMPLE
            try:
                stored = pq.ParquetFile(path)
            except (OSError, pa.ArrowException) as error:
                raise UnreadableInput(f"the results {path} of {run.analysis} are damaged ({error}); run it again.") from None
            with stored:
                types = {column.name: column.type for column in stored.schema_arrow}
                self._described[run.id] = Evidence(run.analysis, path, types, stored.metadata.num_rows, _judges(stored))
        return self._described[run.id]


def _judges(stored: pq.ParquetFile) -> bool:
    for rows in stored.iter_batches(columns=["score", "flag"]):
        score, flag = (column.to_numpy(zero_copy_only=False) for column in rows.columns)
        if flag.any() or not np.isnan(score.astype(float)).all():
            return True
    return False


def identifier(name: str) -> str:
    """``name`` as an SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """``value`` as an SQL string, whatever it holds."""
    return "'" + value.replace("'", "''") + "'"


def _escape_wildcards(path: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
