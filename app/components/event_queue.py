"""The server's side of a queue of events that a browser repeats until it is told that they are committed.

The browser keeps every event, numbered, until the server acknowledges its number; each message carries all of them. So
none is lost by messages that overtake or replace each other, nor by a reload, and the server only has to leave out what it
has already committed. Numbers belong to a token, drawn anew by each page load, so that reloaded and duplicated tabs never
use the same number for two events.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from data.decisions import ACTIONS, REASONS, Action, Decision, Reason

MOST_TOKENS = 10_000
MOST_TOKEN_LENGTH = 64


@dataclass(frozen=True)
class Event:
    """One thing that a person decided. ``at`` is the browser's clock, ISO 8601; ``seconds`` the time it took."""

    token: str
    seq: int
    action: Action
    sample_id: int
    label: int | None = None
    reason: Reason | None = None
    seconds: float | None = None
    at: str = ""

    def decision(self, annotator: str = "", finding: str | None = None) -> Decision:
        """The same as an entry for the log. Raises ValueError where the parts do not fit together."""
        return Decision(
            self.sample_id,
            self.action,
            label=self.label,
            reason=self.reason,
            annotator=annotator,
            seconds=self.seconds,
            at=self.at,
            finding=finding,
        )


def parse(raw: Any) -> list[Event]:
    """The events in what a browser sent. Whatever is not one is left out: no honest browser sends it."""
    entries = raw if isinstance(raw, list) else []
    return [event for event in map(_parse_one, entries) if event is not None]


def fresh(events: Iterable[Event], acknowledged: Mapping[str, int]) -> list[Event]:
    """Those that are not committed yet, each once, every token's in the order of their numbers.

    ``acknowledged`` gives the highest committed number of each token. An event behind a gap waits: its predecessors are
    still on their way, and acknowledging it would lose them. A token never seen before starts at its lowest number,
    because a browser always sends everything that it has not been told about.
    """
    by_token: dict[str, dict[int, Event]] = {}
    for event in events:
        by_token.setdefault(event.token, {}).setdefault(event.seq, event)
    found: list[Event] = []
    for token, numbered in by_token.items():
        following = acknowledged[token] + 1 if token in acknowledged else min(numbered)
        while following in numbered:
            found.append(numbered[following])
            following += 1
    return found


class Ledger:
    """What has been committed, by token; shared by all sessions of the process, bounded in size.

    It forgets with the process. An event committed just before the process died is then sent and committed again; a
    committer that must tell such an event apart knows it by its sample and its ``at``.
    """

    def __init__(self) -> None:
        self._acknowledged: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def settle(self, events: list[Event], commit: Callable[[list[Event]], None]) -> list[Event]:
        """Commit the fresh ones among ``events`` and return them.

        ``commit`` gets them in order, in one call, and is not called for none. Where it raises, nothing is acknowledged
        and the browser offers the same events again. The lock is held meanwhile, so no event is committed twice.
        """
        with self._lock:
            new = fresh(events, self._acknowledged)
            if new:
                commit(new)
            for event in new:
                self._acknowledged[event.token] = event.seq
                self._acknowledged.move_to_end(event.token)
            while len(self._acknowledged) > MOST_TOKENS:
                self._acknowledged.popitem(last=False)
            return new

    def acknowledged(self, events: Iterable[Event]) -> dict[str, int]:
        """The highest committed number of each token that ``events`` mention, for the browser."""
        with self._lock:
            return {e.token: self._acknowledged[e.token] for e in events if e.token in self._acknowledged}


def _parse_one(entry: Any) -> Event | None:
    if not isinstance(entry, dict):
        return None
    token, at, seconds = entry.get("token"), entry.get("at"), entry.get("seconds")
    reason = entry.get("reason")
    if not isinstance(token, str) or not 0 < len(token) <= MOST_TOKEN_LENGTH or entry.get("action") not in ACTIONS:
        return None
    if not _is_count(entry.get("seq")) or (reason is not None and reason not in REASONS):
        return None
    event = Event(
        token=token,
        seq=entry["seq"],
        action=entry["action"],
        sample_id=entry.get("sample_id"),  # type: ignore[arg-type]
        label=entry.get("label"),
        reason=reason,
        seconds=float(seconds) if _is_number(seconds) else None,
        at=at if isinstance(at, str) else "",
    )
    return event if _fits_together(event) else None


def _fits_together(event: Event) -> bool:
    try:
        event.decision()
    except ValueError:
        return False
    return True


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
