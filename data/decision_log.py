"""The append-only log of a workspace: what people decided, in the order it was committed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace

import numpy as np

from data.decisions import CRITIC, Decision, SampleState, now
from data.errors import ImpossibleRequest
from data.soft_labels import Ids
from data.workspace_tables import WANTED, Execute, Tables, filled, names, said_at, wanted

COUNTED = ("kept", "relabelled", "softened", "pruned", "skipped")
_NAMES = tuple(f.name for f in fields(Decision))
_COLUMNS = names(_NAMES)
_STROKE = ("sample_id", "at", "action")
"""What a decision that a browser offers again is known by."""


@dataclass(frozen=True)
class Bounds:
    """What a decision may name: sample ids below ``n``, classes below ``num_classes``."""

    set_id: str
    n: int
    num_classes: int


@dataclass(frozen=True, eq=False)
class SettledRows:
    """Samples that are kept, relabelled, softened or pruned, (n,) each, in the order of the decisions that made it so.

    ``label`` is the class that a relabel gave, -1 where none did; ``reason`` why a sample was pruned or changed, or None.
    """

    sample_id: np.ndarray
    label: np.ndarray
    pruned: np.ndarray
    reason: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)


class DecisionLog:
    """Reads and appends. Nothing here updates or deletes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(self, bounds: Bounds, decisions: Sequence[Decision]) -> list[Decision]:
        """All of ``decisions``, or none where one is impossible; more than one share a batch."""
        for decision in decisions:
            _check(bounds, decision)
        if not decisions:
            return []
        with self._tables.writing() as execute:
            undoing = _Undoing(execute, bounds.set_id)
            resolved = [undoing.resolve(d) if d.action == "undo" else d for d in decisions]
            return _append(execute, bounds.set_id, resolved)

    def append_new(self, bounds: Bounds, decisions: Sequence[Decision], undo_others: bool = True) -> list[Decision]:
        """Those of ``decisions`` that the log does not have yet, each an entry by itself, in one transaction.

        A decision with a time is known by its sample, time and action, also while another process appends the same. An undo
        that names nothing takes back the annotator's own latest standing entry on the sample, and only where there is none,
        and ``undo_others``, the latest of anybody. What the set cannot be given is left out.
        """
        with self._tables.writing() as execute:
            known = said_at(execute, "decisions", _STROKE, bounds.set_id, [decision.at for decision in decisions])
            new = [d for d in decisions if tuple(getattr(d, name) for name in _STROKE) not in known]
            return _append_possible(execute, bounds, new, undo_others)

    def undo(self, set_id: str, annotator: str, sample_id: int | None = None) -> Decision | None:
        """Take back the annotator's latest standing entry, of one sample or of any, with the batch that it came in."""
        with self._tables.writing() as execute:
            found = execute(
                "select id, batch from standing where set_id = ? and annotator = ? and sample_id = coalesce(?, sample_id) "
                "order by id desc limit 1",
                [set_id, annotator, sample_id],
            )
            if not found:
                return None
            latest, batch = found[0]
            whole = batch if sample_id is None else None
            taken_back = execute(
                "select id, sample_id from standing where set_id = ? and annotator = ? and (id = ? or batch = ?) "
                "order by id",
                [set_id, annotator, latest, whole],
            )
            undos = [Decision(sample, "undo", annotator=annotator, undoes=entry) for entry, sample in taken_back]
            return _append(execute, set_id, undos)[-1]

    def take_back(self, set_id: str, batch: int, annotator: str) -> int:
        """Undo what still stands of a whole batch, whoever signed it, as one batch of ``annotator``; returns how much did.

        ``batch`` is the id of its first entry, as data.log_pages.ImportedBatch names it.
        """
        with self._tables.writing() as execute:
            sql = "select id, sample_id from standing where set_id = ? and (id = ? or batch = ?) order by id"
            left = execute(sql, [set_id, batch, batch])
            undos = [Decision(sample, "undo", annotator=annotator, undoes=entry) for entry, sample in left]
            return len(_append(execute, set_id, undos)) if undos else 0

    def entries(self, set_id: str, sample_id: int | None = None, latest: int | None = None) -> list[Decision]:
        """The log of a set, or of one sample, oldest first; all of it, or its ``latest`` entries."""
        end = "" if latest is None else f"desc limit {int(latest)}"
        rows = self._tables.rows(
            f"select {_COLUMNS} from decisions where set_id = ? and sample_id = coalesce(?, sample_id) order by id {end}",
            [set_id, sample_id],
        )
        return [_decision(row) for row in (rows if latest is None else reversed(rows))]

    def states(self, set_id: str, ids: Ids | None = None) -> dict[int, SampleState]:
        """As data.decisions.states of the whole log, computed by the database; of all samples, or of ``ids`` alone."""
        latest, cause = (", ".join(f'{entry}."{name}"' for name in _NAMES) for entry in ("latest", "cause"))
        rows = self._tables.rows(
            f"select states.sample_id, states.pruned, states.label, states.soft_label, states.settled_by, {latest}, {cause} "
            "from sample_states as states join decisions as latest on latest.id = states.last "
            "left join decisions as cause on cause.id = states.cause where states.set_id = ?"
            f"{'' if ids is None else f' and states.{WANTED}'}",
            [set_id],
            **({} if ids is None else {"wanted": wanted(ids)}),
        )
        return {row[0]: _state(row[1:5], row[5 : 5 + len(_NAMES)], row[5 + len(_NAMES) :]) for row in rows}

    def settled(self, set_id: str) -> SettledRows:
        """One row for each sample that people settled, much faster than ``states`` where only what became of the label
        matters."""
        found = self._tables.columns(
            "select states.sample_id as sample_id, coalesce(states.label, -1) as label, states.pruned as pruned, "
            "cause.reason as reason from sample_states as states left join decisions as cause on cause.id = states.cause "
            "where states.set_id = ? and states.category in ('kept', 'relabelled', 'softened', 'pruned') "
            "and coalesce(case when states.pruned then cause.annotator else states.settled_by end, '') <> ? "
            "order by coalesce(states.cause, states.last)",
            [set_id, CRITIC],
        )
        return SettledRows(
            np.asarray(found["sample_id"], np.int64),
            np.asarray(found["label"], np.int64),
            np.asarray(found["pruned"], bool),
            np.asarray(filled(found["reason"]), object),
        )

    def counts(self, bounds: Bounds) -> dict[str, int]:
        """How many of the set's samples are kept, relabelled, softened, pruned, skipped and undecided; sums to N."""
        rows = self._tables.rows(
            "select category, count(*) from sample_states where set_id = ? and sample_id < ? group by category",
            [bounds.set_id, bounds.n],
        )
        known = dict(rows)
        counts = {category: int(known.get(category, 0)) for category in COUNTED}
        return {**counts, "undecided": bounds.n - sum(counts.values())}


