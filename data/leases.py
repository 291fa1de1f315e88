"""Who holds which items of a shared queue, and until when: appended to a log, of which a person's latest entry counts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from data.workspace_tables import Execute, Tables


@dataclass(frozen=True, eq=False)
class Lease:
    """``samples`` int64 (n,), none where they were given back; ``until`` in seconds of the store's clock."""

    who: str
    samples: np.ndarray
    until: float


class LeaseLog:
    """The leases of one queue. Not for several threads at once."""

    def __init__(self, tables: Tables, queue: int) -> None:
        self._tables = tables
        self._queue = queue
        self._last = self._read = 0
        self._latest: dict[str, Lease] = {}

    def latest(self) -> dict[str, Lease]:
        """Everybody's latest lease, which may have ended. Only what is new in the log is read; all of it where entries came
        to light that are older than the last one known (see QueueWork)."""
        sql = "select coalesce(max(id), 0), count(*) filter (where id <= ?) from leases where queue = ?"
        last, before = self._tables.rows(sql, [self._last, self._queue])[0]
        if before != self._read:
            self._last, self._read, self._latest = 0, 0, {}
        if last != self._last:
            self._read_on()
        return self._latest

    def append(self, execute: Execute, lease: Lease) -> None:
        """From when the transaction ends, this is what the person holds."""
        last = execute("select coalesce(max(id), 0) from leases")[0][0]
        row = {"id": last + 1, "queue": self._queue, "who": lease.who, "samples": lease.samples.tolist()}
        execute.insert("leases", {name: [value] for name, value in {**row, "until": float(lease.until)}.items()})

    def _read_on(self) -> None:
        sql = "select id, who, samples, until from leases where queue = ? and id > ? order by id"
        for number, who, samples, until in self._tables.rows(sql, [self._queue, self._last]):
            self._latest[who] = Lease(who, np.asarray(samples, np.int64), until)
            self._last, self._read = number, self._read + 1


class Clock:
    """The clock of whoever keeps the log, by which leases end; seconds since 1970."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # of this process's own clock

    @property
    def known(self) -> bool:
        """Whether it was read before."""
        return self._ahead is not None

    def read(self, execute: Execute) -> float:
        """The time at which the transaction began, so never later than now."""
        own = time.time()
        at = float(execute("select extract(epoch from current_timestamp)")[0][0])
        self._ahead = at - own
        return at

    def estimate(self) -> float:
        """The time now without asking, behind by as long as the transaction waited when the clock was read last."""
        return time.time() + (self._ahead or 0.0)
