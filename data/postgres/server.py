"""A PostgreSQL server as the place of the log: connections that mend themselves, and transactions in which ids ascend."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from data.errors import ImpossibleRequest, StillroomError, UnreadableInput
from data.plain_text import one_line
from data.postgres.schema import SCHEMA, prepare
from data.workspace_tables import Columns, Execute, names, rows_of

URLS = ("postgresql://", "postgres://")
MOST_IDLE = 4
DOUBT_SECONDS = 10.0
"""How long to wait for word of a commit whose answer was lost."""

# A dead peer is noticed within seconds, on either side, so that nobody waits for its lock.
_PARAMETERS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "stillroom",
}
# Everything that a transaction relies on is said in it, so that no connection has a state that a pooler could lose.
_BEGIN_WRITING = f"""
select set_config('search_path', '{SCHEMA}', true),
    set_config('lock_timeout', '30s', true),
    set_config('idle_in_transaction_session_timeout', '60s', true),
    set_config(
        'synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true
    ),
    pg_advisory_xact_lock(hashtext('{SCHEMA}')),
    pg_current_xact_id()::text
"""
_REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.UndefinedTable)


class StoreAway(StillroomError):
    """The server does not answer, or not in time. What was to be kept was not, unless the sentence says otherwise."""


class Server:
    """Connections to one database. Any thread may use it; each use has a connection to itself.

    Writers take one advisory lock, held from before a transaction asks for the last id until after others can see its rows
    (PostgreSQL makes a commit visible before it lets locks go). So ids ascend in the order of the commits, across
    processes, and whoever sees an id sees every smaller one there will ever be: "all after the last I know" misses none.
    The transactions are READ COMMITTED, since a snapshot taken before the lock was had would not hold the last id.
    """

    def __init__(self, url: str) -> None:
        """Connect and make or check the schema. Raises StoreAway, ImpossibleRequest, UnreadableInput."""
        given = _parsed(url)
        self._parameters = {**_PARAMETERS, **given}
        self.place = _place(given)
        self._idle: list[psycopg.Connection[TupleRow]] = []
        self._guard = threading.Lock()
        self._closed = False
        with self._transaction(_BEGIN_WRITING) as (connection, _):
            prepare(connection, self.place)

    @contextmanager
    def writing(self) -> Iterator[Execute]:
        """One transaction, one writer at a time in all processes; on the server's disk when the block ends, as if never
        begun when it raises. Raises StoreAway."""
        with self._transaction(_BEGIN_WRITING) as (connection, _):
            yield _Transaction(connection)

    @contextmanager
    def reading(self, first: str) -> Iterator[tuple[tuple, Execute]]:
        """The one row of a ``first`` query, and what more is to be read, each statement by itself. Raises StoreAway."""
        with self._transaction(first, alone=True) as (connection, row):
            yield row, _Transaction(connection)

    def close(self) -> None:
        """Let all connections go; those in use when they are given back."""
        with self._guard:
            self._closed = True
        self._drop_idle()

    @contextmanager
    def _transaction(self, first: str, alone: bool = False) -> Iterator[tuple[psycopg.Connection[TupleRow], tuple]]:
        """``first`` gives one row; where statements do not stand ``alone``, its last column is the transaction's number."""
        with self._in_words():
            connection, row = self._begun(first, alone)
            try:
                yield connection, row
            except BaseException:
                _abandon(connection)
                raise
            else:
                if not alone:
                    self._commit(connection, row[-1])
            finally:
                self._give(connection)

    def _begun(self, first: str, alone: bool) -> tuple[psycopg.Connection[TupleRow], tuple]:
        """A connection and the answer to the ``first`` statement. A connection that a restart of the server cut is
        replaced: nothing was done with it yet."""
        while True:
            connection, kept = self._take()
            try:
                connection.autocommit = alone
                return connection, connection.execute(first).fetchone()
            except psycopg.OperationalError as error:
                connection.close()
                if not kept or isinstance(error, psycopg.errors.LockNotAvailable):
                    raise
                self._drop_idle()
            except BaseException:
                connection.close()
                raise

    def _commit(self, connection: psycopg.Connection[TupleRow], number: str) -> None:
        try:
            connection.commit()
        except psycopg.OperationalError:
            connection.close()
            if not self._was_committed(number):
                raise

    def _was_committed(self, number: str) -> bool:
        """Ask what became of a commit whose answer was lost, so that it is neither lost nor done twice."""
        give_up = time.monotonic() + DOUBT_SECONDS
        status = "in progress"
        while time.monotonic() < give_up:
            try:
                with self._connect() as connection:
                    status = connection.execute("select pg_xact_status(%s::xid8)", [number]).fetchone()[0]
            except psycopg.OperationalError:
                status = "in progress"
            if status != "in progress":
                return status == "committed"
            time.sleep(0.2)
        raise StoreAway(
            f"the decision store {self.place} went away in the middle of a change; look whether it was kept once it is back."
        )

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """What people can do something about, as one sentence; libpq puts no password into its own."""
        try:
            yield
        except psycopg.OperationalError as error:
            raise StoreAway(
                f"the decision store {self.place} does not answer ({_first_line(error)}); nothing was changed: try again "
                "when it is back."
            ) from None
        except _REFUSED as error:
            raise UnreadableInput(
                f"the decision store {self.place} refuses this user ({_first_line(error)}); ask who runs it."
            ) from None
        except psycopg.DataError as error:
            raise ImpossibleRequest(
                f"the decision store {self.place} cannot keep that text ({_first_line(error)}); write it differently."
            ) from None

    def _take(self) -> tuple[psycopg.Connection[TupleRow], bool]:
        """A connection, and whether it was used before."""
        with self._guard:
            if self._idle:
                return self._idle.pop(), True
        return self._connect(), False

    def _connect(self) -> psycopg.Connection[TupleRow]:
        connection = psycopg.connect(**self._parameters, prepare_threshold=None)
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def _give(self, connection: psycopg.Connection[TupleRow]) -> None:
        with self._guard:
            keep = not self._closed and not connection.closed and len(self._idle) < MOST_IDLE
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _drop_idle(self) -> None:
        with self._guard:
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()


