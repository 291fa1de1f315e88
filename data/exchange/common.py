"""What all formats of decisions share: entries as a file says them, and bounded reading of whatever a person hands over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.audit import SETTLING
from data.decisions import Decision, standing
from data.errors import UnreadableInput

MOST_BYTES = 1 << 27


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision as a file says it, before it is known what of the set it means; None where the file does not say.

    ``where`` is its place in the file, in words. ``sample`` is a sample id, ``file`` the name, path or address of an image.
    ``label`` is the name of a class, or its index. Without ``action`` it says what was decided: a relabel, or, where it is
    the given one, a keep, and of a ``quiet`` entry nothing. ``trouble`` says why a reader could make nothing of it. The rest
    is whatever the file holds, of any type: data.exchange.matching checks it.
    """

    where: str
    sample: object = None
    file: object = None
    action: object = None
    label: object = None
    soft_label: object = None
    reason: object = None
    annotator: object = None
    seconds: object = None
    at: object = None
    finding: object = None
    quiet: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Read:
    """The ``entries`` of a file in its order; ``silent`` counts the samples in it about which it says nothing."""

    entries: Sequence[Entry]
    silent: int = 0


def entry_of(decision: Decision, where: str) -> Entry:
    """A decision of our own log as an entry."""
    names = ("action", "label", "soft_label", "reason", "annotator", "seconds", "at", "finding")
    return Entry(where, decision.sample_id, **{name: getattr(decision, name) for name in names})


def standing_entries(log: Iterable[Decision]) -> list[Decision]:
    """What of the log was not taken back, in its order."""
    whole = list(log)
    left = {id(entry) for entries in standing(whole).values() for entry in entries}
    return [entry for entry in whole if id(entry) in left]


def resting(log: Iterable[Decision]) -> list[Decision]:
    """The few entries that the current state of each sample rests on, by sample: what settled its label; the prune, where it
    is pruned since; the skip, where nothing else stands."""
    found = []
    for _, entries in sorted(standing(log).items()):
        settled = next((place for place in reversed(range(len(entries))) if entries[place].action in SETTLING), None)
        placed = [entry for entry in entries[settled or 0 :] if entry.action in ("prune", "restore")][-1:]
        kept = [] if settled is None else [entries[settled]]
        kept += [entry for entry in placed if entry.action == "prune"]
        if not kept and entries and entries[-1].action == "skip":
            kept = [entries[-1]]
        found += kept
    return found


def read_bytes(path: Path) -> bytes:
    """A regular file of at most ``MOST_BYTES``. Raises UnreadableInput."""
    if path.exists() and not path.is_file():
        raise UnreadableInput(f"{path.name} is not a regular file; give a file of decisions.")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableInput(
            f"{path.name} cannot be read ({error.strerror or error}); give a file of decisions."
        ) from error
    if len(data) > MOST_BYTES:
        raise UnreadableInput(f"{path.name} has more than {MOST_BYTES >> 20} MiB; split it, or write it as parquet.")
    return data


def read_text(path: Path) -> str:
    """The same as text, without a byte order mark. Raises UnreadableInput where it is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInput(f"{path.name} is not text in UTF-8 (byte {error.start:,}); save it as UTF-8.") from None


def read_each(things: Iterable[Any], what: str, entries_of: Callable[[Any, str], list[Entry]]) -> Read:
    """The entries of all ``things``, each a ``what`` and called by its number from 1 on where something is wrong with it."""
    found = [entries_of(thing, f"{what} {number:,}") for number, thing in enumerate(things, 1)]
    return Read([entry for entries in found for entry in entries], sum(not entries for entries in found))


def write_json(value: object, out: Path) -> None:
    """One JSON text and a line end."""
    with out.open("w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def parse_json(text: str, name: str) -> Any:
    """The value of a JSON text. Raises UnreadableInput where it is broken, too deep, holds NaN, or a key twice."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise UnreadableInput(f"{name} is nested too deeply to be read; give the file as the program exported it.") from None
    except ValueError as error:
        raise UnreadableInput(f"{name} is not valid JSON ({str(error)[:200]}); export it again.") from None


def as_text(value: object) -> str | None:
    """Text with something in it, or None."""
    return value.strip() or None if isinstance(value, str) else None


def utc(text: str) -> datetime | None:
    """The moment that an ISO 8601 text names, in UTC; one without a zone is taken for UTC; None where it names none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def iso(moment: datetime) -> str:
    """As the log writes times: UTC, to the millisecond, or finer where the moment is."""
    return moment.isoformat(timespec="microseconds" if moment.microsecond % 1000 else "milliseconds")


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """What says something."""
    return {key: value for key, value in values.items() if value is not None and value != ""}


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key '{twice[:60]}' stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_key_once, parse_constant=_no_constant)
"""Made once: making one for each line takes longer than reading the line."""
