"""The log as a parquet table, one row a decision, with typed columns, for pandas, DuckDB, Spark and the like.

    id, sample_id, label, undoes   int64          given_label, class_name   what the set says of the sample and of ``label``
    action, reason, annotator, at, finding   string          seconds   double          soft_label   list of double
    at_utc   timestamp in UTC, to the microsecond, null where ``at`` names no moment

Carries everything. ``given_label`` and ``class_name`` are there to be read; an import does not look at them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.decisions import MOST_DECISIONS, Decision, from_object
from data.errors import UnreadableInput
from data.exchange.common import Read, entry_of, read_bytes, standing_entries, utc
from data.exchange.set_names import SetNames
from data.formats.parquet_files import read_table

NAME, TITLE, SUFFIX = "parquet", "parquet, typed columns for analysis", ".parquet"
CANNOT = "It carries everything: with the whole log also what was taken back."
WHOLE = True
MOST_UNPACKED = 1 << 29
ROWS = 20_000
TYPES: dict[str, pa.DataType] = {
    "id": pa.int64(),
    "sample_id": pa.int64(),
    "action": pa.string(),
    "label": pa.int64(),
    "soft_label": pa.list_(pa.float64()),
    "reason": pa.string(),
    "annotator": pa.string(),
    "seconds": pa.float64(),
    "at": pa.string(),
    "finding": pa.string(),
    "undoes": pa.int64(),
}
SCHEMA = pa.schema({**TYPES, "at_utc": pa.timestamp("us", tz="UTC"), "given_label": pa.string(), "class_name": pa.string()})
_DEFAULTS = {f.name: f.default for f in fields(Decision) if f.name not in ("sample_id", "action")}


def read_log(path: Path) -> list[Decision]:
    """The log as it is written, undos included. Raises UnreadableInput naming the row that is wrong."""
    return [_row(values, path, number) for number, values in enumerate(_rows(path), 1)]


def read(path: Path) -> Read:
    """What of the log stands. Raises UnreadableInput."""
    log = read_log(path)
    number_of = {id(decision): number for number, decision in enumerate(log, 1)}
    return Read([entry_of(d, f"row {number_of[id(d)]:,}") for d in standing_entries(log)])


def write(log: Iterable[Decision], names: SetNames, out: Path) -> tuple[str, ...]:
    """One row a decision, a piece at a time; returns nothing to note."""
    rest = iter(log)
    with pq.ParquetWriter(out, SCHEMA) as writer:
        while piece := list(islice(rest, ROWS)):
            writer.write_table(_table(piece, names))
    return ()


def _table(piece: list[Decision], names: SetNames) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [getattr(d, name) for d in piece] for name in TYPES}
    columns["at_utc"] = [utc(d.at) if d.at else None for d in piece]
    columns["given_label"] = [names.class_names[int(names.labels[d.sample_id])] for d in piece]
    columns["class_name"] = [None if d.label is None else names.class_names[d.label] for d in piece]
    return pa.table(columns, schema=SCHEMA)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    read_bytes(path)  # bounds the size, and says what is wrong with a place that cannot be read
    try:
        with pq.ParquetFile(path) as file:
            known, rows = set(file.schema_arrow.names), file.metadata.num_rows
        if missing := [name for name in ("sample_id", "action") if name not in known]:
            raise UnreadableInput(f"{path.name} has no column {missing[0]}; give a log that Stillroom wrote as parquet.")
        if rows > MOST_DECISIONS:
            raise UnreadableInput(f"{path.name} holds more than {MOST_DECISIONS:,} decisions; split it.")
        table = read_table(path, MOST_UNPACKED, [name for name in TYPES if name in known])
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error)[:160].split())
        raise UnreadableInput(f"{path.name} is no parquet file that can be read ({reason}); write it again.") from None
    for piece in table.to_batches(ROWS):
        yield from piece.to_pylist()


def _row(values: dict[str, Any], path: Path, number: int) -> Decision:
    try:
        return from_object(
            {name: _DEFAULTS[name] if value is None and name in _DEFAULTS else value for name, value in values.items()}
        )
    except (ValueError, TypeError) as error:
        raise UnreadableInput(f"{path.name}, row {number:,}: {error}; correct that row.") from None
