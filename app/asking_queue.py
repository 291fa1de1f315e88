"""The queues that ask for what is worth most: which samples, in what order, learning from every batch of decisions.

An order is worked out once a batch and kept: a decision only takes samples off it. No Streamlit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from analysis.asking import (
    Pace,
    anchored,
    by_quota,
    entropy,
    informativeness,
    pace,
    ranked,
    relearned,
    right_and_telling,
    within_time,
    wrong_and_telling,
)
from analysis.found_curve import Settled, settled
from analysis.registry import analyses
from app.services import services
from data.decisions import Decision
from data.errors import ImpossibleRequest
from data.sample_query import SampleQuery

WRONG, TIME, QUOTA, RIGHT = "wrong and telling", "time budget", "class quota", "right and telling"
WAYS = (WRONG, TIME, QUOTA, RIGHT)
SOURCES = ("combined_evidence", "label_errors")
"""Analyses that say how probably a label is wrong; the first that says so of any sample is followed."""
BATCH = 20
QUOTA_A_CLASS, MINUTES = 5, 10
LATEST_TIMED = 500
KEPT = 8


@dataclass(frozen=True)
class Asking:
    """One such queue: ``way`` is one of WAYS; ``quota`` decisions a class, or ``seconds`` left of a time budget.

    ``batch`` decisions later the order is worked out anew.
    """

    way: str
    classes: tuple[int, ...] | None = None
    quota: int = QUOTA_A_CLASS
    seconds: float = 60.0 * MINUTES
    batch: int = BATCH


@dataclass(frozen=True, eq=False)
class Suspicion:
    """How probably each label is wrong, ``p_wrong`` (N,), and how much a decision would teach, ``information`` (N,).

    NaN where nobody can say. ``source`` is the analysis that says so, None where none does. ``corrected`` says that it has
    learnt from at least a batch of decisions, here or in the analysis itself: until then it may be far from any share.
    """

    source: str | None
    p_wrong: np.ndarray
    information: np.ndarray
    corrected: bool = False


@dataclass(frozen=True)
class _Known:
    """What an order rests on: the results at hand, and how many batches of decisions there are."""

    workspace: Path
    set_id: str
    runs: tuple[tuple[str, str], ...]
    batches: int


def learns(source: str | None) -> bool:
    """Whether an analysis is itself run again with what people settled."""
    return source in analyses() and analyses()[source].reads_verdicts


def decided_of(set_id: str) -> int:
    """How many samples people have settled."""
    return settled_among(services().workspace.decision_counts(set_id))


def settled_among(counts: Mapping[str, int]) -> int:
    """The same of counts at hand, as ``Workspace.decision_counts`` gives them."""
    return sum(counts.values()) - counts["undecided"] - counts["skipped"]


def suspicion(set_id: str, batch: int = BATCH) -> Suspicion:
    """What is known of every label now, up to the last whole batch of decisions."""
    return _suspicion(_known(set_id, batch))


def waiting(set_id: str, asking: Asking, own_pace: Pace, in_hand: Sequence[int] = ()) -> np.ndarray:
    """The ids that ``asking`` has left, int64 (n,), the next one first. Skipped samples wait in their own queue.

    What is ``in_hand`` comes before the rest, whatever the order says: of its class, where that is what counts.
    """
    known = _known(set_id, asking.batch)
    order, p_wrong = _order(known, asking.way, asking.classes), _suspicion(known).p_wrong
    first = np.asarray(in_hand, dtype=np.int64)
    order = np.concatenate([first, order[~np.isin(order, first)]])
    decided, skipped = (_standing(set_id, what, len(p_wrong)) for what in ("decided", "skipped"))
    left = order[~(decided | skipped)[order]]
    if asking.way == QUOTA:  # counted anew each time: the order may have changed while a class's card was in hand
        labels = services().workspace.load(set_id).labels
        return by_quota(left, labels, np.bincount(labels[decided], minlength=int(labels.max()) + 1), asking.quota)
    if asking.way == TIME:
        return within_time(left, own_pace.seconds(p_wrong[left]), max(asking.seconds, 0.0))
    return left


def pace_of(set_id: str, who: str) -> Pace:
    """How fast ``who`` decides, by their own latest decisions on this set."""
    own = _own(set_id, who, LATEST_TIMED)
    return pace(np.array([d.seconds for d in own], dtype=float), np.array([d.action != "keep" for d in own], dtype=bool))


def seconds_spent(set_id: str, who: str, since: int) -> float:
    """Seconds that ``who`` took for what came after entry ``since`` of the log."""
    return sum(d.seconds or 0.0 for d in _own(set_id, who, None) if (d.id or 0) > since)


def settled_of(set_id: str) -> Settled:
    """What people settled about a set, in the order in which they did."""
    workspace = services().workspace
    return settled(workspace.settled(set_id), workspace.load(set_id).labels)


def _own(set_id: str, who: str, latest: int | None) -> list[Decision]:
    log = services().workspace.decisions(set_id, latest=latest)
    return [d for d in log if d.annotator == who and d.seconds is not None and d.action not in ("undo", "restore")]


def _known(set_id: str, batch: int) -> _Known:
    workspace = services().workspace
    finished = {name: workspace.latest_run(set_id, name) for name in workspace.evidence(set_id)}
    runs = tuple((name, run.id) for name, run in finished.items() if run is not None)
    return _Known(workspace.folder, set_id, runs, decided_of(set_id) // max(batch, 1))


@lru_cache(maxsize=KEPT)
def _suspicion(known: _Known) -> Suspicion:
    distilled_set = services().workspace.load(known.set_id)
    names = [name for name, _ in known.runs]
    suspected = {name: 1 - _column(known.set_id, name, "score", len(distilled_set)) for name in SOURCES if name in names}
    source = next((name for name, p_wrong in suspected.items() if np.isfinite(p_wrong).any()), None)
    if source is None:
        unknown = np.full(len(distilled_set), np.nan)
        return Suspicion(None, unknown, unknown)
    p_wrong = suspected[source]
    if not learns(source):
        p_wrong = anchored(p_wrong, np.nansum(_column(known.set_id, source, "flag", len(distilled_set))))
        if known.batches:
            done = settled_of(known.set_id)
            p_wrong = relearned(p_wrong, _scores(known, source, len(distilled_set)), done.ids, done.wrong)
    information = informativeness(entropy(p_wrong), _crowd(known))
    return Suspicion(source, p_wrong, information, known.batches > 0)


@lru_cache(maxsize=KEPT)
def _order(known: _Known, way: str, classes: tuple[int, ...] | None) -> np.ndarray:
    """All samples in the order of ``way``, decided ones included."""
    now, labels = _suspicion(known), services().workspace.load(known.set_id).labels
    ids = np.arange(len(labels)) if classes is None else np.flatnonzero(np.isin(labels, classes))
    if way == RIGHT:
        worth = right_and_telling(now.p_wrong, now.information)
        return ranked(worth, ids[worth[ids] > 0])  # what is probably wrong is no label to rely on
    if way == WRONG:
        return ranked(wrong_and_telling(now.p_wrong, now.information), ids)
    return ranked(now.p_wrong, ids)


def _scores(known: _Known, source: str, n: int) -> np.ndarray:
    """What to learn from beside ``source``, (N, F): the scores of all other analyses."""
    columns = [_column(known.set_id, name, "score", n) for name, _ in known.runs if name != source]
    return np.column_stack(columns) if columns else np.empty((n, 0))


def _column(set_id: str, analysis: str, column: str, n: int) -> np.ndarray:
    whole = np.full(n, np.nan)
    ids, values = services().workspace.evidence_values(set_id, analysis, column)
    whole[ids] = values
    return whole


def _crowd(known: _Known) -> np.ndarray | None:
    """How often each sample is among the nearest neighbours of others; None where nobody looked for neighbours."""
    for name, _ in known.runs:
        with suppress(ImpossibleRequest):
            return services().workspace.mentions(known.set_id, name, "neighbours").astype(float)
    return None


def _standing(set_id: str, decision: str, n: int) -> np.ndarray:
    """Which samples are "decided" or "skipped", bool (n,)."""
    mask = np.zeros(n, dtype=bool)
    mask[services().workspace.select(set_id, SampleQuery(decision=decision, limit=n)).ids] = True
    return mask
