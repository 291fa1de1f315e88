"""How many original training images each class had, from a small CSV file: a class and its count a line.

    class,count
    T-shirt/top,5000
    Trouser,2997

The header is optional; commas, semicolons and tabs separate, quotes protect. The class is its name, or its number from 0;
every class of the set stands there exactly once, in any order.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from data.bounded_reads import bounded_lines
from data.errors import UnreadableInput

MOST_BYTES = 16 << 20
LONGEST_LINE = 1 << 16
DELIMITERS = (",", ";", "\t")
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)

_Row = tuple[int, str, str]  # its line, the class as written, the count as written


def read_class_counts(path: Path, class_names: Sequence[str]) -> np.ndarray:
    """Counts in class order, int64 (C,). Raises UnreadableInput with one sentence that names what is wrong, and where."""
    rows = _rows(path, 2 * len(class_names) + 1)
    places = _classes_by_name(class_names)
    if not any(name in places for _, name, _ in rows):
        places = {str(number): number for number in range(len(class_names))}
    if rows and rows[0][1] not in places and not _COUNT.fullmatch(rows[0][2]):
        rows = rows[1:]  # a header
    if not rows:
        raise _wrong(path, "names no class")
    counts = np.full(len(class_names), -1, np.int64)
    for line, name, count in rows:
        place = places.get(name)
        if place is None:
            raise _wrong_line(path, line, f"names the class {name[:80]!a}, which the set does not have")
        if not _COUNT.fullmatch(count):
            raise _wrong_line(path, line, f"gives the count {count[:80]!a}, which is no whole number from 0")
        if counts[place] >= 0:
            raise _wrong_line(path, line, f"names the class {name[:80]!a} again")
        counts[place] = int(count)
    return _complete(counts, class_names, path)


def _rows(path: Path, most: int) -> list[_Row]:
    """Every line that is not empty; at most ``most``, of two cells each."""
    try:
        if not path.is_file():
            raise _wrong(path, "is no file")
        if path.stat().st_size > MOST_BYTES:
            raise _wrong(path, f"is larger than {MOST_BYTES:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline(LONGEST_LINE))
            file.seek(0)
            table = csv.reader(bounded_lines(file, LONGEST_LINE), delimiter=delimiter, strict=True)
            filled = ((table.line_num, cells) for cells in table if any(map(str.strip, cells)))
            rows = list(islice(filled, most + 1))
    except (OSError, ValueError, csv.Error) as error:
        raise _wrong(path, f"cannot be read as CSV ({error})") from error
    if len(rows) > most:
        raise _wrong(path, "has more lines than the set has classes")
    for line, cells in rows:
        if len(cells) != 2:
            raise _wrong_line(path, line, f"has {len(cells)} cells instead of two, a class and its count")
    return [(line, cells[0].strip(), cells[1].strip()) for line, cells in rows]


def _delimiter(first_line: str) -> str:
    """What separates the last cell, which holds no mark of its own, from the class, which may."""
    return max(DELIMITERS, key=first_line.rfind)


def _classes_by_name(class_names: Sequence[str]) -> dict[str, int]:
    """Each class's place by its name; nothing where two share one, so that only numbers tell them apart."""
    places = {name.strip(): place for place, name in enumerate(class_names)}
    return places if len(places) == len(class_names) else {}


def _complete(counts: np.ndarray, class_names: Sequence[str], path: Path) -> np.ndarray:
    missing = np.flatnonzero(counts < 0)
    if len(missing):
        first = f"{class_names[missing[0]][:80]!a}, number {missing[0]}"
        raise _wrong(path, f"lacks {len(missing)} of {len(counts)} classes (the first is {first})")
    if not counts.any():
        raise _wrong(path, "counts no image at all")
    return counts


def _wrong(path: Path, what: str) -> UnreadableInput:
    return UnreadableInput(f"{path.name} {what}; name a CSV file with a class and its count a line.")


def _wrong_line(path: Path, line: int, what: str) -> UnreadableInput:
    return UnreadableInput(f"{path.name}, line {line} {what}; correct that line.")
