"""Shared queues: a fixed list of samples that several people decide, each item by so many of them, handed out by lease.

What a queue is never changes after it was made; closing it is an event. Who has done what follows from the log of decisions
alone (of a blind queue: from what was decided in it), so an undo opens an item again and no decision is ever refused: one
that comes after its lease has ended counts, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from data.decision_log import Bounds
from data.decisions import now
from data.errors import ImpossibleRequest
from data.leases import Clock
from data.plain_text import is_broken_text, one_line
from data.queue_work import Claim, Progress, QueueWork, Rules
from data.workspace_tables import Tables, names

LEASE_SECONDS = 600.0
MOST_OVERLAP, MOST_LETTERS = 100, 120
SHORTEST_LEASE, LONGEST_LEASE = 1.0, 86_400.0


@dataclass(frozen=True, eq=False)
class QueuePlan:
    """What a queue shall be: ``samples`` int64 (n,), each once, in the order in which they are handed out.

    ``overlap``: how many different people decide each; ``blind``: nobody sees what anybody or anything else says about an
    item; ``quota``: the most items that one person does, skipped ones included, None for any number. ``source`` says in
    words what the samples were chosen by, ``finding`` which analysis raised them. Raises ImpossibleRequest.
    """

    title: str
    samples: np.ndarray
    overlap: int = 1
    lease_seconds: float = LEASE_SECONDS
    blind: bool = False
    quota: int | None = None
    source: str = ""
    finding: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", np.asarray(self.samples, np.int64))
        object.__setattr__(self, "title", one_line(self.title).strip()[:MOST_LETTERS])
        if not self.title or is_broken_text(self.title):
            raise ImpossibleRequest("a queue needs a title; give it one.")
        if not len(self.samples):
            raise ImpossibleRequest("no sample fits, so there would be nothing to decide; choose others.")
        if len(np.unique(self.samples)) < len(self.samples):
            raise ImpossibleRequest("a sample is named twice; name each once.")
        _check_range("the number of people for each sample", self.overlap, 1, MOST_OVERLAP)
        _check_range("a lease in seconds", self.lease_seconds, SHORTEST_LEASE, LONGEST_LEASE)
        if self.quota is not None:
            _check_range("the most for each person", self.quota, 1, len(self.samples))


@dataclass(frozen=True, eq=False)
class SharedQueue:
    """A queue that was made: ``plan``, by whom and when, ISO 8601, and after which entry ``since`` of the decisions."""

    id: int
    set_id: str
    made_by: str
    at: str
    since: int
    plan: QueuePlan

    @property
    def under(self) -> str | None:
        """What decisions name as their finding so that a blind queue counts them: an answer given elsewhere, with the label
        in sight, is none of its own. None for an open queue, which counts every decision on its samples."""
        return f"blind queue {self.id}" if self.plan.blind else None


class Queues:
    """Makes, lists and hands out. Any thread, and any process that shares the log, may use it."""

    def __init__(self, tables: Tables, bounds: Callable[[str], Bounds], clock: Clock | None = None) -> None:
        """``bounds`` of a set that is listed; ``clock``: the store's where none is given."""
        self._tables = tables
        self._bounds = bounds
        self._clock = clock or Clock()
        self._guard = threading.Lock()
        self._known: dict[int, tuple[SharedQueue, QueueWork]] = {}

    def make(self, set_id: str, plan: QueuePlan, who: str) -> SharedQueue:
        """Keep a new queue, which is open. Raises ImpossibleRequest where it names samples that the set does not have."""
        bounds = self._bounds(set_id)
        if int(plan.samples.min()) < 0 or int(plan.samples.max()) >= bounds.n:
            wrong = plan.samples[(plan.samples < 0) | (plan.samples >= bounds.n)][0]
            raise ImpossibleRequest(
                f"sample {wrong} does not exist: this set has samples 0 to {bounds.n - 1}; leave it out."
            )
        with self._tables.writing() as execute:
            last = execute("select coalesce(max(id), 0) from queues")[0][0]
            since = execute("select coalesce(max(id), 0) from decisions")[0][0]
            made = SharedQueue(last + 1, bounds.set_id, who, now(), since, plan)
            execute.insert("queues", {name: [value] for name, value in _row(made).items()})
        return made

    def of_set(self, set_id: str) -> list[SharedQueue]:
        """The queues of a set, the oldest first."""
        rows = self._tables.rows("select id from queues where set_id = ? order by id", [set_id])
        return [self._find(number)[0] for (number,) in rows]

    def open_of(self, set_id: str) -> list[SharedQueue]:
        """Those of them that are open."""
        return [queue for queue in self.of_set(set_id) if self.is_open(queue.id)]

    def get(self, queue: int) -> SharedQueue:
        """Raises ImpossibleRequest where there is none of that number."""
        return self._find(queue)[0]

    def is_open(self, queue: int) -> bool:
        """Whether items are still handed out."""
        sql = "select what from queue_events where queue = ? order by id desc limit 1"
        found = self._tables.rows(sql, [self._find(queue)[0].id])
        return not found or found[0][0] == "reopen"

    def close(self, queue: int, who: str) -> None:
        """Hand out nothing more; what people hold they may still decide."""
        self._say(queue, "close", who)

    def reopen(self, queue: int, who: str) -> None:
        """Hand out again."""
        self._say(queue, "reopen", who)

    def claim(self, queue: int, who: str, many: int) -> Claim:
        """What ``who`` has to decide next, at most ``many``, which nobody else gets until the lease ends.

        What they hold already stays with them, and is held longer when half of the time has gone. Raises ImpossibleRequest.
        """
        return self._find(queue)[1].claim(who, many, self.is_open(queue))

    def release(self, queue: int, who: str) -> None:
        """Give back what ``who`` holds."""
        self._find(queue)[1].release(who)

    def left(self, queue: int, who: str) -> int:
        """How many items still wait for an answer that ``who`` could give."""
        return self._find(queue)[1].left(who)

    def offers(self, queue: int, who: str) -> bool:
        """Whether any of those would be handed to ``who`` just now, of which others may hold all."""
        return self._find(queue)[1].offers(who)

    def progress(self, queue: int) -> Progress:
        """How far the queue is, and everybody in it."""
        return self._find(queue)[1].progress()

    def seconds(self, queue: int, latest: int) -> dict[str, list[float]]:
        """What decisions on the set took lately; see QueueWork.seconds."""
        return self._find(queue)[1].seconds(latest)

    def said(self, queue: int, who: str) -> dict[str, tuple[int, float]]:
        """What ``who`` decided in the queue, by action: how many, and the seconds they took."""
        return self._find(queue)[1].said(who)

    def _say(self, queue: int, what: Literal["close", "reopen"], who: str) -> None:
        if self.is_open(queue) == (what == "reopen"):
            return
        with self._tables.writing() as execute:
            last = execute("select coalesce(max(id), 0) from queue_events")[0][0]
            entry = {"id": last + 1, "queue": queue, "what": what, "who": who, "at": now()}
            execute.insert("queue_events", {name: [value] for name, value in entry.items()})

    def _find(self, number: int) -> tuple[SharedQueue, QueueWork]:
        """A queue never changes, so each is read once."""
        with self._guard:
            if number not in self._known:
                rows = self._tables.rows(f"select {_COLUMNS} from queues where id = ?", [number])
                if not rows:
                    raise ImpossibleRequest(f"there is no queue {number} in this workspace; choose another.")
                queue = _queue(dict(zip(_NAMES, rows[0], strict=True)))
                rules = Rules(queue.plan.overlap, queue.plan.lease_seconds, queue.plan.quota, queue.under)
                place = (queue.id, queue.set_id, queue.since)
                self._known[number] = queue, QueueWork(self._tables, self._clock, place, queue.plan.samples, rules)
            return self._known[number]


_RECORD = tuple(field.name for field in fields(SharedQueue) if field.name != "plan")
_PLAN = tuple(field.name for field in fields(QueuePlan))
_NAMES = (*_RECORD, *_PLAN)
_COLUMNS = names(_NAMES)


def _row(queue: SharedQueue) -> dict[str, object]:
    plan = {name: getattr(queue.plan, name) for name in _PLAN} | {"samples": queue.plan.samples.tolist()}
    return {name: getattr(queue, name) for name in _RECORD} | plan


def _queue(row: dict) -> SharedQueue:
    return SharedQueue(**{name: row[name] for name in _RECORD}, plan=QueuePlan(**{name: row[name] for name in _PLAN}))


def _check_range(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ImpossibleRequest(f"{what} must lie between {low:g} and {high:,g}, not {value:g}; change it.")
