"""How a shared queue stands, in words. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from analysis.asking import FEWEST_TIMED, pace
from data.queue_work import Claim, Progress, Worker
from data.queues import SharedQueue

LATEST_TIMED = 30
CHOOSING = ("keep", "relabel")
"""What choosing a class comes to; which of the two tells the label that a sample was given."""
_DID = {
    "keep": "kept",
    "relabel": "relabelled",
    "soften": "softened",
    "prune": "pruned",
    "restore": "restored",
    "skip": "skipped",
    "undo": "took a decision back",
}


def queue_facts(queue: SharedQueue) -> str:
    """What a queue is, in a sentence or two for whoever decides."""
    plan, parts = queue.plan, []
    parts.append("One person decides each sample" if plan.overlap == 1 else f"{plan.overlap} people decide each sample")
    if plan.blind:
        parts.append("blind")
    if plan.quota is not None:
        parts.append(f"at most {plan.quota:,} for each person")
    held = f"What you are given is yours for {minutes(plan.lease_seconds)}, longer while you go on."
    return f"{', '.join(parts)}. {held}"


def answers_words(found: Progress) -> str:
    """How far the queue is."""
    words = f"{found.complete:,} of {found.size:,} samples done"
    if found.wanted > found.size:
        words += f" ({found.answers:,} of {found.wanted:,} answers)"
    return words


def beyond_words(found: Progress) -> str:
    """Says where samples got more answers than were asked for, or ""."""
    if not found.beyond:
        return ""
    one = found.beyond == 1
    return (
        f"{found.beyond:,} sample{' has' if one else 's have'} more answers than asked for: a decision that comes after its "
        "time has run out is kept, too."
    )


def own_words(own: Worker, left: int) -> str:
    """One person's share."""
    skipped = f", {own.skipped:,} skipped" if own.skipped else ""
    return f"You: {own.answered:,} decided{skipped}, {left:,} left for you."


def pace_words(who: str, left: int, found: Progress, seconds: Mapping[str, Sequence[float]]) -> str:
    """One person's pace, and how long they and the queue will take at the paces seen; or that too little is known."""
    own = _seconds_each(seconds.get(who, ()))
    if own is None:
        return f"Your pace shows after {FEWEST_TIMED} timed decisions."
    timed = min(len(seconds[who]), LATEST_TIMED)
    words = f"Your pace: {60 / own:.1f} a minute (your latest {timed}): {minutes(left * own)} for what is left for you."
    at_it = [worker.who for worker in found.workers if worker.holding and _seconds_each(seconds.get(worker.who, ()))]
    if found.answers < found.wanted and at_it:
        rate = sum(1 / each for person in at_it if (each := _seconds_each(seconds[person])))
        people = "you alone" if at_it == [who] else f"the {len(at_it)} at it now"
        words += f" The queue: {minutes((found.wanted - found.answers) / rate)} at the pace of {people}."
    return words


def why_words(claim: Claim, queue: SharedQueue) -> str:
    """Why nothing is left for a person."""
    if claim.why == "quota":
        return f"You have done the {queue.plan.quota:,} that one person does in this queue."
    if claim.why == "closed":
        return "This queue was closed: it hands out nothing more."
    if claim.why == "held":
        until = "" if claim.free_at is None else f", until {clock(claim.free_at)} UTC unless they decide them before"
        return f"Others hold the {claim.left:,} left{until}. Look again then: what they leave comes to you."
    return "Everything in this queue that you could decide is done."


def said_words(said: Mapping[str, tuple[int, float]], blind: bool = False) -> str:
    """What a person decided in a queue, and how long it took; where it was ``blind``, not how often they met the label that
    a sample has."""
    if not said:
        return "You decided nothing in it."
    found: dict[str, int] = {}
    for action, (many, _) in said.items():
        words = "labelled" if blind and action in CHOOSING else _DID[action]
        found[words] = found.get(words, 0) + many
    counts = ", ".join(f"{many:,} {words}" for words, many in found.items())
    return f"You decided: {counts}. That took {minutes(sum(seconds for _, seconds in said.values()))}."


def did(action: str) -> str:
    """An action as something that was done."""
    return _DID.get(action, action)


def minutes(seconds: float) -> str:
    """A time that one can read at a glance; a float is not."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def clock(at: float) -> str:
    """Hours and minutes of a time in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def _seconds_each(seconds: Sequence[float]) -> float | None:
    """The mean of the latest, pauses cut; None where there are too few."""
    timed = np.array(seconds[:LATEST_TIMED], float)
    found = pace(timed, np.zeros(len(timed), bool))
    return max(found.keep, 1e-3) if found.timed else None