class _Undoing:
    """Finds what undos take back; within one transaction no entry is taken back twice."""

    def __init__(self, execute: Execute, set_id: str) -> None:
        self._execute = execute
        self._set_id = set_id
        self._taken: set[int] = set()

    def resolve(self, undo: Decision) -> Decision:
        """``undo`` with ``undoes`` filled: the named entry, or the sample's latest. Raises ImpossibleRequest without one."""
        standing = self._execute(
            "select id from standing where set_id = ? and sample_id = ? order by id desc", [self._set_id, undo.sample_id]
        )
        left = [row[0] for row in standing if row[0] not in self._taken]
        entry = undo.undoes if undo.undoes is not None else next(iter(left), None)
        if entry not in left:
            raise ImpossibleRequest(f"sample {undo.sample_id} has no standing decision{_named(undo)} to take back.")
        self._taken.add(entry)
        return replace(undo, undoes=entry)


def _named(undo: Decision) -> str:
    return "" if undo.undoes is None else f" {undo.undoes}"


def _check(bounds: Bounds, decision: Decision) -> None:
    if decision.sample_id >= bounds.n:
        raise ImpossibleRequest(
            f"sample {decision.sample_id} does not exist: this set has samples 0 to {bounds.n - 1}; choose one of them."
        )
    if decision.label is not None and decision.label >= bounds.num_classes:
        raise ImpossibleRequest(
            f"class {decision.label} does not exist: this set has classes 0 to {bounds.num_classes - 1}; choose one of them."
        )
    if decision.soft_label is not None and len(decision.soft_label) != bounds.num_classes:
        raise ImpossibleRequest(
            f"the soft label has {len(decision.soft_label)} values but this set has {bounds.num_classes} classes; "
            "give one a class."
        )
    if decision.undoes is not None and decision.action != "undo":
        raise ImpossibleRequest(f"a {decision.action} takes nothing back; only an undo names another decision.")


