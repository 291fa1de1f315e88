"""Our own log as JSON lines: one decision a line, as data.decisions writes and reads it.

Carries everything. Read as an import, entries that were taken back are left out, and so are the undos: they name entries of
another log.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from data.decisions import Decision, from_object, write_jsonl
from data.errors import UnreadableInput
from data.exchange.common import Read, entry_of, parse_json, read_text, standing_entries
from data.exchange.set_names import SetNames

NAME, TITLE, SUFFIX = "jsonl", "JSON lines, the log as Stillroom keeps it", ".jsonl"
CANNOT = "It carries everything: with the whole log also what was taken back."
WHOLE = True


def read_log(path: Path) -> list[Decision]:
    """The log as it is written, undos included. Raises UnreadableInput naming the line that is wrong."""
    return [decision for _, decision in _lines(path)]


def read(path: Path) -> Read:
    """What of the log stands. Raises UnreadableInput naming the line that is wrong."""
    numbered = _lines(path)
    number_of = {id(decision): number for number, decision in numbered}
    left = standing_entries(decision for _, decision in numbered)
    return Read([entry_of(decision, f"line {number_of[id(decision)]:,}") for decision in left])


def write(log: Iterable[Decision], names: SetNames, out: Path) -> tuple[str, ...]:
    """One line a decision; returns nothing to note."""
    write_jsonl(log, out)
    return ()


def _lines(path: Path) -> list[tuple[int, Decision]]:
    found = []
    for number, line in enumerate(io.StringIO(read_text(path)), 1):  # a StringIO ends lines at "\n" alone
        if line.strip():
            raw = parse_json(line, f"{path.name}, line {number}")
            try:
                found.append((number, from_object(raw)))
            except ValueError as error:
                raise UnreadableInput(f"{path.name}, line {number}: {error}; correct that line.") from None
    return found
