"""The queue of samples to decide: which ones, in what order; and what is decided goes to the log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from analysis.registry import analyses, title_of
from app.asking_queue import QUOTA, RIGHT, SOURCES, TIME, WAYS, WRONG, Asking, pace_of, waiting
from app.components.event_queue import Event
from app.identity import signed_by
from app.roles import may, require
from app.services import services
from app.standing_labels import decision_of
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.sample_query import SampleQuery

AHEAD = 40
"""The browser is sent as many of these as fit (app.cards)."""
IN_HAND = 3
"""Cards that stay in front through a new order: the one that a person looks at, and those that they may be ahead by."""
FLAGGED, LOWEST, STORED, SKIPPED = "flagged", "lowest score", "stored order", "skipped before"
SHARED = "shared"


@dataclass(frozen=True)
class Queue:
    """What to decide about: ``way`` is one of the constants above, or of app.asking_queue.

    ``analysis`` names the finding it follows; those that ask for what is worth most choose it themselves. ``shared`` is the
    number of a SHARED one, which app.shared_queue knows.
    """

    way: str
    analysis: str | None = None
    classes: tuple[int, ...] | None = None
    shared: int | None = None

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
    return f"{title_of(queue.analysis)}: {'flagged, worst first' if queue.way == FLAGGED else 'everything, worst first'}"


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


def commit_events(set_id: str, who: str, finding: str | None, events: list[Event], own: bool = False) -> None:
    """Write what the browser sent to the log, in order, leaving out what is there already.

    A browser that was cut off offers its decisions again, maybe to another process; the same sample at the same browser
    time is the same decision. ``finding`` is what they are asked under now; one that says itself what it was asked under, as
    after a reload, keeps that. An undo takes back the person's own decision before anybody else's, and only that where all
    are their ``own``; a relabel to the given label, of which a blind card knows nothing, is a keep. One that the set cannot
    be given never holds back the others. Signed by who is logged in, else by the name that came with it, else by ``who``.
    Raises NotAllowed, nothing is then written; and UnreadableInput where the labels that an edit builds on cannot be read;
    it and what follows then wait in the browser.
    """
    require("decide")
    undo_others = may("undo others") and not own
    names = {author: signed_by(author or who) for author in {event.author for event in events}}
    findings = {said: _asked_under(set_id, said, finding) for said in {event.finding for event in events}}
    if any(event.action == "relabel" for event in events):
        events = _keeps(services().workspace.load(set_id), events)
    for together in _batches(events):
        decisions = []
        for event in together:
            with suppress(ImpossibleRequest):
                decisions.append(decision_of(set_id, event, names[event.author], findings[event.finding]))
        services().workspace.decide_new(set_id, decisions, undo_others)


def _asked_under(set_id: str, said: str | None, finding: str | None) -> str | None:
    """What an event whose ``finding`` is ``said`` was asked under: that, where there is one of that name, and ``finding``
    where it does not say."""
    if said is None or said == (finding or ""):
        return finding
    blind = {queue.under for queue in services().workspace.queues.of_set(set_id)}
    return said if said in blind or said in analyses() else None


def _keeps(distilled_set: DistilledSet, events: list[Event]) -> list[Event]:
    """The same events, in which a relabel to the given label is a keep."""

    def confirms(event: Event) -> bool:
        known = event.action == "relabel" and event.sample_id < len(distilled_set)
        return known and event.label == int(distilled_set.labels[event.sample_id])

    return [replace(event, action="keep", label=None) if confirms(event) else event for event in events]


def _batches(events: list[Event]) -> list[list[Event]]:
    """Events that can be written together: what a soften comes to depends on all that was written before it."""
    found: list[list[Event]] = []
    for event in events:
        if not found or event.action == "soften":
            found.append([])
        found[-1].append(event)
    return found
