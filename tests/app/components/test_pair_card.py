"""What a browser sends to the card is committed once, whatever else it sends; the card is told what is safe."""

from __future__ import annotations

import pytest
import streamlit as st

from app.components.event_queue import PairEvent
from app.components.inbox import Inbox
from data.errors import ImpossibleRequest

KEY = "a card"
ANSWER = {"token": "t", "seq": 0, "sample_id": 3, "left": 1, "right": 2, "said": "left", "author": "ann"}


def send(*entries: object) -> None:
    st.session_state[KEY] = {"events": {"entries": list(entries), "message": "t/1"}}


def told(inbox: Inbox) -> tuple[dict[str, int], str]:
    """What the browser is told is committed, by token, and what went wrong."""
    answer = inbox.answer(KEY)
    return answer["acknowledged"]["numbers"], answer["trouble"]


@pytest.fixture(autouse=True)
def no_page():
    yield
    st.session_state.clear()


def test_inbox__commits_once_and_acknowledges():
    inbox, committed = Inbox(PairEvent), []
    for _ in range(2):
        send(ANSWER, {**ANSWER, "seq": 1})
        inbox.settle(KEY, committed.extend)
    assert [event.seq for event in committed] == [0, 1]
    assert told(inbox) == ({"t": 1}, "")


def test_inbox__says_what_went_wrong_and_offers_it_again():
    inbox, committed = Inbox(PairEvent), []

    def full(events: list[PairEvent]) -> None:
        raise ImpossibleRequest("the disk is full; free some space.")

    send(ANSWER)
    inbox.settle(KEY, full)
    assert told(inbox) == ({}, "the disk is full; free some space.")
    inbox.settle(KEY, committed.extend)
    assert len(committed) == 1 and told(inbox) == ({"t": 0}, "")


@pytest.mark.parametrize("sent", [None, [], {}, {"events": None}, {"events": [1]}, {"events": {"entries": {"a": 1}}}])
def test_inbox__what_is_no_message_commits_nothing(sent: object):
    inbox = Inbox(PairEvent)
    st.session_state[KEY] = sent
    inbox.settle(KEY, lambda events: pytest.fail("there was nothing to commit"))
    assert told(inbox) == ({}, "")


def test_inbox__a_new_session_is_told_from_the_one_before():
    """After a restart of the app the browser is in a session that was never sent what waits."""
    inbox = Inbox(PairEvent)
    first, again = (inbox.answer(KEY)["acknowledged"]["session"] for _ in range(2))
    st.session_state.clear()
    assert first == again != inbox.answer(KEY)["acknowledged"]["session"]
