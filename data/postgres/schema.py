"""The tables in PostgreSQL: made once, whoever starts first, and recognised ever after."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from data.errors import UnreadableInput
from data.workspace_tables import LOG_TABLES, LOGS, names

SCHEMA = "stillroom"
SCHEMA_VERSION = 1
OLDEST_SERVER = 13
_FOREIGN = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege)

# Two writers that took the same id would be found out at once, by the unique keys.
_TABLES = f"""
create schema {SCHEMA};
create table about (schema_version integer not null);
insert into about values ({SCHEMA_VERSION});
{LOG_TABLES}
{"".join(f"create unique index on {log} (id);" for log in LOGS)}
create index on decisions (set_id, sample_id, id);
create index on decisions (set_id, annotator, id);
create index on decisions (undoes) where undoes is not null;
create index on pair_answers (set_id, run) where run <> '';
create view standing as
    select * from decisions
    where action <> 'undo' and not exists (select 1 from decisions as undo where undo.undoes = decisions.id);
"""


def prepare(connection: psycopg.Connection[TupleRow], place: str) -> None:
    """Make the schema, or check the one that is there.

    ``connection`` is in a transaction that no other process is in, and its search path is SCHEMA; ``place`` names the
    database. Raises UnreadableInput where the log cannot be kept in it.
    """
    _check_server(connection, place)
    known = connection.execute("select 1 from pg_namespace where nspname = %s", [SCHEMA]).fetchone()
    if known:
        _check_version(connection, place)
    try:
        connection.execute(_added(connection) if known else _TABLES)
    except psycopg.errors.InsufficientPrivilege:
        raise UnreadableInput(
            f"the database {place} does not let this user make the schema '{SCHEMA}', or tables in it; grant it CREATE "
            "on the database."
        ) from None
    if known:
        _check_tables(connection, place)


def _added(connection: psycopg.Connection[TupleRow]) -> str:
    """SQL that makes the logs which a store of an earlier Stillroom lacks; those that are there stay as they are."""
    tables = "select tablename from pg_tables where schemaname = %s"
    there = {name for (name,) in connection.execute(tables, [SCHEMA]).fetchall()}
    missing = [log for log in LOGS if log not in there]
    if not there & set(LOGS) or not missing:  # of somebody else's schema nothing is touched
        return "select"
    return LOG_TABLES + "".join(f"create unique index on {log} (id);" for log in missing)


def _check_server(connection: psycopg.Connection[TupleRow], place: str) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise UnreadableInput(f"{place} is PostgreSQL {version}; Stillroom needs {OLDEST_SERVER} or newer.")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnreadableInput(
            f"the database {place} holds text as {encoding}, which cannot hold every name; make one in UTF8."
        )


def _check_version(connection: psycopg.Connection[TupleRow], place: str) -> None:
    try:
        version = connection.execute(f"select max(schema_version) from {SCHEMA}.about").fetchone()[0]
    except _FOREIGN as error:
        raise _not_ours(place, error) from None
    if version != SCHEMA_VERSION:
        raise UnreadableInput(
            f"the decisions in {place} were kept by another version of Stillroom (tables of version {version}, this one "
            f"knows {SCHEMA_VERSION}); use that version or choose another database."
        )


def _check_tables(connection: psycopg.Connection[TupleRow], place: str) -> None:
    try:
        for log, columns in LOGS.items():
            connection.execute(f"select {names(columns)} from {SCHEMA}.{log} limit 0")
        connection.execute(f"select id, batch from {SCHEMA}.standing limit 0")
    except _FOREIGN as error:
        raise _not_ours(place, error) from None


def _not_ours(place: str, error: Exception) -> UnreadableInput:
    reason = str(error).splitlines()[0]
    return UnreadableInput(
        f"the schema '{SCHEMA}' of the database {place} is not Stillroom's, or not this user's to read ({reason}); "
        "choose another database."
    )
