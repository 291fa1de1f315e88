"""The decision log of one set, read a page at a time; the database filters and counts, so that its length matters little.

Standard SQL: DuckDB and PostgreSQL both understand it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from data.audit import Effect, Standing, Step, effects
from data.decisions import Decision
from data.errors import ImpossibleRequest
from data.soft_labels import Ids
from data.workspace_tables import WANTED, Columns, Tables, wanted

IMPORTED = "import: "
"""The finding of a decision that came from a file starts with this; the file's name follows."""
CHUNK = 20_000
_NAMES = tuple(f.name for f in fields(Decision))
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)
_AMONG = "in (select sample_id from wanted)"
_UNDONE = "id in (select undoes from decisions where set_id = ? and undoes is not null)"


@dataclass(frozen=True)
class LogQuery:
    """Which entries, newest first; None asks for all. ``classes``: entries about samples given one of these classes, or
    relabelled to one; ``since`` and ``until`` ISO 8601 in UTC, from and before; ``undone``: only those taken back, or only
    those not."""

    annotator: str | None = None
    action: str | None = None
    classes: tuple[int, ...] | None = None
    finding: str | None = None
    since: str | None = None
    until: str | None = None
    sample_id: int | None = None
    undone: bool | None = None
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True)
class Held:
    """How a sample stands: ``label`` and ``soft_label`` are None where the given ones do; ``pruned``: it is left out."""

    label: int | None = None
    soft_label: tuple[float, ...] | None = None
    pruned: bool = False


@dataclass(frozen=True)
class LogRow:
    """One entry, how its sample stood ``before`` and ``after`` it, and the undo that took it back, if one did."""

    decision: Decision
    before: Held
    after: Held
    undone_by: Decision | None = None


@dataclass(frozen=True)
class LogTotal:
    """Of one annotator and action: ``entries``, how many of them were taken back since, and the ``seconds`` taken by those
    ``timed`` entries that say so."""

    annotator: str
    action: str
    entries: int
    undone: int
    timed: int
    seconds: float


@dataclass(frozen=True)
class ImportedBatch:
    """The decisions that came from one file at once; ``batch`` names them, ``left`` were not taken back."""

    batch: int
    finding: str
    entries: int
    left: int


