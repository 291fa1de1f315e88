"""Rows of numbers as text: comma, tab, semicolon or blank separated, perhaps with a header line."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from data.errors import UnreadableInput

MOST_BYTES = 1 << 28
MOST_VALUES = 1 << 24
DELIMITERS = (",", "\t", ";")


@dataclass(frozen=True)
class NumericText:
    """``values`` float64 (N, C), one row for each of the ``lines``, which are kept as they were; ``delimiter`` is None for
    blanks; ``header`` is the line above the numbers, if there is one."""

    values: torch.Tensor
    lines: tuple[str, ...]
    delimiter: str | None
    header: str | None


def read_numbers(path: Path) -> NumericText:
    """Raises UnreadableInput naming the line that is no row of numbers or has another width than the first."""
    lines = _lines(path)
    delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), None)
    header = lines[0] if _parsed(lines[0], delimiter) is None and len(lines) > 1 else None
    body = lines[1:] if header is not None else lines
    width, values = 0, array("d")
    for number, line in enumerate(body, 1 if header is None else 2):
        row = _parsed(line, delimiter)
        if row is None or len(row) != (width or len(row)):
            what = "holds more than numbers" if row is None else f"has {len(row)} numbers instead of {width}"
            raise UnreadableInput(f"{path.name}, line {number} (of those with text) {what}; correct that line.")
        width = len(row)
        values.extend(row)
    return NumericText(torch.frombuffer(values, dtype=torch.float64).reshape(-1, width), tuple(body), delimiter, header)


def write_numbers(lines: Iterable[str], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"{line}\n" for line in lines)


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableInput(f"{path.name} is larger than {MOST_BYTES:,} bytes of text; save it as .npy instead.")
        text = path.read_text(encoding="utf-8-sig")
        if text.count("\n") + max(map(text.count, (*DELIMITERS, " "))) > MOST_VALUES:
            raise UnreadableInput(f"{path.name} has more than {MOST_VALUES:,} numbers as text; save it as .npy instead.")
        lines = [line for line in text.split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{path.name} cannot be read as text ({error}); save it as UTF-8.") from error
    if not lines:
        raise UnreadableInput(f"{path.name} is empty; one row of numbers a sample is needed.")
    return [line.removesuffix("\r") for line in lines]


def _parsed(line: str, delimiter: str | None) -> list[float] | None:
    if "_" in line:  # which Python takes for a part of a number
        return None
    try:
        return [float(word) for word in line.split(delimiter)]
    except ValueError:
        return None