class _Transaction:
    """What may be done within a transaction, as data.workspace_tables.Execute."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def __call__(self, sql: str, parameters: Sequence[Any] = (), **tables: Columns) -> list[tuple]:
        if tables:
            raise TypeError("PostgreSQL reads no tables that are not its own")
        cursor = self._connection.execute(sql.replace("%", "%%").replace("?", "%s"), list(parameters))
        return cursor.fetchall() if cursor.description else []

    def insert(self, table: str, columns: Columns) -> None:
        with self._connection.cursor() as cursor, cursor.copy(f"copy {table} ({names(columns)}) from stdin") as copy:
            for row in rows_of(columns):
                copy.write_row(row)


def _parsed(url: str) -> dict[str, Any]:
    """The URL's parts. No sentence repeats any of it: it may hold a password."""
    if not url.startswith(URLS):
        raise ImpossibleRequest("the decision store is named as postgresql://USER@HOST/DATABASE; this is no such URL.")
    try:
        return conninfo_to_dict(url)
    except psycopg.Error:
        raise ImpossibleRequest(
            "the URL of the decision store cannot be understood; write postgresql://USER@HOST/DATABASE, and odd letters in "
            "a password as %XX."
        ) from None


def _place(given: dict[str, Any]) -> str:
    """Host, port and database, and nothing else that the URL says."""
    host = str(given.get("host") or given.get("hostaddr") or "this machine")
    port = f":{given['port']}" if given.get("port") else ""
    return one_line(f"{host}{port}/{given.get('dbname') or given.get('user') or ''}")


def _first_line(error: BaseException) -> str:
    return one_line((str(error).splitlines() or [type(error).__name__])[0].strip().rstrip("."))


def _abandon(connection: psycopg.Connection[TupleRow]) -> None:
    """Roll back, or let go of a connection that cannot any more."""
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()
