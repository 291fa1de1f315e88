"""The server's side of a queue of events that a browser repeats until it is told that they are committed.

The browser keeps every event, numbered, until the server acknowledges its number; each message carries all of them, or
the oldest where they are many. So none is lost by messages that overtake or replace each other, nor by a reload, and the
server only has to leave out what it has already committed. Numbers belong to a token, drawn anew by each page load, so
that reloaded and duplicated tabs never use the same number for two events.

Every message begins with the oldest event that the browser was not told about and leaves none out up to its last. So
whatever has a smaller number than an event in it is settled, here or in another process that the browser was sent to
meanwhile, and nothing ever has to wait for what is missing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from app.components.soft_edit import SoftEdit
from data.decisions import ACTIONS, LARGEST_INDEX, REASONS, Action, Decision, Reason
from data.pair_answers import NOTHING, SAID, Said
from data.plain_text import is_broken_text

MOST_TOKENS = 10_000
MOST_ENTRIES = 1_000
"""So many of a message are read; an honest browser sends fewer, and offers the others again."""
MOST_TOKEN_LENGTH = 64
TURNS = 256
"""So many messages can be committed at the same time."""
MOST_AUTHOR_LENGTH = 200
MOST_SECONDS = 86_400.0
"""Nobody takes longer than a day for a decision: that tab was left open, and says nothing of anybody's pace."""
ONE_CLASS = (1.0,)
"""Stands for any soft label while it is not known how many classes the set has."""


@dataclass(frozen=True)
class Numbered:
    """What every event has: its number among those of its token, the time it took, the browser's clock, ISO 8601, and the
    ``author``, the name under which the browser was asked: another may be typed before the event arrives."""

    token: str
    seq: int
    seconds: float | None = field(default=None, kw_only=True)
    at: str = field(default="", kw_only=True)
    author: str = field(default="", kw_only=True)

    @classmethod
    def read(cls, entry: Mapping[str, Any], common: Mapping[str, Any]) -> Self:
        """The event in what a browser sent, whose ``common`` fields are read. Raises ValueError where it is none."""
        raise NotImplementedError


@dataclass(frozen=True)
class Event(Numbered):
    """One thing that a person decided; ``soft`` is what a soften, and only a soften, makes of the label. ``finding`` is what
    the browser was told that it is asked under, "" for nothing, None where it was told neither."""

    action: Action
    sample_id: int
    label: int | None = None
    reason: Reason | None = None
    soft: SoftEdit | None = None
    finding: str | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any], common: Mapping[str, Any]) -> Self:
        action, reason = entry.get("action"), entry.get("reason")
        if action not in ACTIONS or (reason is not None and reason not in REASONS):
            raise ValueError("there is no such action or reason")
        soft = None if entry.get("soft") is None else SoftEdit.read(entry["soft"])
        parts = {"sample_id": entry.get("sample_id"), "label": entry.get("label"), "reason": reason, "soft": soft}
        finding = None if entry.get("finding") is None else _name(entry["finding"])
        event = cls(action=action, finding=finding, **parts, **common)
        event.decision(soft_label=None if soft is None else ONE_CLASS)
        return event

    def decision(
        self, annotator: str = "", finding: str | None = None, soft_label: tuple[float, ...] | None = None
    ) -> Decision:
        """The same as an entry for the log; ``soft_label`` (C,) is what the edit of a soften comes to. Raises ValueError
        where the parts do not fit together."""
        return Decision(
            self.sample_id,
            self.action,
            label=self.label,
            soft_label=soft_label,
            reason=self.reason,
            annotator=annotator,
            seconds=self.seconds,
            at=self.at,
            finding=finding,
        )


@dataclass(frozen=True)
class PairEvent(Numbered):
    """What a person said of two labels. ``left`` and ``right`` are classes or data.pair_answers.NOTHING; ``said`` "none" is
    a skip."""

    sample_id: int
    left: int
    right: int
    said: Said

    @classmethod
    def read(cls, entry: Mapping[str, Any], common: Mapping[str, Any]) -> Self:
        sample_id, left, right = (_index(entry.get(name)) for name in ("sample_id", "left", "right"))
        said = entry.get("said")
        if said not in SAID or sample_id == NOTHING or left == right:
            raise ValueError("that answers no question")
        return cls(sample_id=sample_id, left=left, right=right, said=said, **common)