def _append_possible(execute: Execute, bounds: Bounds, decisions: Sequence[Decision], undo_others: bool) -> list[Decision]:
    """Each that the set can be given, as an entry by itself. Few statements: on a busy process each waits for its turn."""
    appended: list[Decision] = []
    waiting: list[Decision] = []

    def write() -> None:
        appended.extend(_append(execute, bounds.set_id, waiting, together=False) if waiting else [])
        waiting.clear()

    for decision in decisions:
        with suppress(ImpossibleRequest):
            _check(bounds, decision)
            if decision.action == "undo":
                write()  # it may take back one of them
                decision = _undo_of(execute, bounds.set_id, decision, undo_others)
            waiting.append(decision)
    write()
    return appended


def _undo_of(execute: Execute, set_id: str, undo: Decision, others: bool) -> Decision:
    """``undo`` with ``undoes`` filled: the entry that it names, the annotator's own latest on the sample, or anybody's.

    Raises ImpossibleRequest where there is none, or only what ``others`` decided and they may not take that back.
    """
    own = execute(
        "select max(id) from standing where set_id = ? and sample_id = ? and annotator = ?",
        [set_id, undo.sample_id, undo.annotator],
    )[0][0]
    if undo.undoes is None and own is None and not others:
        raise ImpossibleRequest(f"you have no standing decision on sample {undo.sample_id} to take back.")
    return _Undoing(execute, set_id).resolve(replace(undo, undoes=own) if undo.undoes is None else undo)


def _append(execute: Execute, set_id: str, decisions: Sequence[Decision], together: bool = True) -> list[Decision]:
    """More than one share a batch where they were decided ``together``.

    The last id is asked for in every transaction: other processes may append to the same log.
    """
    last = execute("select coalesce(max(id), 0) from decisions")[0][0]
    batch = last + 1 if together and len(decisions) > 1 else None
    numbered = [replace(d, id=number, at=d.at or now()) for number, d in enumerate(decisions, last + 1)]
    columns = {name: [getattr(decision, name) for decision in numbered] for name in _NAMES}
    columns["soft_label"] = [None if label is None else list(map(float, label)) for label in columns["soft_label"]]
    execute.insert("decisions", {"set_id": [set_id] * len(numbered), "batch": [batch] * len(numbered), **columns})
    return numbered


def _decision(row: Sequence) -> Decision:
    values = dict(zip(_NAMES, row, strict=True))
    return Decision(**{**values, "soft_label": _tuple(values["soft_label"])})


def _state(state: Sequence, latest: Sequence, cause: Sequence) -> SampleState:
    pruned, label, soft_label, settled_by = state
    caused = None if all(value is None for value in cause) else _decision(cause)
    return SampleState(pruned, label, _tuple(soft_label), _decision(latest), caused, settled_by or "")


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
