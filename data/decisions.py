"""What people decided: an append-only log, and the state that follows from it.

Nothing in the log is ever changed or removed; undo is one more entry, which names the entry it takes back.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from data.bounded_reads import TooMuch, bounded_lines
from data.errors import UnreadableInput
from data.plain_text import is_broken_text

Action = Literal["keep", "relabel", "soften", "prune", "restore", "skip", "undo"]
Reason = Literal["wrong label", "ambiguous", "unrecognisable", "duplicate", "other"]
ACTIONS: tuple[Action, ...] = get_args(Action)
REASONS: tuple[Reason, ...] = get_args(Reason)
CRITIC = "critic"
"""The annotator that signs what the label critic adopted; no person decides under that name."""
SUM_TOLERANCE = 1e-3
LONGEST_LINE = 1 << 24
MOST_DECISIONS = 1_000_000
LARGEST_INDEX = 2**63 - 1


@dataclass(frozen=True)
class Decision:
    """One entry of the log.

    ``label`` is the class index a relabel gives; ``soft_label`` the distribution a soften gives, C numbers >= 0 that sum
    to 1; ``seconds`` the time taken; ``at`` an ISO 8601 time; ``finding`` the analysis that raised the sample;
    ``id`` is set by the store; ``undoes`` is the id that an undo takes back.
    """

    sample_id: int
    action: Action
    label: int | None = None
    soft_label: tuple[float, ...] | None = None
    reason: Reason | None = None
    annotator: str = ""
    seconds: float | None = None
    at: str = ""
    finding: str | None = None
    id: int | None = None
    undoes: int | None = None

    def __post_init__(self) -> None:
        _check_choice("action", self.action, ACTIONS)
        if self.reason is not None:
            _check_choice("reason", self.reason, REASONS)
        _check_index("sample_id", self.sample_id)
        _check_labels(self)
        _check_record(self)

    def stamped(self, annotator: str) -> Decision:
        """The same decision by ``annotator``, now, where it does not say who and when."""
        return replace(self, annotator=self.annotator or annotator, at=self.at or now())


@dataclass(frozen=True)
class SampleState:
    """Where the log leaves one sample. ``label`` and ``soft_label`` are None where the given ones stand.

    ``last`` is the latest standing decision; ``cause`` the one that makes the sample differ from the given one: the prune
    where it is pruned, else the relabel or soften, None where nothing changes. ``settled_by``: the annotator whose keep,
    relabel or soften settled the label, "" where none did.
    """

    pruned: bool = False
    label: int | None = None
    soft_label: tuple[float, ...] | None = None
    last: Decision | None = None
    cause: Decision | None = None
    settled_by: str = ""

    @property
    def changes(self) -> bool:
        return self.pruned or self.label is not None or self.soft_label is not None


def states(log: Iterable[Decision]) -> dict[int, SampleState]:
    """The state of every sample that the log leaves with a standing decision.

    An undo without ``undoes`` takes back the sample's latest standing decision. Keep, relabel and soften settle the
    label and put the sample back; prune takes it out; restore puts it back and leaves its label; skip settles nothing.
    """
    return {sample: _state(entries) for sample, entries in standing(log).items() if entries}


def standing(log: Iterable[Decision]) -> dict[int, list[Decision]]:
    """By sample, the entries that were not taken back, in the order of the log; none of a sample whose every entry was."""
    left: dict[int, list[Decision]] = {}
    for decision in log:
        entries = left.setdefault(decision.sample_id, [])
        if decision.action != "undo":
            entries.append(decision)
        elif decision.undoes is not None:
            left[decision.sample_id] = [entry for entry in entries if entry.id != decision.undoes]
        elif entries:
            entries.pop()
    return left


def read_jsonl(path: Path) -> list[Decision]:
    """Decisions from a file of one JSON object a line. Raises UnreadableInput naming the line that is wrong."""
    if path.exists() and not path.is_file():
        raise UnreadableInput(f"{path} is not a regular file; give a file of decisions, one JSON object a line.")
    try:
        with path.open(encoding="utf-8-sig") as text:
            lines = ((number, line) for number, line in enumerate(bounded_lines(text, LONGEST_LINE), 1) if line.strip())
            decisions = [_parse(line, path, number) for number, line in islice(lines, MOST_DECISIONS + 1)]
    except OSError as error:
        reason = error.strerror or error
        raise UnreadableInput(f"{path} cannot be read ({reason}); give a file of decisions, one a line.") from error
    except UnicodeDecodeError as error:
        raise UnreadableInput(f"{path} is not text in UTF-8; give a file of decisions, one JSON object a line.") from error
    except TooMuch as error:
        raise UnreadableInput(f"{path}: {error}; put one decision on each line.") from error
    if len(decisions) > MOST_DECISIONS:
        raise UnreadableInput(f"{path} holds more than {MOST_DECISIONS:,} decisions; give only those that stand.")
    return decisions


def write_jsonl(decisions: Iterable[Decision], path: Path) -> None:
    """The log as JSON lines, leaving out what an entry does not say."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for line in map(as_json, decisions):
            out.write(line + "\n")


