"""The tables of a workspace, and the narrow door through which the rest of the workspace reaches them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from data.soft_labels import Ids

SCHEMA_VERSION = 1

Columns = Mapping[str, Sequence[Any] | np.ndarray]


class Execute(Protocol):
    """What may be done within a transaction."""

    def __call__(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        """The rows of one statement."""

    def insert(self, table: str, columns: Columns) -> None:
        """Add rows, given by column, to one of LOGS."""


class Tables(Protocol):
    """What every part of the workspace is given. Any thread may use it.

    ``tables`` are columns by name that the query may read like tables.
    """

    def rows(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        """All rows of one query."""

    def columns(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> dict[str, np.ndarray]:
        """The result of one query as arrays by column name; missing values are masked."""

    def writing(self) -> AbstractContextManager[Execute]:
        """One transaction, one writer at a time; on disk when the block ends, as if never begun when it raises."""


WANTED = "sample_id in (select sample_id from wanted)"
"""The condition that goes with ``wanted``."""


def wanted(ids: Ids) -> Columns:
    """Sample ids as the columns of a table ``wanted``."""
    return {"sample_id": np.unique(np.asarray(ids, dtype=np.int64))}


def filled(values: np.ndarray) -> np.ndarray:
    """A column of ``Tables.columns`` without its mask: a missing number is NaN, anything else that is missing is None."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values.dtype.kind == "f":
        return values.filled(np.nan)
    return np.where(np.ma.getmaskarray(values), None, values.astype(object).data)  # filled(None) would fill with "?"


LOGS: dict[str, dict[str, str]] = {
    "decisions": {
        "id": "bigint",
        "set_id": "varchar",
        "batch": "bigint",
        "sample_id": "bigint",
        "action": "varchar",
        "label": "bigint",
        "soft_label": "float8[]",
        "reason": "varchar",
        "annotator": "varchar",
        "seconds": "float8",
        "at": "varchar",
        "finding": "varchar",
        "undoes": "bigint",
    },
    "pair_answers": {
        "id": "bigint",
        "set_id": "varchar",
        "run": "varchar",
        "sample_id": "bigint",
        "left": "bigint",
        "right": "bigint",
        "judge": "varchar",
        "said": "varchar",
        "confidence": "float8",
        "reason": "varchar",
        "author": "varchar",
        "seconds": "float8",
        "at": "varchar",
    },
    "people": {
        "id": "bigint",
        "person": "varchar",
        "signs_as": "varchar",
        "email": "varchar",
        "role": "varchar",
        "given_by": "varchar",
        "at": "varchar",
    },
    "queues": {
        "id": "bigint",
        "set_id": "varchar",
        "title": "varchar",
        "made_by": "varchar",
        "at": "varchar",
        "since": "bigint",
        "samples": "bigint[]",
        "overlap": "bigint",
        "lease_seconds": "float8",
        "blind": "boolean",
        "quota": "bigint",
        "source": "varchar",
        "finding": "varchar",
    },
    "queue_events": {
        "id": "bigint",
        "queue": "bigint",
        "what": "varchar",
        "who": "varchar",
        "at": "varchar",
    },
    "leases": {
        "id": "bigint",
        "queue": "bigint",
        "who": "varchar",
        "samples": "bigint[]",
        "until": "float8",
    },
}
"""The tables that are only ever appended to, their columns and types; ids ascend in the order of the commits. The run of an
answer is "" for what people answered."""


def names(columns: Iterable[str]) -> str:
    """Column names as SQL lists them."""
    return ", ".join(f'"{name}"' for name in columns)


def rows_of(columns: Columns) -> list[tuple]:
    """The same by row, in Python's own types."""
    plain = (values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values())
    return list(zip(*plain, strict=True))


def said_at(execute: Execute, log: str, columns: Sequence[str], set_id: str, times: Iterable[str]) -> set[tuple]:
    """``columns`` of what a log holds of a set with one of ``times``, by which is known what a browser offers again; of no
    time there is nothing."""
    given = sorted(set(times) - {""})
    if not given:
        return set()
    sql = f'select {names(columns)} from {log} where set_id = ? and "at" in ({", ".join("?" * len(given))})'
    return set(execute(sql, [set_id, *given]))


def _log_tables() -> str:
    tables = ((log, ", ".join(f'"{name}" {kind}' for name, kind in columns.items())) for log, columns in LOGS.items())
    return "".join(f"create table if not exists {log} ({columns});\n" for log, columns in tables)


LOG_TABLES = _log_tables()
"""In the SQL that DuckDB and PostgreSQL share."""

# No keys and no indexes: writers are serialised, every key is made here, and DuckDB checks keys at a high price.
WORKSPACE_TABLES = """
create table if not exists about (schema_version integer);

create table if not exists sets (
    id varchar, name varchar, path varchar, options varchar, format varchar, method varchar, n bigint, num_classes bigint,
    opened_at varchar, fingerprint varchar, listed boolean
);

create table if not exists labels (set_id varchar, sample_id bigint, label bigint);

create table if not exists runs (
    number bigint, id varchar, set_id varchar, analysis varchar, parameters varchar, key varchar, started_at varchar,
    status varchar, message varchar, seconds double, device varchar
);
"""

LOG_VIEWS = """
create or replace view standing as
    select * from decisions
    where action <> 'undo' and id not in (select undoes from decisions where undoes is not null);

-- What data.decisions.states computes, as a query: one row for each sample with a standing decision.
create or replace view sample_states as
    select latest.set_id, latest.sample_id, latest.last, settled.label, settled.soft_label,
        settled.annotator as settled_by,
        coalesce(latest.placed_by = 'prune', false) as pruned,
        case
            when latest.placed_by = 'prune' then latest.placed
            when settled.action <> 'keep' then settled.id
        end as cause,
        case
            when latest.placed_by = 'prune' then 'pruned'
            when settled.action = 'keep' then 'kept'
            when settled.action = 'relabel' then 'relabelled'
            when settled.action = 'soften' then 'softened'
            when latest.latest_action = 'skip' then 'skipped'
            else 'undecided'
        end as category
    from (
        select set_id, sample_id, max(id) as last, arg_max(action, id) as latest_action,
            max(id) filter (where action in ('keep', 'relabel', 'soften')) as settled,
            max(id) filter (where action <> 'skip') as placed,
            arg_max(action, id) filter (where action <> 'skip') as placed_by
        from standing group by set_id, sample_id
    ) as latest left join decisions as settled on settled.id = latest.settled;
"""

SCHEMA = WORKSPACE_TABLES + LOG_TABLES + LOG_VIEWS
