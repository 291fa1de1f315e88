"""The queue of samples to decide: which ones, in what order, with what suggestion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from analysis.registry import analyses
from app.asking_queue import QUOTA, RIGHT, SOURCES, TIME, WAYS, WRONG, Asking, pace_of, waiting
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
IN_HAND = 3
"""Cards that stay in front through a new order: the one that a person looks at, and those that they may be ahead by."""
FLAGGED, LOWEST, STORED, SKIPPED = "flagged", "lowest score", "stored order", "skipped before"
# The evidence columns that a suggestion is made of, whichever analysis writes them.
SUGGESTED_LABEL, SUGGESTED_P, TWIN = "suggested_label", "p_suggested", "nearest_id"


@dataclass(frozen=True)
class Queue:
    """What to decide about: ``way`` is one of the constants above, or of app.asking_queue.

    ``analysis`` names the finding it follows; those that ask for what is worth most choose it themselves.
    """

    way: str
    analysis: str | None = None
    classes: tuple[int, ...] | None = None

    @property
    def asks(self) -> bool:
        """Whether the order is worked out by app.asking_queue."""
        return self.way in WAYS

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
    """The queues that the finished analyses ``names`` offer: flagged label errors first, then what is worth asking most."""
    ordered = sorted(names, key=lambda name: (name not in SOURCES, name))
    flagged, lowest = ([Queue(way, name) for name in ordered] for way in (FLAGGED, LOWEST))
    suspicious = set(names) & set(SOURCES)
    asking = [Queue(way) for way in (WAYS if suspicious else (QUOTA,))]
    found = [*flagged[:1], *asking] if suspicious else []
    others = [*flagged[len(found[:1]) :], *lowest, *(() if suspicious else asking)]
    return [*found, *others, Queue(STORED), Queue(SKIPPED)]


def queue_title(queue: Queue) -> str:
    """A queue as the menu names it."""
    if queue.analysis is None:
        return _TITLES[queue.way]
    return f"{_title(queue.analysis)}: {'flagged, worst first' if queue.way == FLAGGED else 'everything, worst first'}"


def queue_meaning(queue: Queue) -> str:
    """What a queue does, in a sentence or two for whoever decides."""
    return _MEANINGS[queue.way]


_TITLES = {
    STORED: "Everything undecided, in stored order",
    SKIPPED: "Skipped before",
    WRONG: "Probably wrong, most telling first",
    TIME: "As many errors as fit into your time",
    QUOTA: "The same number from every class",
    RIGHT: "Probably right, most telling first",
}
_MEANINGS = {
    FLAGGED: "Only what this analysis flags, its lowest score first.",
    LOWEST: "Every undecided sample, the lowest score of this analysis first.",
    STORED: "Every undecided sample, as the set stores them: no analysis chooses what you see.",
    SKIPPED: "What somebody put aside without deciding.",
    WRONG: (
        "Labels that are probably wrong and about which the evidence is divided, so that your answers find errors and also "
        "sharpen the order of what follows. The surest errors, which teach least, come later."
    ),
    TIME: (
        "The most probable errors first, as many as you can decide in the minutes you have, at your own pace. The clock "
        "counts only what you spend on decisions."
    ),
    QUOTA: (
        "The most suspicious of every class in turn, the least decided class first, until each has its number of decisions. "
        "For judging all classes evenly, also those that nothing is flagged in."
    ),
    RIGHT: (
        "Labels that are probably right although the evidence is divided: confirming them gives the analyses examples to "
        "rely on where they are unsure. Finds few errors."
    ),
}


def next_ids(set_id: str, queue: Queue, asking: Asking, who: str, shown: Sequence[int]) -> tuple[list[int], int]:
    """The ids of the next cards of ``queue``, and how many it holds altogether.

    Of the cards ``shown`` before, the first few that are still undecided stay in front, whatever a new order says: a person
    may be looking at one of them.
    """
    workspace, query = services().workspace, queue.query
    still = set(workspace.select(set_id, SampleQuery(decision=query.decision, among=list(shown))).ids.tolist())
    kept = [i for i in shown if i in still][:IN_HAND]
    if queue.asks:
        left = waiting(set_id, asking, pace_of(set_id, who), kept)
        ids, total = left[:AHEAD].tolist(), len(left)
        kept = kept[:1]  # the one being looked at; the others only where they are still wanted
    else:
        page = workspace.select(set_id, query)
        ids, total = page.ids.tolist(), page.total
    return (kept + [i for i in ids if i not in kept])[:AHEAD], max(total, len(kept))


def cards(
    set_id: str, distilled_set: DistilledSet, ids: Sequence[int], finding: str | None, contrast: Contrast
) -> list[CardItem]:
    """The samples ``ids`` as cards, with what ``finding`` suggests before what others do."""
    states = services().workspace.states(set_id, ids)
    return [_card(set_id, distilled_set, i, states.get(i, SampleState()), finding, contrast) for i in ids]


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
    set_id: str, distilled_set: DistilledSet, i: int, state: SampleState, finding: str | None, contrast: Contrast
) -> CardItem:
    evidence = services().workspace.evidence_of(set_id, i)
    suggestion = suggest(finding, evidence, int(distilled_set.labels[i]), distilled_set.class_names)
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
