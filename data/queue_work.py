"""The work of one shared queue: brought up to date from the logs, handed out under leases, counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np

from data.decisions import CRITIC
from data.leases import Clock, Lease, LeaseLog
from data.queue_state import ANSWERED, SKIPPED, QueueState
from data.workspace_tables import WANTED, Tables, wanted

FEWEST_AT_ONCE = 4
"""One person holds at least so many, so that fast keys do not run dry."""
Why = Literal["", "closed", "quota", "held", "done"]
_UNDER = "finding is not distinct from coalesce(?, finding)"  # None takes them all


@dataclass(frozen=True)
class Rules:
    """How many people decide each item, for how long one holds it, and how many one does at most.

    Where ``under`` is given, only decisions whose finding it is count, wherever else people decided on the same samples.
    """

    overlap: int
    lease_seconds: float
    quota: int | None = None
    under: str | None = None


@dataclass(frozen=True, eq=False)
class Claim:
    """``ids`` int64 (n,), the next one first; ``left``: how many of the queue this person could still do, those included.

    ``why`` there are none, "" where there are some; "held": others hold all that is left, until ``free_at`` at the earliest,
    in seconds of the store's clock.
    """

    ids: np.ndarray
    left: int
    why: Why = ""
    free_at: float | None = None


@dataclass(frozen=True)
class Worker:
    """One person in a queue: items ``answered`` and only ``skipped``, and how many they are ``holding`` until ``until``."""

    who: str
    answered: int
    skipped: int
    holding: int = 0
    until: float | None = None


@dataclass(frozen=True)
class Progress:
    """``answers`` of the ``wanted`` ones are there; ``complete`` of ``size`` items have all theirs. ``beyond``: items with
    more than they needed, as happens when a decision comes after its lease has ended.
    """

    size: int
    complete: int
    answers: int
    wanted: int
    beyond: int
    workers: tuple[Worker, ...]

    def of(self, who: str) -> Worker:
        """One person, also one who has done nothing yet."""
        return next((worker for worker in self.workers if worker.who == who), Worker(who, 0, 0))


class QueueWork:
    """Any thread may use it. Its own lock is taken within a transaction, never the other way round."""

    def __init__(self, tables: Tables, clock: Clock, place: tuple[int, str, int], samples: np.ndarray, rules: Rules) -> None:
        """``place``: queue, set, and the decision after which it was made."""
        self._tables, self._clock, self._rules = tables, clock, rules
        self._queue, self._set_id, self._since = place
        self._samples = samples
        self._sorted = np.argsort(samples, kind="stable")
        self._leases = LeaseLog(tables, self._queue)
        self._lock = threading.Lock()
        self._state = QueueState(len(samples), rules.overlap)
        self._seen = (self._since, 0)

    def claim(self, who: str, many: int, is_open: bool) -> Claim:
        """As data.queues.Queues.claim."""
        with self._lock:
            self._refresh()
            left = self._left(who)
            own = self._lasting(who)
        if not left:
            return Claim(self._samples[:0], 0, self._reason(who, is_open))
        enough = min(many // 2, self._handful(left, many, 1))
        if len(own) and len(own) >= enough:  # asked for at every card, so nothing is written
            return Claim(self._samples[own[:left]], left)
        return self._handed_out(who, many, is_open)

    def release(self, who: str) -> None:
        """Give back what ``who`` holds."""
        with self._lock:
            lease = self._leases.latest().get(who)
        if lease is not None and len(lease.samples):
            with self._tables.writing() as execute:
                self._leases.append(execute, Lease(who, lease.samples[:0], lease.until))

    def left(self, who: str) -> int:
        """How many items ``who`` could still do."""
        with self._lock:
            self._refresh()
            return self._left(who)

    def offers(self, who: str) -> bool:
        """Whether there is anything that ``who`` would be handed just now; nothing is."""
        with self._lock:
            self._refresh()
            if not self._left(who):
                return False
            live = self._live(self._clock.estimate())
            own = self._own(who, live.pop(who, None))
            return len(own) > 0 or len(self._state.next(who, 1, own, self._held(live))) > 0

    def progress(self) -> Progress:
        """How far the queue is, and everybody in it."""
        with self._lock:
            self._refresh()
            answers, overlap, live = self._state.answers, self._rules.overlap, self._live(self._clock.estimate())
            people = sorted({*self._state.people, *live})
            return Progress(
                len(self._samples),
                int(np.count_nonzero(answers >= overlap)),
                int(np.minimum(answers, overlap).sum()),
                len(self._samples) * overlap,
                int(np.count_nonzero(answers > overlap)),
                tuple(self._worker(who, live.get(who)) for who in people),
            )

    def seconds(self, latest: int) -> dict[str, list[float]]:
        """What the latest timed decisions took that people made on the set since the queue was made, by person, the newest
        first: of the ``latest`` of all together."""
        rows = self._tables.rows(
            "select annotator, seconds from decisions where set_id = ? and id > ? and seconds is not null "
            f"and action not in ('undo', 'restore') order by id desc limit {int(latest)}",
            [self._set_id, self._since],
        )
        found: dict[str, list[float]] = {}
        for who, seconds in rows:
            found.setdefault(who, []).append(seconds)
        return found

    def said(self, who: str) -> dict[str, tuple[int, float]]:
        """What ``who`` said last of each sample of this queue and has not taken back: by action, how many, and the seconds
        that they spent on those."""
        rows = self._tables.rows(
            "select action, count(*), coalesce(sum(seconds), 0) from ("
            "select arg_max(action, id) as action, sum(seconds) as seconds from standing "
            f"where set_id = ? and id > ? and annotator = ? and {_UNDER} and {WANTED} group by sample_id"
            ") as latest group by action order by count(*) desc, action",
            [self._set_id, self._since, who, self._rules.under],
            wanted=wanted(self._samples),
        )
        return {action: (int(many), float(seconds)) for action, many, seconds in rows}

    def _handed_out(self, who: str, many: int, is_open: bool) -> Claim:
        """Within the transaction nobody else is handed anything, and no decision is written."""
        with self._tables.writing() as execute:
            at = self._clock.read(execute)
            with self._lock:
                self._refresh()
                live = self._live(at)
                before = live.pop(who, None)
                own, left = self._own(who, before), self._left(who)
                many = self._handful(left, many, len(live) + 1) if is_open else 0
                new = self._state.next(who, many - len(own), own, self._held(live))
                ids = self._samples[np.sort(np.concatenate([own, new]))[:left]]
            if len(new) or (len(ids) and before.until - at < self._rules.lease_seconds / 2):
                self._leases.append(execute, Lease(who, ids, at + self._rules.lease_seconds))
        if len(ids) or not left or not is_open:
            return Claim(ids, left, "" if len(ids) else self._reason(who, is_open))
        return Claim(ids, left, "held", min((lease.until for lease in live.values()), default=None))

    def _refresh(self) -> None:
        """Mark what the log says anew of every sample that it has mentioned since the last time.

        Read everything where the log up to the last entry seen is another than it was: restored from a copy, or known before
        only with what this process had added to it itself, while a server was away (SharedLog).
        """
        sql = "select coalesce(max(id), ?), count(*), count(*) filter (where id <= ?) from decisions where id > ?"
        last, many, before = self._tables.rows(sql, [self._since, self._seen[0], self._since])[0]
        if before != self._seen[1]:
            self._state, self._seen = QueueState(len(self._samples), self._rules.overlap), (self._since, 0)
        if (last, many) == self._seen:
            return
        sql = "select distinct sample_id from decisions where set_id = ? and id > ?"
        changed = np.array([row[0] for row in self._tables.rows(sql, [self._set_id, self._seen[0]])], np.int64)
        places = self._places(changed)
        if len(places):
            self._state.mark(places, self._standing(self._samples[places]))
        self._seen = (last, many)

    def _standing(self, samples: np.ndarray) -> list[tuple[int, str, int]]:
        """Of every person, place by place, what stands of what they decided about ``samples`` since the queue was made."""
        found = self._tables.columns(
            "select sample_id, annotator, case "
            "when coalesce(bool_or(action in ('keep', 'relabel', 'soften')), false) "
            "or arg_max(action, id) filter (where action <> 'skip') = 'prune' then ? else ? end as mark "
            f"from standing where set_id = ? and id > ? and annotator <> ? and {_UNDER} and {WANTED} "
            "group by sample_id, annotator",
            [ANSWERED, SKIPPED, self._set_id, self._since, CRITIC, self._rules.under],
            wanted=wanted(samples),
        )
        places = self._places(np.asarray(found["sample_id"], np.int64))
        return list(zip(places.tolist(), found["annotator"].tolist(), found["mark"].tolist(), strict=True))

    def _places(self, samples: np.ndarray) -> np.ndarray:
        """Where ``samples`` stand in the queue, int64, in their order; those that are not in it are left out."""
        at = np.searchsorted(self._samples, samples, sorter=self._sorted)
        places = self._sorted[np.minimum(at, len(self._samples) - 1)]
        return places[self._samples[places] == samples]

    def _left(self, who: str) -> int:
        left = self._state.left(who)
        return left if self._rules.quota is None else min(left, max(self._rules.quota - sum(self._state.done(who)), 0))

    def _live(self, at: float) -> dict[str, Lease]:
        return {who: lease for who, lease in self._leases.latest().items() if lease.until > at and len(lease.samples)}

    def _held(self, leases: dict[str, Lease]) -> dict[str, np.ndarray]:
        """The places that each of these leases is for, as QueueState.next takes them."""
        return {who: self._places(lease.samples) for who, lease in leases.items()}

    def _own(self, who: str, lease: Lease | None) -> np.ndarray:
        """The places that a lease still keeps for ``who``."""
        if lease is None:
            return np.empty(0, np.int64)
        return self._state.still_left(who, self._places(lease.samples))

    def _lasting(self, who: str) -> np.ndarray:
        """The same where more than half of the lease's time is left, by the store's clock; else none."""
        lease = self._leases.latest().get(who)
        lasts = (
            lease is not None and self._clock.known and lease.until - self._clock.estimate() > self._rules.lease_seconds / 2
        )
        return self._own(who, lease if lasts else None)

    def _handful(self, left: int, many: int, people: int) -> int:
        """How many one person holds at a time: as many as asked for, but ever fewer towards the end, so that the last items
        are not all with one of those who work."""
        return min(many, left, max(FEWEST_AT_ONCE, left // (2 * people)))

    def _reason(self, who: str, is_open: bool) -> Why:
        if not is_open:
            return "closed"
        return "quota" if self._state.left(who) else "done"

    def _worker(self, who: str, lease: Lease | None) -> Worker:
        done = self._state.done(who)
        if lease is None:
            return Worker(who, *done)
        return Worker(who, *done, len(self._state.undone(who, self._places(lease.samples))), lease.until)
