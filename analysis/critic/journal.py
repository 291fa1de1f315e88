"""Answers kept as they come, so that a run that was cancelled or killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout

from analysis.critic.judge import NONE
from data.errors import ImpossibleRequest
from data.pair_answers import COLUMNS, NO_ANSWERS, NOTHING, SAID, PairAnswers
from data.plain_text import is_broken_text

LONGEST_LINE = 1 << 16
MOST_LINES = 2_000_000
LARGEST_INDEX = 2**63 - 1
MOST_SECONDS = 1e9
WAIT_SECONDS = 10.0
_INDEXES = {"sample_id": 0, "left": NOTHING, "right": NOTHING}
_TEXTS = ("judge", "said", "reason", "author", "at")


def journal_path(cache: Path, set_hash: str, identity: str) -> Path:
    """Where the answers of the judge ``identity`` on the set ``set_hash`` are kept."""
    return cache / "critic" / f"{hashlib.sha256(repr((set_hash, identity)).encode()).hexdigest()}.jsonl"


class Journal:
    """An append-only file of one JSON object a question asked.

    Writers take turns. ``with`` holds the file for a whole run, so that two runs never put the same questions at once; it
    raises ImpossibleRequest where another holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Lines that the last reading could not use: the end of a write that a crash cut off, or a damaged disk."""
        self._lock = FileLock(path.with_suffix(".lock"), timeout=WAIT_SECONDS, thread_local=False)

    def __enter__(self) -> Journal:
        with _spelled_out(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        return self

    def __exit__(self, *failure: object) -> None:
        self._lock.release()

    def answers(self) -> PairAnswers:
        """What was answered, in order. Questions without an answer are left out: they are to be asked again."""
        self.damaged = 0
        try:
            with _spelled_out(self.path), self.path.open("rb") as file:
                rows = [row for row in self._rows(file) if row["said"] != NONE]
        except FileNotFoundError:
            return NO_ANSWERS
        return PairAnswers(**{name: [row[name] for row in rows] for name in COLUMNS})

    def append(self, answers: PairAnswers) -> None:
        """Add ``answers`` to the end; they are on the disk when this returns.

        Raises ImpossibleRequest where they cannot be kept.
        """
        if not len(answers):
            return
        lines = "".join(_line(answers, row) for row in range(len(answers))).encode()
        with self, _spelled_out(self.path), self.path.open("a+b") as file:
            file.write(lines if _ends_a_line(file) else b"\n" + lines)
            file.flush()
            os.fsync(file.fileno())

    def _rows(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        for line in _lines(file):
            row = _row(line)
            if row is None:
                self.damaged += 1
            else:
                yield row


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends; of one that is too long only the start, which no reader takes for a row."""
    for _ in range(MOST_LINES):
        line = file.readline(LONGEST_LINE)
        if not line:
            return
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _row(line: bytes) -> dict[str, Any] | None:
    """The row in ``line``, or None where it is not one; numbers that are not known come back as NaN."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or set(row) != set(COLUMNS) or not _fits(row):
        return None
    return {**row, "confidence": _number(row["confidence"]), "seconds": _number(row["seconds"])}


def _fits(row: dict[str, Any]) -> bool:
    whole = all(_is_whole(row[name]) and least <= row[name] <= LARGEST_INDEX for name, least in _INDEXES.items())
    texts = all(isinstance(row[name], str) and not is_broken_text(row[name]) for name in _TEXTS)
    if not whole or not texts or row["left"] == row["right"] or row["said"] not in SAID:
        return False
    return _is_number(row["confidence"], 1.0) and _is_number(row["seconds"], MOST_SECONDS)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object, most: float) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _line(answers: PairAnswers, row: int) -> str:
    values = {name: _plain(getattr(answers, name)[row]) for name in COLUMNS}
    line = json.dumps(values, allow_nan=False) + "\n"
    if len(line) >= LONGEST_LINE:
        raise ValueError(f"an answer takes more than {LONGEST_LINE:,} characters; bound its reason")
    return line


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ends_a_line(file: IO[bytes]) -> bool:
    """Whether the next byte starts a line; not where a crash cut the last write off."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


@contextmanager
def _spelled_out(path: Path) -> Iterator[None]:
    """What the disk or another run refuses, in one sentence; a file that is not there is for the caller."""
    try:
        yield
    except Timeout as error:
        raise ImpossibleRequest("another run asks the same judge about the same set; let that finish first.") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise ImpossibleRequest(f"answers cannot be kept in {path} ({why}); free space or name another folder.") from error