Sent = TypeVar("Sent", bound=Numbered)


def parse(raw: Any, kind: type[Sent] = Event) -> list[Sent]:
    """The events of a kind in what a browser sent. Whatever is not one is left out: no honest browser sends it."""
    entries = raw[:MOST_ENTRIES] if isinstance(raw, list) else []
    return [event for event in (_parse_one(entry, kind) for entry in entries) if event is not None]


def fresh(events: Iterable[Sent], acknowledged: Mapping[str, int]) -> list[Sent]:
    """Those that are not committed yet, each once, every token's in the order of their numbers.

    ``acknowledged`` gives the highest committed number of each token.
    """
    by_token: dict[str, dict[int, Sent]] = {}
    for event in events:
        if event.seq > acknowledged.get(event.token, -1):
            by_token.setdefault(event.token, {}).setdefault(event.seq, event)
    return [numbered[seq] for numbered in by_token.values() for seq in sorted(numbered)]


class Ledger(Generic[Sent]):
    """What has been committed, by token; shared by all sessions of the process, bounded in size.

    It forgets with the process, and knows nothing of other processes. An event committed just before the process died, or
    before the browser was sent to another, is then offered again; a committer knows it by its sample and its ``at``.
    """

    def __init__(self) -> None:
        self._acknowledged: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(TURNS)]

    def settle(self, events: list[Sent], commit: Callable[[list[Sent]], None]) -> list[Sent]:
        """Commit the fresh ones among ``events`` and return them.

        ``commit`` gets them in order, in one call, and is not called for none. Where it raises, nothing is acknowledged
        and the browser offers the same events again. Messages with a token in common take turns, so no event is committed
        twice; others do not wait for each other, nor does whoever asks what is acknowledged.
        """
        with ExitStack() as turns:
            for place in sorted({hash(event.token) % TURNS for event in events}):
                turns.enter_context(self._turns[place])
            with self._lock:
                new = fresh(events, self._acknowledged)
            if new:
                commit(new)
                self._note(new)
            return new

    def acknowledged(self, events: Iterable[Sent]) -> dict[str, int]:
        """The highest committed number of each token that ``events`` mention, for the browser."""
        with self._lock:
            return {e.token: self._acknowledged[e.token] for e in events if e.token in self._acknowledged}

    def _note(self, committed: list[Sent]) -> None:
        with self._lock:
            for event in committed:
                self._acknowledged[event.token] = event.seq
                self._acknowledged.move_to_end(event.token)
            while len(self._acknowledged) > MOST_TOKENS:
                self._acknowledged.popitem(last=False)


def _parse_one(entry: Any, kind: type[Sent]) -> Sent | None:
    if not isinstance(entry, dict):
        return None
    token, at, seconds = entry.get("token"), entry.get("at"), entry.get("seconds")
    if not isinstance(token, str) or not 0 < len(token) <= MOST_TOKEN_LENGTH or not _is_count(entry.get("seq")):
        return None
    taken = float(seconds) if _is_number(seconds) else None
    known = at if isinstance(at, str) and _is_time(at) else ""
    try:
        author = _name(entry.get("author", ""))
        return kind.read(entry, {"token": token, "seq": entry["seq"], "seconds": taken, "at": known, "author": author})
    except ValueError:
        return None


def _name(value: Any) -> str:
    """Raises ValueError where it is no name."""
    if not isinstance(value, str) or len(value) > MOST_AUTHOR_LENGTH or is_broken_text(value):
        raise ValueError("that is no name")
    return value


def _index(value: Any) -> int:
    """A sample or a class, or NOTHING. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not NOTHING <= value <= LARGEST_INDEX:
        raise ValueError("samples and classes are whole numbers")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_SECONDS


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
