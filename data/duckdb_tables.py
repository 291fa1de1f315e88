"""The tables of a workspace in its DuckDB file.

This is the only module that knows DuckDB. Its commits are on disk when they return (``fsync_mode`` STANDARD). Concurrent
updates of a row conflict in DuckDB and appends never do, so decisions are only appended, and writers take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data.errors import UnreadableInput
from data.workspace_tables import LOG_TABLES, LOG_VIEWS, SCHEMA, SCHEMA_VERSION, Columns, Execute, names, rows_of

DATABASE = "stillroom.duckdb"
MOST_AS_VALUES = 20
CATALOG, SHARED = "stillroom", "shared"
"""What DuckDB calls the workspace's file, and a log in memory."""


class DuckDBTables:
    """One DuckDB file as data.workspace_tables.Tables.

    Raises UnreadableInput where the file is damaged, or of a newer DuckDB or Stillroom.
    """

    def __init__(self, file: Path) -> None:
        self._writer = threading.Lock()
        self._search_path = ""
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
            cursor.begin()
            try:
                yield _Transaction(cursor)
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()

    def put_in_front(self) -> None:
        """From now on LOGS and their views are those of an empty database in memory; the file's own stay as they are."""
        with self._cursor({}) as cursor:
            cursor.execute(f"attach ':memory:' as {SHARED}; use {SHARED}; {LOG_TABLES} {LOG_VIEWS}")
        self._search_path = f"set search_path = '{SHARED}.main,{CATALOG}.main'"

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
            if self._search_path:
                cursor.execute(self._search_path)
            _register(cursor, tables)
            yield cursor
        finally:
            cursor.close()


class _Transaction:
    """What may be done within a transaction, as data.workspace_tables.Execute."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def __call__(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        _register(self._cursor, tables)
        return _run(self._cursor, sql, parameters).fetchall()

    def insert(self, table: str, columns: Columns) -> None:
        """Few rows as values, which takes half the time for one; many as a table, a tenth of the time for ten thousand."""
        into = f"insert into {table} ({names(columns)})"
        rows = rows_of(columns)
        if len(rows) > MOST_AS_VALUES:
            self(f"{into} select {names(columns)} from incoming", incoming=columns)
        else:
            places = ", ".join([f"({', '.join('?' * len(columns))})"] * len(rows))
            self(f"{into} values {places}", [value for row in rows for value in row])


def _register(cursor: duckdb.DuckDBPyConnection, tables: Mapping[str, Columns]) -> None:
    for name, columns in tables.items():
        cursor.register(name, pa.table(dict(columns)))


def _run(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any]) -> duckdb.DuckDBPyConnection:
    return cursor.execute(sql, list(parameters)) if len(parameters) else cursor.execute(sql)
