"""What people did at a card and then left before it was saved: sent from whichever page they are on now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import streamlit as st

from app.components.card_parts import QUEUE_JS
from app.components.event_queue import Event, PairEvent
from app.components.inbox import Inbox

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "stillroom_left_strokes",
    js=QUEUE_JS + (_HERE / "left_strokes.js").read_text(encoding="utf-8"),
    css=(_HERE / "left_strokes.css").read_text(encoding="utf-8"),
)
_DECISIONS = Inbox(Event)
_ANSWERS = Inbox(PairEvent)


def left_strokes(
    scopes: Collection[str],
    *,
    key: str,
    decide: Callable[[str, list[Event]], None],
    answer: Callable[[str, list[PairEvent]], None],
) -> None:
    """Take what waits in the browser under ``scopes`` and has no card on the page, which would send it itself.

    What decision_card and label_editor left goes to ``decide``, what pair_card left to ``answer``: the scope, and its events
    in order. What the card sent before may come again, and is theirs to leave out; where they raise StillroomError, the
    browser says so, keeps the events, and offers them again.
    """

    def settle() -> None:
        inbox = _inbox(key)
        scope = inbox.message(key).get("scope")
        take = answer if inbox is _ANSWERS else decide
        if scope in scopes:
            inbox.settle(key, lambda events: take(scope, events))

    _mount(key=key, data={"scopes": list(scopes), **_inbox(key).answer(key)}, on_events_change=settle)


def _inbox(key: str) -> Inbox[Any]:
    """Whose the latest message is."""
    return _ANSWERS if _DECISIONS.message(key).get("kind") == "answers" else _DECISIONS
