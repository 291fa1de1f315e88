"""The log that several processes share: written to PostgreSQL, read from a copy that this process keeps up to date.

The log is only ever appended to and its ids ascend in the order of the commits (see Server), so "everything after the last
id I know" brings the copy up to date, and one small question says whether there is anything. Every query about the log is
then answered by DuckDB, from the same views, as fast as for a log of one's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from data.decisions import now
from data.duckdb_tables import CATALOG, DuckDBTables
from data.postgres.schema import SCHEMA
from data.postgres.server import Server, StoreAway
from data.workspace_tables import LOGS, Columns, Execute, Tables, names

AT_ONCE = 20_000

# The log's identity: restored from a backup, or on another server that took over, it may have lost ids that are known here.
_HEADS = f"select concat_ws(' ', pg_postmaster_start_time(), '{SCHEMA}.decisions'::regclass::oid), " + ", ".join(
    f"(select coalesce(max(id), 0) from {SCHEMA}.{log})" for log in LOGS
)


class SharedLog:
    """As data.workspace_tables.Tables: what is written goes to the server, what is read comes from ``copy``.

    While the server is away the copy shows what was known last, with what this process has committed since, so that a card
    stays on the page, keeps what is decided meanwhile, and knows what was written already when it offers that again.
    """

    def __init__(self, url: str, copy: Tables) -> None:
        """``copy`` holds empty LOGS. Raises StoreAway, ImpossibleRequest, UnreadableInput where the log cannot be had."""
        self._copy = copy
        self._guard = threading.Lock()
        self._origin = ""
        self._known = dict.fromkeys(LOGS, 0)
        self._own: list[tuple[str, Columns]] = []
        self._own_shown = False
        self._ask_again = 0.0
        self._trouble = ""
        self._server = Server(url)
        try:
            with self._server.reading(_HEADS) as (heads, execute):
                self._catch_up(heads, execute)
        except BaseException:
            self._server.close()
            raise

    def rows(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        self._refresh()
        return self._copy.rows(sql, parameters, **tables)

    def columns(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> dict[str, np.ndarray]:
        self._refresh()
        return self._copy.columns(sql, parameters, **tables)

    @contextmanager
    def writing(self) -> Iterator[Execute]:
        with self._server.writing() as execute:
            remembering = _Remembering(execute)
            yield remembering
        with self._guard:
            self._own += remembering.inserted

    def bring(self, own: Mapping[str, str]) -> None:
        """Where nobody has decided anything yet, append the log that ``copy`` has in the tables ``own``, by name in LOGS: a
        project that comes to be shared keeps what was decided in it."""
        with self.writing() as into:
            if any(into(f"select 1 from {log} limit 1") for log in LOGS):
                return
            for log, table in own.items():
                last = self._copy.rows(f"select coalesce(max(id), 0) from {table}")[0][0]
                _fetch(self._copy.rows, table, into, log, (0, last))

    @property
    def trouble(self) -> str:
        """One sentence while the server is away, or ""."""
        self._refresh()
        return self._trouble

    def close(self) -> None:
        self._server.close()

    def _refresh(self) -> None:
        """Bring the copy up to date. A server that let this wait before it failed is left alone as long again."""
        with self._guard:
            asked = time.monotonic()
            if asked < self._ask_again:
                return
            try:
                with self._server.reading(_HEADS) as (heads, execute):
                    self._catch_up(heads, execute)
            except StoreAway as error:
                self._ask_again = 2 * time.monotonic() - asked
                self._trouble = self._trouble or f"What you see is as of {now()[11:19]} UTC: {error}"
                self._show_own()
            else:
                self._trouble = ""

    def _catch_up(self, heads: tuple, execute: Execute) -> None:
        origin, *last = heads
        same, ahead = origin == self._origin, dict(zip(LOGS, last, strict=True))
        if not same or ahead != self._known or self._own_shown:
            known = self._known if same else dict.fromkeys(LOGS, 0)
            with self._copy.writing() as into:
                for log in LOGS:
                    if self._own_shown or not same:
                        into(f"delete from {log} where id > ?", [known[log]])
                    _fetch(execute, f"{SCHEMA}.{log}", into, log, (known[log], ahead[log]))
            self._origin, self._known, self._own_shown = origin, ahead, False
        self._own.clear()

    def _show_own(self) -> None:
        """Put what this process has committed since it last heard from the server into the copy, until it hears again."""
        if not self._own:
            return
        with self._copy.writing() as into:
            for log, columns in self._own:
                if columns["id"][0] > self._known[log]:
                    into.insert(log, columns)
        self._own.clear()
        self._own_shown = True


class _Remembering:
    """An Execute that remembers what it inserted."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self.inserted: list[tuple[str, Columns]] = []

    def __call__(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        return self._execute(sql, parameters, **tables)

    def insert(self, table: str, columns: Columns) -> None:
        self._execute.insert(table, columns)
        self.inserted.append((table, columns))


def shared_log(url: str, database: DuckDBTables) -> SharedLog:
    """The log at ``url``, read from a database in memory that stands in front of the file's. Raises as SharedLog does."""
    database.put_in_front()
    shared = SharedLog(url, database)
    try:
        shared.bring({log: f"{CATALOG}.main.{log}" for log in LOGS})
    except BaseException:
        shared.close()
        raise
    return shared


def _fetch(read: Callable[..., list[tuple]], table: str, into: Execute, log: str, span: tuple[int, int]) -> None:
    """Append the rows of ``table`` after one id and up to another to ``log``, a bounded number at a time."""
    columns, (known, last) = tuple(LOGS[log]), span
    sql = f"select {names(columns)} from {table} where id > ? and id <= ? order by id limit {AT_ONCE}"
    while known < last:
        rows = read(sql, [known, last])
        if not rows:
            return
        into.insert(log, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
        known = rows[-1][0]
