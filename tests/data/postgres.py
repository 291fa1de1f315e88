"""A real PostgreSQL for tests: Debian's binaries, a throw-away cluster, a socket that only this machine has."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

INSTALLED = Path("/usr/lib/postgresql")
# Not what makes a commit survive a power cut: the tests kill processes, and what these wrote the machine still has.
_OPTIONS = "-c fsync=off -c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=60"


@dataclass
class Postgres:
    """A running server. ``url(database)`` leads to one of its databases."""

    folder: Path
    binaries: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@/{database}?host={self.folder}"

    def new_database(self, options: str = "") -> str:
        """The URL of a new, empty database."""
        name = f"case{next(self._numbers)}"
        self.execute(f"create database {name} {options}")
        return self.url(name)

    def execute(self, sql: str, database: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        self._control("start", "-o", _OPTIONS.format(folder=self.folder), "-l", str(self.folder / "log"))

    def stop(self, how: str = "fast") -> None:
        """``immediate`` is a crash: the server recovers when it starts again."""
        self._control("stop", "-m", how)

    def initialise(self) -> None:
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", self._data)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **_other_user())
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"


@contextmanager
def serving() -> Iterator[Postgres]:
    """A server that lives as long as the block; skips the calling test where PostgreSQL is not installed."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL's server is not installed (Debian's package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the name of a socket has at most 107 letters
    if user := _other_user():
        os.chown(folder, user["user"], user["group"])
    server = Postgres(folder, found[-1].parent)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder)


def _other_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; Debian's package makes a user for it."""
    if os.geteuid():
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
