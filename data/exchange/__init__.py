"""Decisions to and from other programs: one module a format, all with the same names.

    NAME, TITLE, SUFFIX   the word for it, a line for people, and how its files end
    CANNOT                a sentence for people: what it does not carry
    WHOLE                 whether it carries the whole log, with what was taken back
    read(path) -> Read    what the file says, not yet matched with a set; UnreadableInput where it cannot be read
    write(log, names, out) -> notes

``load`` reads and matches; ``save`` writes. Files are bounded in size, parsed without running anything in them, and names in
them are compared with those of the set, never opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Literal

from data.decisions import Decision
from data.errors import ImpossibleRequest
from data.exchange import decisions_csv, decisions_jsonl, decisions_parquet, fiftyone_tags, label_studio
from data.exchange.common import read_bytes, resting, standing_entries
from data.exchange.matching import BY, UNSIGNED, Matched, match
from data.exchange.set_names import SetNames, names_of
from data.log_pages import IMPORTED
from data.plain_text import one_line

__all__ = ["AUTO", "FORMATS", "WHATS", "Matched", "SetNames", "What", "finding_of", "load", "names_of", "recognise", "save"]

AUTO = "auto"
FORMATS: dict[str, ModuleType] = {
    module.NAME: module for module in (decisions_jsonl, decisions_parquet, decisions_csv, label_studio, fiftyone_tags)
}
What = Literal["log", "state"]
WHATS: tuple[What, ...] = ("log", "state")
LONGEST_NAME = 100


def recognise(path: Path) -> str:
    """The name of the format that the file looks like. Raises UnreadableInput where it cannot be read."""
    data = read_bytes(path)
    if data[:4] == b"PAR1":
        return decisions_parquet.NAME
    text = data[:3].removeprefix(b"\xef\xbb\xbf") + data[3:]
    start = text.lstrip()[:1]
    if start == b"[":
        return label_studio.NAME
    if start != b"{":
        return decisions_csv.NAME
    return decisions_jsonl.NAME if _is_lines(text) else _object_format(text)


def load(path: Path, format_name: str, names: SetNames, signed: str = UNSIGNED, finding: str | None = None) -> Matched:
    """The decisions of a file about the set of ``names``; see matching.match. ``format_name`` of FORMATS, or AUTO.

    Raises UnreadableInput where the file cannot be read.
    """
    return match(_module(path, format_name).read(path), names, signed, finding)


def load_log(path: Path, format_name: str, names: SetNames) -> list[Decision]:
    """As ``load``, but keeping findings, and of formats that carry the whole log also what was taken back. Raises
    ImpossibleRequest where anything does not fit the set."""
    module = _module(path, format_name)
    matched = match(module.read(path), names).require_all()
    return module.read_log(path) if module.WHOLE else list(matched.decisions)


def save(log: Iterable[Decision], what: What, format_name: str, names: SetNames, out: Path) -> tuple[str, ...]:
    """Write the log, or the entries that the current state rests on; returns what is worth noting. A format
    that cannot carry what was taken back gets what stands."""
    module = FORMATS[format_name]
    if what == "state":
        chosen: Iterable[Decision] = resting(log)
    else:
        chosen = log if module.WHOLE else standing_entries(log)
    return module.write(chosen, names, out)


def finding_of(path: Path, by: str = "") -> str:
    """What imported decisions name as their finding: the file, and who imported it, where that is known."""
    name = one_line(path.name)
    name = name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME:]}"
    return f"{IMPORTED}{name}{BY}{one_line(by)}" if by else f"{IMPORTED}{name}"


def _module(path: Path, format_name: str) -> ModuleType:
    name = recognise(path) if format_name == AUTO else format_name
    if name not in FORMATS:
        raise ImpossibleRequest(f"there is no format '{name}' of decisions; choose one of {', '.join((AUTO, *FORMATS))}.")
    return FORMATS[name]


def _is_lines(text: bytes) -> bool:
    """Whether the first line is an object by itself."""
    try:
        first = json.loads(text.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "action" in first


def _object_format(text: bytes) -> str:
    return fiftyone_tags.NAME if b'"samples"' in text else label_studio.NAME
