"""Who has done which item of a shared queue, and what to hand out next. Made from the log, and nowhere else kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

OPEN, SKIPPED, ANSWERED = 0, 1, 2
"""What a person has done about an item: nothing that stands, nothing but put it aside, or answered it."""
BLOCK = 4096


class QueueState:
    """Items are numbered by their place in the queue. Not for several threads at once.

    Every person has a place before which nothing is left for them, so that handing out never walks over a million items
    that are done.
    """

    def __init__(self, size: int, overlap: int) -> None:
        self.answers = np.zeros(size, np.int32)
        self._overlap = overlap
        self._marks: dict[str, np.ndarray] = {}
        self._first: dict[str, int] = {}

    @property
    def people(self) -> list[str]:
        """Everybody who has done anything here, in alphabetical order."""
        return sorted(who for who, marks in self._marks.items() if marks.any())

    def mark(self, places: np.ndarray, rows: Sequence[tuple[int, str, int]]) -> None:
        """Replace what is known of ``places`` int64 (m,) by ``rows`` of a place, a person, and SKIPPED or ANSWERED."""
        if not len(places):
            return
        for marks in self._marks.values():
            marks[places] = OPEN
        for who, (own, values) in _by_person(rows).items():
            self._of(who)[own] = values
        self.answers[places] = sum(
            ((marks[places] == ANSWERED).astype(np.int32) for marks in self._marks.values()), np.zeros(len(places), np.int32)
        )
        earliest = int(places.min())
        self._first = {who: min(first, earliest) for who, first in self._first.items()}

    def done(self, who: str) -> tuple[int, int]:
        """How many items a person has answered, and only skipped."""
        marks = self._marks.get(who)
        if marks is None:
            return 0, 0
        return int(np.count_nonzero(marks == ANSWERED)), int(np.count_nonzero(marks == SKIPPED))

    def left(self, who: str) -> int:
        """How many items still need an answer that a person could give, whoever holds them now."""
        first = self._first.get(who, 0)
        return int(np.count_nonzero(self._is_left(who, slice(first, None))))

    def still_left(self, who: str, places: np.ndarray) -> np.ndarray:
        """Those of ``places`` int64 (m,) that still need an answer of that person, in their order."""
        return places[self._is_left(who, places)]

    def undone(self, who: str, places: np.ndarray) -> np.ndarray:
        """Those of ``places`` int64 (m,) about which the person has done nothing."""
        marks = self._marks.get(who)
        return places if marks is None else places[marks[places] == OPEN]

    def next(self, who: str, many: int, own: np.ndarray, held: Mapping[str, np.ndarray]) -> np.ndarray:
        """The first ``many`` places, int64, that a person may be given beside their ``own``: not done by them, and answered
        or ``held`` by fewer people than the overlap. ``held`` gives the places that each of the others holds.
        """
        taken = np.concatenate([self.undone(other, places) for other, places in held.items()] or [own[:0]])
        found: list[np.ndarray] = []
        places = self._first_left(who)
        while many > 0 and places < len(self.answers):
            block = np.arange(places, min(places + BLOCK, len(self.answers)))
            free = self.still_left(who, block)
            free = free[~np.isin(free, own)]
            full = self.answers[free] + _count(taken, free) >= self._overlap
            found.append(free[~full][:many])
            many -= len(found[-1])
            places += BLOCK
        return np.concatenate(found) if found else own[:0]

    def _first_left(self, who: str) -> int:
        """The first place that is left for a person; the search goes on where the last one ended."""
        first = self._first.get(who, 0)
        while first < len(self.answers):
            left = self._is_left(who, slice(first, first + BLOCK))
            if left.any():
                first += int(np.argmax(left))
                break
            first = min(first + BLOCK, len(self.answers))
        self._first[who] = first
        return first

    def _is_left(self, who: str, places: slice | np.ndarray) -> np.ndarray:
        unanswered = self.answers[places] < self._overlap
        marks = self._marks.get(who)
        return unanswered if marks is None else unanswered & (marks[places] == OPEN)

    def _of(self, who: str) -> np.ndarray:
        if who not in self._marks:
            self._marks[who] = np.zeros(len(self.answers), np.int8)
        return self._marks[who]


def _by_person(rows: Sequence[tuple[int, str, int]]) -> dict[str, tuple[list[int], list[int]]]:
    found: dict[str, tuple[list[int], list[int]]] = {}
    for place, who, mark in rows:
        places, marks = found.setdefault(who, ([], []))
        places.append(place)
        marks.append(mark)
    return found


def _count(taken: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How often each of ``places`` ascending is among ``taken``."""
    if not len(taken) or not len(places):
        return np.zeros(len(places), np.int64)
    at = np.searchsorted(places, taken)
    at = at[(at < len(places)) & (places[np.minimum(at, len(places) - 1)] == taken)]
    return np.bincount(at, minlength=len(places))