def as_json(decision: Decision) -> str:
    """One line of the log."""
    return json.dumps(as_object(decision), ensure_ascii=False, allow_nan=False)


def as_object(decision: Decision) -> dict[str, Any]:
    """What an entry says, by field name, ready for JSON; fields that say nothing are left out."""
    values = ((f.name, getattr(decision, f.name), f.default) for f in fields(decision))
    return {name: value for name, value, default in values if value != default}


def from_object(raw: object) -> Decision:
    """What ``as_object`` made, as it comes from JSON. Raises ValueError saying what is wrong."""
    if not isinstance(raw, dict):
        raise ValueError("the line is not a JSON object")
    known = {f.name for f in fields(Decision)}
    if unknown := sorted(set(raw) - known):
        raise ValueError(f"unknown field {_brief(unknown[0])}")
    if missing := [name for name in ("sample_id", "action") if name not in raw]:
        raise ValueError(f"{missing[0]} is missing")
    soft = raw.get("soft_label")
    return Decision(**{**raw, "soft_label": tuple(soft)} if isinstance(soft, list) else raw)


def now() -> str:
    """The current time, ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _state(entries: list[Decision]) -> SampleState:
    settled = placed = None
    for entry in entries:
        if entry.action in ("keep", "relabel", "soften"):
            settled, placed = entry, None
        elif entry.action in ("prune", "restore"):
            placed = entry
    pruned = placed is not None and placed.action == "prune"
    label, soft_label = (settled.label, settled.soft_label) if settled is not None else (None, None)
    labelled = settled if label is not None or soft_label is not None else None
    who = settled.annotator if settled is not None else ""
    return SampleState(pruned, label, soft_label, entries[-1], placed if pruned else labelled, who)


def _parse(line: str, path: Path, number: int) -> Decision:
    try:
        return from_object(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise UnreadableInput(f"{path}, line {number}: {error}; correct that line.") from error


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {_brief(value)} is not one of {', '.join(choices)}")


def _check_index(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_INDEX:
        raise ValueError(f"{name} must be a whole number from 0, not {_brief(value)}")


def _check_labels(decision: Decision) -> None:
    if (decision.label is not None) != (decision.action == "relabel"):
        raise ValueError("a relabel, and only a relabel, names a label")
    if decision.label is not None:
        _check_index("label", decision.label)
    if (decision.soft_label is not None) != (decision.action == "soften"):
        raise ValueError("a soften, and only a soften, gives a soft_label")
    if decision.soft_label is not None:
        _check_distribution(decision.soft_label)


def _check_record(decision: Decision) -> None:
    """Who, when, how long and why: what is kept for the record must come back from a file as it went in."""
    for name in ("annotator", "at", "finding"):
        value = getattr(decision, name)
        if not isinstance(value, str) and not (name == "finding" and value is None):
            raise ValueError(f"{name} must be text, not {_brief(value)}")
        if value and is_broken_text(value):
            raise ValueError(f"{name} is not valid Unicode text")
    for name in ("id", "undoes"):
        if getattr(decision, name) is not None:
            _check_index(name, getattr(decision, name))
    seconds = decision.seconds
    if seconds is not None and not (_is_number(seconds) and 0 <= seconds < math.inf):
        raise ValueError(f"seconds must be a finite number from 0, not {_brief(seconds)}")


def _check_distribution(values: object) -> None:
    valid = isinstance(values, tuple) and all(_is_number(v) and 0 <= v <= 1 + SUM_TOLERANCE for v in values)
    if not valid or abs(math.fsum(values) - 1) > SUM_TOLERANCE:
        raise ValueError("soft_label must be a list of finite numbers >= 0 that sum to 1")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _brief(value: object) -> str:
    """``value`` as it would be typed, cut where a hostile file made it long."""
    return reprlib.repr(value)
