"""Which samples to show, and in what order: a question, and the SQL that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from data.errors import ImpossibleRequest
from data.evidence import Evidence, text
from data.soft_labels import Ids
from data.workspace_tables import Columns

DecisionFilter = Literal["undecided", "decided", "kept", "relabelled", "softened", "pruned", "skipped"]
DECISION_FILTERS: tuple[DecisionFilter, ...] = get_args(DecisionFilter)
DECIDED = ("kept", "relabelled", "softened", "pruned")


class ScoreRange(NamedTuple):
    """Samples whose score in ``analysis`` lies in [low, high]; a score that says nothing (NaN) never does."""

    analysis: str
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class SampleQuery:
    """All conditions must hold; None leaves one out. Ties, and an unsorted page, are in the order of sample ids.

    ``decision``: "undecided" are those that no decision settles and nobody skipped; "decided" is kept, relabelled,
    softened or pruned. ``among``: sample ids, as a lasso gives them. ``sort_by``: ``(analysis, column)`` or
    ``("label",)``; samples without a value come last either way.
    """

    classes: tuple[int, ...] | None = None
    flagged_by: str | None = None
    score_of: ScoreRange | tuple[str, float, float] | None = None
    decision: DecisionFilter | None = None
    among: Ids | None = None
    sort_by: tuple[str, str] | tuple[Literal["label"]] | None = None
    descending: bool = False
    offset: int = 0
    limit: int = 100

    def __post_init__(self) -> None:
        if self.decision is not None and self.decision not in DECISION_FILTERS:
            raise ImpossibleRequest(
                f"there is no decision filter '{self.decision}'; choose one of {', '.join(DECISION_FILTERS)}."
            )
        if self.offset < 0 or self.limit < 0:
            raise ImpossibleRequest("a page needs an offset and a limit of 0 or more.")

    @property
    def takes_all(self) -> bool:
        """Whether every sample fits, in stored order, so that nobody need be asked."""
        asked = (self.classes, self.flagged_by, self.score_of, self.decision, self.among, self.sort_by)
        return all(condition is None for condition in asked)

    @property
    def analyses(self) -> tuple[str, ...]:
        """The analyses whose evidence the answer needs."""
        sort = self.sort_by[0] if self.sort_by is not None and len(self.sort_by) == 2 else None
        score = self.score_of[0] if self.score_of is not None else None
        return tuple({name for name in (self.flagged_by, score, sort) if name is not None})


@dataclass(frozen=True, eq=False)
class SamplePage:
    """``ids`` int64 (at most limit,): this page; ``total``: how many samples the conditions leave altogether."""

    ids: np.ndarray
    total: int


@dataclass(frozen=True)
class Statement:
    """SQL with one row: how many samples fit, and the ids of the page as a list (None where it is empty).

    ``tables`` are columns that it reads like tables.
    """

    sql: str
    parameters: list[Any]
    tables: dict[str, Columns]


def statement(set_id: str, size: int, query: SampleQuery, evidence: Mapping[str, Evidence]) -> Statement:
    """The SQL that answers ``query`` about a set of ``size`` samples. ``evidence`` by the names in ``query.analyses``."""
    source, join, key = _source(size, query, evidence)
    where = _Where()
    if source == _LABELS:
        where.add("samples.set_id = ?", set_id)
    _add_conditions(where, set_id, query, evidence)
    order = f"sort_key {'desc' if query.descending else 'asc'} nulls last, sample_id"
    sql = (
        f"with fitting as materialized (select samples.sample_id, {key} as sort_key from {source} as samples{join}{where}), "
        f"page as (select * from fitting order by {order} limit {int(query.limit)} offset {int(query.offset)}) "
        f"select (select count(*) from fitting), (select list(sample_id order by {order}) from page)"
    )
    return Statement(sql, where.parameters, where.tables)


_LABELS = "labels"


@dataclass
class _Where:
    conditions: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    tables: dict[str, Columns] = field(default_factory=dict)

    def add(self, condition: str, *parameters: Any) -> None:
        self.conditions.append(condition)
        self.parameters += parameters

    def __str__(self) -> str:
        return f" where {' and '.join(self.conditions)}" if self.conditions else ""


def _source(size: int, query: SampleQuery, evidence: Mapping[str, Evidence]) -> tuple[str, str, str]:
    """The table that is read, what is joined to order it, and the expression that does.

    Where the evidence to sort by covers every sample, it alone is read: joining a million labels only to drop them
    would take most of the time.
    """
    if query.sort_by is None:
        return _LABELS, "", "null"
    if len(query.sort_by) == 1:
        return _LABELS, "", "samples.label"
    found = evidence[query.sort_by[0]]
    keys = f"(select sample_id, {found.column(query.sort_by[1])} as sort_key from {found.source})"
    if found.rows == size and query.classes is None:
        return keys, "", "sort_key"
    return _LABELS, f" left join {keys} as keys using (sample_id)", "sort_key"


def _add_conditions(where: _Where, set_id: str, query: SampleQuery, evidence: Mapping[str, Evidence]) -> None:
    if query.classes is not None:
        where.add("list_contains(?::bigint[], samples.label)", [int(c) for c in query.classes])
    if query.flagged_by is not None:
        where.add(_within(f"select sample_id from {evidence[query.flagged_by].source} where flag"))
    if query.score_of is not None:
        name, low, high = query.score_of
        scored = f"select sample_id from {evidence[name].source} where {evidence[name].column('score')} between ? and ?"
        where.add(_within(scored), float(low), float(high))
    if query.decision is not None:
        where.add(_decision_condition(query.decision), set_id)
    if query.among is not None:
        where.add(_within("select sample_id from among"))
        where.tables["among"] = {"sample_id": np.unique(np.asarray(query.among, dtype=np.int64))}


def _decision_condition(wanted: DecisionFilter) -> str:
    states = "select sample_id from sample_states where set_id = ? and category"
    if wanted == "undecided":
        return _within(f"{states} <> 'undecided'", negated=True)
    categories = DECIDED if wanted == "decided" else (wanted,)
    return _within(f"{states} in ({', '.join(map(text, categories))})")


def _within(ids: str, negated: bool = False) -> str:
    return f"samples.sample_id {'not ' if negated else ''}in ({ids})"
