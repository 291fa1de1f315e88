"""The queue of samples to decide: which ones, in what order, with what suggestion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from analysis.registry import analyses
from app.components.decision_card import CardItem, Suggestion
from app.components.event_queue import Event
from app.components.soft_label_bars import bars_data
from app.images import large
from app.sample_panel import label_bars
from app.services import services
from data.decisions import SampleState
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.pixels import Contrast
from data.sample_query import SampleQuery

AHEAD = 12
FLAGGED, LOWEST, STORED, SKIPPED = "flagged", "lowest score", "stored order", "skipped before"
# The evidence columns that a suggestion is made of, whichever analysis writes them.
SUGGESTED_LABEL, SUGGESTED_P, TWIN = "suggested_label", "p_suggested", "nearest_id"


@dataclass(frozen=True)
class Queue:
    """What to decide about: ``way`` is one of the constants above; ``analysis`` names the finding it follows."""

    way: str
    analysis: str | None = None
    classes: tuple[int, ...] | None = None

    @property
    def query(self) -> SampleQuery:
        base = SampleQuery(classes=self.classes, decision="undecided", limit=AHEAD)
        if self.way == SKIPPED:
            return replace(base, decision="skipped")
        if self.analysis is None:
            return base
        flagged = self.analysis if self.way == FLAGGED else None
        return replace(base, flagged_by=flagged, sort_by=(self.analysis, "score"))


def queues(names: Sequence[str]) -> list[Queue]:
    """The queues that the finished analyses ``names`` offer, label errors first."""
    ordered = sorted(names, key=lambda name: (name != "label_errors", name))
    by_finding = [Queue(way, name) for way in (FLAGGED, LOWEST) for name in ordered]
    return [*by_finding, Queue(STORED), Queue(SKIPPED)]


def queue_title(queue: Queue) -> str:
    """A queue as the menu names it."""
    if queue.analysis is None:
        return {STORED: "Everything undecided, in stored order", SKIPPED: "Skipped before"}[queue.way]
    return f"{_title(queue.analysis)}: {'flagged, worst first' if queue.way == FLAGGED else 'everything, worst first'}"


def cards(set_id: str, distilled_set: DistilledSet, queue: Queue, contrast: Contrast) -> tuple[list[CardItem], int]:
    """The next cards of ``queue``, and how many it holds altogether."""
    workspace = services().workspace
    page = workspace.select(set_id, queue.query)
    states = workspace.states(set_id, page.ids)
    items = [_card(set_id, distilled_set, int(i), states.get(int(i), SampleState()), queue, contrast) for i in page.ids]
    return items, page.total


def commit_events(set_id: str, who: str, finding: str | None, events: list[Event]) -> None:
    """Write what the browser sent to the log, in order, leaving out what an earlier process already wrote.

    A browser that was cut off offers its decisions again; the same sample at the same browser time is the same decision.
    """
    workspace = services().workspace
    written = {(d.sample_id, d.at, d.action) for i in {e.sample_id for e in events} for d in workspace.decisions(set_id, i)}
    new = [event for event in events if not event.at or (event.sample_id, event.at, event.action) not in written]
    for event in new:  # one by one, so that one which the set cannot be given never holds back the others
        with suppress(ImpossibleRequest):
            workspace.decide(set_id, event.decision(who, finding).stamped(who))


def _card(
    set_id: str, distilled_set: DistilledSet, i: int, state: SampleState, queue: Queue, contrast: Contrast
) -> CardItem:
    evidence = services().workspace.evidence_of(set_id, i)
    suggestion = suggest(queue.analysis, evidence, int(distilled_set.labels[i]), distilled_set.class_names)
    return CardItem(
        id=i,
        image="" if distilled_set.images is None else large(distilled_set.images, i, contrast),
        given=int(distilled_set.labels[i]),
        label=state.label,
        pruned=state.pruned,
        suggestion=suggestion,
        note=_flags(evidence),
        bars=bars_data(
            distilled_set.class_names,
            label_bars(distilled_set, i),
            given=int(distilled_set.labels[i]),
            suggested=None if suggestion is None else suggestion.label,
        ),
    )


def suggest(
    first: str | None, evidence: dict[str, dict[str, Any]], given: int, class_names: Sequence[str]
) -> Suggestion | None:
    """What the flagged findings propose, the queue's own finding before the others; only flags propose anything."""
    for name in sorted(evidence, key=lambda name: name != first):
        found = evidence[name]
        if not found.get("flag"):
            continue
        label, twin = found.get(SUGGESTED_LABEL), found.get(TWIN)
        if label is not None and label not in (-1, given):
            share = f" gets {found[SUGGESTED_P]:.0%} here" if found.get(SUGGESTED_P) is not None else ""
            return Suggestion("relabel", int(label), "wrong label", f"{_title(name)}: {class_names[int(label)]}{share}")
        if twin is not None and twin >= 0:
            return Suggestion("prune", None, "duplicate", f"{_title(name)}: nearly the same as sample {int(twin)}")
    return None


def _title(name: str) -> str:
    return analyses()[name].title if name in analyses() else name


def _flags(evidence: dict[str, dict[str, Any]]) -> str:
    flagged = [_title(name).lower() for name, found in evidence.items() if found.get("flag")]
    return f"flagged by {', '.join(flagged)}" if flagged else ""