class LogPages:
    """Reads only."""

    def __init__(self, tables: Tables, set_id: str) -> None:
        self._tables = tables
        self._set_id = set_id

    def count(self, query: LogQuery) -> int:
        """How many entries fit, whatever ``offset`` and ``limit`` say."""
        condition, values = self._condition(query)
        return int(self._tables.rows(f"select count(*) from decisions where {condition}", values)[0][0])

    def page(self, query: LogQuery) -> list[LogRow]:
        """The entries that fit, newest first, at most ``limit`` from ``offset`` on."""
        condition, values = self._condition(query)
        place = f"limit {int(query.limit)} offset {int(query.offset)}"
        found = self._tables.rows(f"select id from decisions where {condition} order by id desc {place}", values)
        entries = self._entries([row[0] for row in found])
        happened = self._effects(entries)
        held = self._held({e.settled for effect in happened.values() for e in (effect.before, effect.after)})
        undos = self._undos([entry.id for entry in entries])
        return [
            LogRow(e, held(happened[e.id].before), held(happened[e.id].after), undos.get(e.id)) for e in reversed(entries)
        ]

    def totals(self, query: LogQuery) -> list[LogTotal]:
        """One row for each annotator and action among the entries that fit, most entries first."""
        condition, values = self._condition(query)
        rows = self._tables.rows(
            f"select annotator, action, count(*), sum(case when {_UNDONE} then 1 else 0 end), count(seconds), "
            f"coalesce(sum(seconds), 0) from decisions where {condition} group by annotator, action "
            "order by count(*) desc, annotator, action",
            [self._set_id, *values],
        )
        return [LogTotal(who, what, int(n), int(undone), int(timed), float(s)) for who, what, n, undone, timed, s in rows]

    def named(self, column: str) -> list[str]:
        """What there is in the column "annotator" or "finding", in alphabetical order."""
        if column not in ("annotator", "finding"):
            raise ImpossibleRequest(f"the log has no list of '{column}'; ask for annotator or finding.")
        sql = f"select distinct {column} from decisions where set_id = ? and {column} is not null order by {column}"
        return [row[0] for row in self._tables.rows(sql, [self._set_id])]

    def chunks(self, size: int = CHUNK) -> Iterator[list[Decision]]:
        """The whole log, oldest first, at most ``size`` entries at a time."""
        last = -1
        while True:
            sql = f"select {_COLUMNS} from decisions where set_id = ? and id > ? order by id limit {int(size)}"
            rows = self._tables.rows(sql, [self._set_id, last])
            if not rows:
                return
            yield [_decision(row) for row in rows]
            last = rows[-1][_NAMES.index("id")]

    def standing(self, ids: Ids) -> list[Decision]:
        """The entries about ``ids`` that were not taken back, oldest first."""
        rows = self._tables.rows(
            f"select {_COLUMNS} from standing where set_id = ? and {WANTED} order by id", [self._set_id], wanted=wanted(ids)
        )
        return [_decision(row) for row in rows]

    def imports(self) -> list[ImportedBatch]:
        """What came from files, newest first."""
        rows = self._tables.rows(
            f"select coalesce(batch, id) as part, min(finding), count(*), sum(case when {_UNDONE} then 0 else 1 end) "
            "from decisions where set_id = ? and action <> 'undo' and finding like ? "
            "group by coalesce(batch, id) order by coalesce(batch, id) desc",
            [self._set_id, self._set_id, f"{IMPORTED}%"],
        )
        return [ImportedBatch(int(part), finding, int(n), int(left)) for part, finding, n, left in rows]

    def _condition(self, query: LogQuery) -> tuple[str, list[Any]]:
        parts, values = ["set_id = ?"], [self._set_id]
        for name, sign, value in (
            ("annotator", "=", query.annotator),
            ("action", "=", query.action),
            ("finding", "=", query.finding),
            ("sample_id", "=", query.sample_id),
            ('"at"', ">=", query.since),
            ('"at"', "<", query.until),
        ):
            if value is not None:
                parts.append(f"{name} {sign} ?")
                values.append(value)
        if query.classes is not None:
            among = ", ".join(str(int(label)) for label in query.classes) or "-1"
            given = f"select sample_id from labels where set_id = ? and label in ({among})"
            parts.append(f"(label in ({among}) or sample_id in ({given}))")
            values.append(self._set_id)
        if query.undone is not None:
            parts.append(_UNDONE if query.undone else f"not ({_UNDONE})")
            values.append(self._set_id)
        return " and ".join(parts), values

    def _entries(self, ids: Sequence[int]) -> list[Decision]:
        """The entries of these ids, oldest first."""
        if not ids:
            return []
        rows = self._tables.rows(f"select {_COLUMNS} from decisions where id {_AMONG} order by id", wanted=_these(ids))
        return [_decision(row) for row in rows]

    def _effects(self, entries: Sequence[Decision]) -> dict[int, Effect]:
        if not entries:
            return {}
        rows = self._tables.rows(
            f"select id, sample_id, action, undoes from decisions where set_id = ? and id <= ? and {WANTED} order by id",
            [self._set_id, entries[-1].id],
            wanted=wanted([entry.sample_id for entry in entries]),
        )
        return dict(effects((Step(*row) for row in rows), [entry.id for entry in entries]))

    def _held(self, ids: set[int | None]) -> Callable[[Standing], Held]:
        """A function that says in labels what a Standing says in ids, of which ``ids`` are all that it is asked about."""
        settled = {entry.id: entry for entry in self._entries([i for i in ids if i is not None])}

        def held(standing: Standing) -> Held:
            entry = settled.get(standing.settled)
            return Held(pruned=standing.pruned) if entry is None else Held(entry.label, entry.soft_label, standing.pruned)

        return held

    def _undos(self, ids: Sequence[int]) -> dict[int, Decision]:
        """The undo of each of the entries ``ids`` that was taken back."""
        if not ids:
            return {}
        sql = f"select {_COLUMNS} from decisions where set_id = ? and action = 'undo' and undoes {_AMONG}"
        rows = self._tables.rows(sql, [self._set_id], wanted=_these(ids))
        return {undo.undoes: undo for undo in map(_decision, rows)}


def _these(ids: Sequence[int]) -> Columns:
    return wanted(ids)  # a table of one column of numbers, whatever they number


def _decision(row: Sequence[Any]) -> Decision:
    values = dict(zip(_NAMES, row, strict=True))
    soft_label = values.pop("soft_label")
    return Decision(**values, soft_label=None if soft_label is None else tuple(soft_label))
