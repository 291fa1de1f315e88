"""The tables of a workspace, and the narrow door through which the rest of the workspace reaches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from data.soft_labels import Ids

SCHEMA_VERSION = 1

Columns = Mapping[str, Sequence[Any] | np.ndarray]
Execute = Callable[..., list[tuple]]
"""``execute(sql, parameters=(), **tables: Columns)`` within a transaction: its rows."""


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


# No keys and no indexes: writers are serialised, every key is made here, and DuckDB checks keys at a high price.
SCHEMA = """
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

-- Only ever appended to.
create table if not exists decisions (
    id bigint, set_id varchar, batch bigint, sample_id bigint, action varchar, label bigint, soft_label double[],
    reason varchar, annotator varchar, seconds double, "at" varchar, finding varchar, undoes bigint
);

create or replace view standing as
    select * from decisions
    where action <> 'undo' and id not in (select undoes from decisions where undoes is not null);

-- What data.decisions.states computes, as a query: one row for each sample with a standing decision.
create or replace view sample_states as
    select latest.set_id, latest.sample_id, latest.last, settled.label, settled.soft_label,
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
