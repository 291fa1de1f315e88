"""Deciding in a shared queue: the card, how far everybody is, and what comes after the last one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.cards import cards
from app.components.decision_card import decision_card
from app.components.event_queue import Event
from app.history import decided_before, for_card, history_panel, in_front, reopened
from app.identity import NAMELESS, has_login, scope_of
from app.queue import commit_events
from app.services import services
from app.shared_queue import hand_out, shared_queues, shared_title
from app.shared_queue_words import LATEST_TIMED, answers_words, beyond_words, own_words, pace_words, said_words, why_words
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.pixels import Contrast
from data.queue_work import Claim
from data.queues import SharedQueue
from data.workspace import SetRecord

MOST_TIMED = 20 * LATEST_TIMED
EMPTY, UNKNOWN = "Nothing is left for you in this queue just now.", "What comes next is not known just now."


@dataclass(frozen=True)
class NextSteps:
    """Where to go from an empty queue; None where the person may not."""

    agreement: StreamlitPage | None = None
    export: StreamlitPage | None = None


@dataclass(frozen=True)
class Desk:
    """The set, the queue and the person of one browser's card."""

    record: SetRecord
    distilled_set: DistilledSet
    queue: SharedQueue
    who: str
    contrast: Contrast


def queue_kept(set_id: str) -> str:
    """Where the session keeps which queue the person chose."""
    return f"queue {set_id}"


def shared_deciding(desk: Desk, following: NextSteps) -> None:
    """Below the menu, when a shared queue is chosen in it."""
    set_id, plan, who = desk.record.id, desk.queue.plan, desk.who
    claim = _claim(desk)
    again = reopened(set_id, who)
    waiting = [] if claim is None else claim.ids.tolist()
    ids = in_front(again, waiting)

    finding = desk.queue.under or plan.finding

    def commit(events: list[Event]) -> None:
        commit_events(set_id, who, finding, events, own=True)

    decision_card(
        cards(
            set_id,
            desk.distilled_set,
            ids,
            None if plan.blind else plan.finding,
            desk.contrast,
            blind=plan.blind,
            decided=decided_before(set_id, again, who, desk.distilled_set, plan.blind),
        ),
        desk.distilled_set.class_names,
        key=f"card {set_id}",
        scope=scope_of(set_id),
        remaining=_remaining(again, claim),
        commit=commit,
        empty=UNKNOWN if claim is None else EMPTY,
        reopened=for_card(again, waiting),
        author=who,
        finding=finding,
    )
    if claim is None:  # the card is there all the same: it offers what waits in the browser
        return
    if not ids:
        _finished(desk, claim, following)
    _progress(desk, claim)
    history_panel(set_id, desk.distilled_set, who, plan.blind)
    _count_again(desk, None if ids else claim.left)


def _claim(desk: Desk) -> Claim | None:
    """What the store hands out; what it handed out last while it cannot be reached, so that the card stays; None where that
    was nothing."""
    place = f"claimed {desk.record.id}"
    try:
        claim = hand_out(desk.queue.id, desk.who)
    except StillroomError as error:
        show_error(error)
        asked, before = st.session_state.get(place, (None, None))
        return before if asked == (desk.queue.id, desk.who) else None
    st.session_state[place] = ((desk.queue.id, desk.who), claim)
    return claim


def _remaining(again: int | None, claim: Claim | None) -> int:
    """What is left, and what was reopened beside it; nothing where others hold the rest, for which a card would wait."""
    ids = [] if claim is None else claim.ids.tolist()
    left = claim.left if claim is not None and ids else 0
    return left + (again is not None and again not in ids)


def _progress(desk: Desk, claim: Claim) -> None:
    """Numbers of answers only: what they say is nobody's business while others still decide."""
    queues, number = services().workspace.queues, desk.queue.id
    found = queues.progress(number)
    st.progress(found.answers / found.wanted, text=answers_words(found))
    lines = [own_words(found.of(desk.who), claim.left)]
    if claim.left:
        lines.append(pace_words(desk.who, claim.left, found, queues.seconds(number, MOST_TIMED)))
    lines.append(beyond_words(found))
    if not has_login() and desk.who == NAMELESS:
        lines.append("Give your name above: whoever has none counts as one and the same person.")
    st.caption(plain(" ".join(filter(None, lines))))


def _finished(desk: Desk, claim: Claim, following: NextSteps) -> None:
    queues = services().workspace.queues
    with st.container(border=True, gap="small"):
        st.subheader("Others hold the rest" if claim.why == "held" else "You are through", anchor=False)
        st.markdown(plain(why_words(claim, desk.queue)))
        said = queues.said(desk.queue.id, desk.who)
        st.markdown(plain(said_words(said, desk.queue.plan.blind)))
        if "skip" in said:
            st.caption("What you skipped is not handed to you again: reopen it under Your decisions below.")
        with st.container(horizontal=True, gap="small"):
            st.button("Look again", icon=":material/refresh:", key=f"look again {desk.queue.id}")
            _others(desk)
        for page, words in _following(desk, following):
            st.page_link(page, label=words)


def _count_again(desk: Desk, left_at_end: int | None) -> None:
    """The menu above says how many are left, but is not drawn with the card: once nothing is on that, it is drawn again."""
    place, now = f"counted {desk.record.id}", (desk.queue.id, desk.who, left_at_end)
    if left_at_end is None:
        st.session_state.pop(place, None)
    elif st.session_state.get(place) != now:
        st.session_state[place] = now
        st.rerun()


def _others(desk: Desk) -> None:
    """The other shared queues that have something for this person."""
    queues = services().workspace.queues
    for other in shared_queues(desk.record.id):
        if other.shared == desk.queue.id or not queues.left(other.shared, desk.who):
            continue
        if st.button(f"Go on with {plain(shared_title(other.shared, desk.who))}", key=f"go on {other.shared}"):
            st.session_state[queue_kept(desk.record.id)] = other
            st.rerun()


def _following(desk: Desk, following: NextSteps) -> Sequence[tuple[StreamlitPage, str]]:
    steps = []
    if following.agreement is not None and desk.queue.plan.overlap > 1:
        steps.append((following.agreement, "See how far people agree"))
    if following.export is not None:
        steps.append((following.export, "Write the curated set"))
    return steps
