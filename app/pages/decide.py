"""Decide: one image at a time, by keyboard; every decision is on disk before the next rerun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from app.asking_queue import (
    BATCH,
    MINUTES,
    QUOTA,
    QUOTA_A_CLASS,
    TIME,
    Asking,
    decided_of,
    pace_of,
    seconds_spent,
    settled_among,
    suspicion,
)
from app.cards import cards
from app.components.decision_card import decision_card
from app.components.event_queue import Event
from app.found_panel import found_panel
from app.fragments import fragment
from app.history import decided_before, for_card, history_panel, in_front, reopened
from app.identity import name_prompt, scope_of
from app.queue import Queue, commit_events, next_ids, queue_meaning, queue_title, queues
from app.refit import refits
from app.refit_words import learning_words, pace_words
from app.selection import current_set
from app.services import services
from app.shared_deciding import Desk, NextSteps, queue_kept, shared_deciding
from app.shared_queue import hand_back, shared_queues, shared_title
from app.shared_queue_words import queue_facts
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.pixels import CONTRASTS
from data.workspace import SetRecord

QUEUE, LONE_QUEUE, NARROW = 290, 410, 116
"""Everything above the card fits into one line at 1280 pixels."""


@dataclass(frozen=True)
class _Choice:
    """What the person chose above the card."""

    queue: Queue
    asking: Asking
    contrast: str
    who: str


def decide_page(following: NextSteps = NextSteps()) -> None:
    record, distilled_set = current_set()
    st.title("Decide")
    choice = _choices(record, distilled_set)
    number = choice.queue.shared
    hand_back(unless=None if number is None else (number, choice.who))
    _deciding(record, distilled_set, choice, following)


def _choices(record: SetRecord, distilled_set: DistilledSet) -> _Choice:
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
    place, amounts, classes = row.empty(), row.empty(), row.empty()
    who = name_prompt(row, NARROW)  # first: a shared queue holds something else for everybody
    queue = _queue_menu(place, record, who)
    asking = _amounts(amounts, record, queue)
    chosen = None if queue.shared else _class_menu(classes, record, distilled_set)
    with row.popover("More", icon=":material/tune:"):
        contrast = st.selectbox("Contrast", CONTRASTS, key="decide contrast")
        asking = _learning_pace(record, queue, asking)
    shared = None if queue.shared is None else services().workspace.queues.get(queue.shared)
    st.caption(queue_meaning(queue) if shared is None else plain(queue_facts(shared)))
    return _Choice(replace(queue, classes=chosen), replace(asking, classes=chosen), contrast, who)


def _queue_menu(place: st.delta_generator.DeltaGenerator, record: SetRecord, who: str) -> Queue:
    """A menu whose lines count what is left. Streamlit knows a choice by its line, so that other lines take another menu."""
    choices = [*shared_queues(record.id), *queues(services().workspace.judging(record.id))]
    lines = {
        choice: queue_title(choice) if choice.shared is None else shared_title(choice.shared, who) for choice in choices
    }
    kept = queue_kept(record.id)
    chosen = st.session_state.get(kept)
    if chosen not in choices:
        chosen = _first_with_work(record, choices, who)
    key = f"{kept} menu {hash(tuple(lines.values()))}"
    # Whatever this menu held: a choice in the one before, which was still there while this one was drawn, must not be lost.
    st.session_state[kept] = st.session_state[key] = chosen
    width = QUEUE if chosen.way in (QUOTA, TIME) else LONE_QUEUE
    options = {"format_func": lines.__getitem__, "key": key, "on_change": _keep_choice, "args": (kept, key)}
    return place.selectbox("Queue", choices, width=width, **options)


def _keep_choice(kept: str, key: str) -> None:
    st.session_state[kept] = st.session_state[key]


def _class_menu(
    place: st.delta_generator.DeltaGenerator, record: SetRecord, distilled_set: DistilledSet
) -> tuple[int, ...] | None:
    classes = place.multiselect(
        "Class",
        range(distilled_set.num_classes),
        format_func=distilled_set.class_names.__getitem__,
        placeholder="all",
        key=f"queue classes {record.id}",
        width=150,
    )
    return tuple(classes) or None


def _amounts(row: st.delta_generator.DeltaGenerator, record: SetRecord, queue: Queue) -> Asking:
    """The numbers that a queue takes, beside it; ``seconds`` is the whole budget here, whatever is spent of it."""
    if not queue.asks:
        return Asking(queue.way)
    asking = Asking(queue.way)
    if queue.way == QUOTA:
        quota = row.number_input("For each class", 1, 10_000, QUOTA_A_CLASS, key=f"quota {record.id}", width=NARROW)
        asking = replace(asking, quota=int(quota))
    if queue.way == TIME:
        minutes = row.number_input("Minutes", 1, 600, MINUTES, key=f"minutes {record.id}", width=NARROW)
        asking = replace(asking, seconds=60.0 * minutes)
    return asking


def _learning_pace(record: SetRecord, queue: Queue, asking: Asking) -> Asking:
    if not queue.asks:
        return asking
    batch = st.number_input(
        "Learn after",
        5,
        1_000,
        BATCH,
        key=f"batch {record.id}",
        help="After this many decisions the analyses learn from them in the background, and the queue gets a new order. "
        "The card that you are looking at stays.",
    )
    return replace(asking, batch=int(batch))


def _first_with_work(record: SetRecord, choices: list[Queue], who: str) -> Queue:
    """The first queue that holds anything: a newcomer must not meet an empty one while there is work. A shared one whose
    rest others hold comes after those that have something to hand out, but before what would ask for that rest, too."""
    workspace = services().workspace
    offered = (choice for choice in choices if choice.shared and workspace.queues.offers(choice.shared, who))

    def holds(choice: Queue) -> bool:
        if choice.shared is not None:
            return workspace.queues.left(choice.shared, who) > 0
        return workspace.select(record.id, replace(choice.query, limit=1)).total > 0

    return next(offered, None) or next(filter(holds, choices), choices[0])


@fragment
def _deciding(record: SetRecord, distilled_set: DistilledSet, choice: _Choice, following: NextSteps) -> None:
    if choice.queue.shared is None:
        _own_queue(record, distilled_set, choice)
        return
    queue = services().workspace.queues.get(choice.queue.shared)
    shared_deciding(Desk(record, distilled_set, queue, choice.who, choice.contrast), following)


def _own_queue(record: SetRecord, distilled_set: DistilledSet, choice: _Choice) -> None:
    queue, batch = choice.queue, choice.asking.batch
    counts = services().workspace.decision_counts(record.id)
    refit = refits.status(record.id, settled_among(counts))  # the first look at a set is where its batches count from
    asking = _left_of_the_time(record, choice)
    shown = f"shown {record.id}"
    same, before = st.session_state.get(shown, (None, []))
    ids, remaining = next_ids(record.id, queue, asking, choice.who, before if same == (queue, choice.asking) else [])
    st.session_state[shown] = ((queue, choice.asking), ids)
    again = reopened(record.id, choice.who)
    asked_again = for_card(again, ids)
    remaining += again is not None and again not in ids
    ids = in_front(again, ids)
    now = suspicion(record.id, batch)
    finding = now.source if queue.asks else queue.analysis

    def commit(events: list[Event]) -> None:
        commit_events(record.id, choice.who, finding, events)
        if refits.after(record.id, decided_of(record.id), batch):
            st.session_state[_STARTED] = True

    decision_card(
        cards(
            record.id,
            distilled_set,
            ids,
            finding,
            choice.contrast,
            decided=decided_before(record.id, again, choice.who, distilled_set),
        ),
        distilled_set.class_names,
        key=f"card {record.id}",
        scope=scope_of(record.id),
        remaining=remaining,
        commit=commit,
        empty="Nothing is left to decide in this queue. Choose another above, or go on to Export.",
        reopened=asked_again,
        author=choice.who,
        finding=finding,
    )
    _progress(counts)
    if queue.asks:
        _learning(record, choice, asking, learning_words(refit, now, settled_among(counts), batch))
    if refit.trouble:
        show_error(refit.trouble)
    found_panel(record.id, now, batch)
    history_panel(record.id, distilled_set, choice.who)
    if st.session_state.pop(_STARTED, False):
        st.rerun()  # the sidebar shows what began, and brings the page its new order when that has ended


_STARTED = "a refit began"


def _left_of_the_time(record: SetRecord, choice: _Choice) -> Asking:
    """The choice with what is left of its time budget; the clock starts when the queue, or other minutes, are chosen."""
    clock = f"clock {record.id}"
    if choice.queue.way != TIME:
        st.session_state.pop(clock, None)
        return choice.asking
    minutes, since = st.session_state.get(clock, (None, 0))
    if minutes != choice.asking.seconds:
        latest = services().workspace.decisions(record.id, latest=1)
        since = latest[-1].id if latest else 0
        st.session_state[clock] = (choice.asking.seconds, since)
    return replace(choice.asking, seconds=choice.asking.seconds - seconds_spent(record.id, choice.who, since))


def _learning(record: SetRecord, choice: _Choice, asking: Asking, learnt: str) -> None:
    """One quiet line on time and learning."""
    if choice.queue.way == TIME:
        learnt = f"{pace_words(pace_of(record.id, choice.who), asking.seconds)} {learnt}"
    st.caption(learnt)


def _progress(counts: Mapping[str, int]) -> None:
    n = sum(counts.values())
    settled = n - counts["undecided"]
    words = ", ".join(f"{number:,} {word}" for word, number in counts.items() if number and word != "undecided")
    st.progress(settled / n, text=f"{settled:,} of {n:,} decided{': ' + words if words else ''}")
