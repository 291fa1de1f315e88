"""What people decided: an append-only log, and the state that follows from it.

Nothing in the log is ever changed or removed; undo is one more entry, which names the entry it takes back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from data.errors import UnreadableInput

Action = Literal["keep", "relabel", "soften", "prune", "restore", "skip", "undo"]
Reason = Literal["wrong label", "ambiguous", "unrecognisable", "duplicate", "other"]
ACTIONS: tuple[Action, ...] = get_args(Action)
REASONS: tuple[Reason, ...] = get_args(Reason)
SUM_TOLERANCE = 1e-3


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
        if self.action not in ACTIONS:
            raise ValueError(f"action '{self.action}' is not one of {', '.join(ACTIONS)}")
        if self.reason is not None and self.reason not in REASONS:
            raise ValueError(f"reason '{self.reason}' is not one of {', '.join(REASONS)}")
        if not _is_index(self.sample_id):
            raise ValueError(f"sample_id must be an index from 0, not {self.sample_id!r}")
        if (self.label is not None) != (self.action == "relabel"):
            raise ValueError("a relabel, and only a relabel, names a label")
        if self.label is not None and not _is_index(self.label):
            raise ValueError(f"label must be a class index from 0, not {self.label!r}")
        if (self.soft_label is not None) != (self.action == "soften"):
            raise ValueError("a soften, and only a soften, gives a soft_label")
        if self.soft_label is not None:
            _check_distribution(self.soft_label)

    def stamped(self, annotator: str) -> Decision:
        """The same decision by ``annotator``, now, where it does not say who and when."""
        return replace(self, annotator=self.annotator or annotator, at=self.at or now())


@dataclass(frozen=True)
class SampleState:
    """Where the log leaves one sample. ``label`` and ``soft_label`` are None where the given ones stand."""

    pruned: bool = False
    label: int | None = None
    soft_label: tuple[float, ...] | None = None
    last: Decision | None = None

    @property
    def changes(self) -> bool:
        return self.pruned or self.label is not None or self.soft_label is not None


def states(log: Iterable[Decision]) -> dict[int, SampleState]:
    """The state of every sample that the log leaves with a standing decision.

    An undo without ``undoes`` takes back the sample's latest standing decision. Keep, relabel and soften settle the
    label and put the sample back; prune takes it out; restore puts it back and leaves its label; skip settles nothing.
    """
    standing: dict[int, list[Decision]] = {}
    for decision in log:
        entries = standing.setdefault(decision.sample_id, [])
        if decision.action != "undo":
            entries.append(decision)
        elif decision.undoes is not None:
            standing[decision.sample_id] = [entry for entry in entries if entry.id != decision.undoes]
        elif entries:
            entries.pop()
    return {sample: _state(entries) for sample, entries in standing.items() if entries}


def read_jsonl(path: Path) -> list[Decision]:
    """Decisions from a file of one JSON object a line. Raises UnreadableInput naming the line that is wrong."""
    try:
        with path.open(encoding="utf-8") as lines:
            return [_parse(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{path} cannot be read as a decisions file ({error}); give a JSON-lines file.") from error


def write_jsonl(decisions: Iterable[Decision], path: Path) -> None:
    """The log as JSON lines, leaving out what an entry does not say."""
    with path.open("w", encoding="utf-8") as out:
        for line in map(as_json, decisions):
            out.write(line + "\n")


def as_json(decision: Decision) -> str:
    values = ((f.name, getattr(decision, f.name)) for f in fields(decision))
    return json.dumps({name: value for name, value in values if value not in (None, "")}, ensure_ascii=False)


def now() -> str:
    """The current time, ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _state(entries: list[Decision]) -> SampleState:
    state = SampleState()
    for entry in entries:
        if entry.action in ("keep", "relabel", "soften"):
            state = SampleState(label=entry.label, soft_label=entry.soft_label)
        elif entry.action in ("prune", "restore"):
            state = replace(state, pruned=entry.action == "prune")
        state = replace(state, last=entry)
    return state


def _parse(line: str, path: Path, number: int) -> Decision:
    try:
        raw = json.loads(line)
        if not isinstance(raw, dict):
            raise ValueError("the line is not a JSON object")
        unknown = set(raw) - {f.name for f in fields(Decision)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
        if isinstance(raw.get("soft_label"), list):
            raw["soft_label"] = tuple(raw["soft_label"])
        return Decision(**raw)
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableInput(f"{path}, line {number}: {error}; correct that line.") from error


def _check_distribution(values: tuple[float, ...]) -> None:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    if not numbers or any(v < 0 for v in values) or abs(sum(values) - 1) > SUM_TOLERANCE:
        raise ValueError("soft_label must be finite numbers >= 0 that sum to 1")


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
