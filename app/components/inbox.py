"""What a component's browsers send through an acknowledged queue, from the message to the commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Generic

import streamlit as st

from app.components.event_queue import Ledger, Sent, parse
from data.errors import StillroomError

_SESSION = "what a browser knows this session by"


class Inbox(Generic[Sent]):
    """The events of one component. Sessions of one process share it, so that a reloaded tab's repeated events are
    recognised."""

    def __init__(self, kind: type[Sent]) -> None:
        self._kind = kind
        self._ledger: Ledger[Sent] = Ledger()

    def answer(self, key: str) -> dict[str, Any]:
        """What the browser is told of the events that it has sent: which are committed, and what went wrong.

        Also which session says so: after a restart of the app, or in another of its processes, the browser is in a new one,
        which was never sent what waits.
        """
        session = st.session_state.setdefault(_SESSION, secrets.token_hex(8))
        return {
            "acknowledged": {"session": session, "numbers": self._ledger.acknowledged(self._received(key))},
            "trouble": st.session_state.get(f"{key}/trouble", ""),
        }

    def settle(self, key: str, commit: Callable[[list[Sent]], None]) -> None:
        """Commit what is new; where ``commit`` raises StillroomError the browser is told, keeps it, and offers it again."""
        trouble = ""
        try:
            self._ledger.settle(self._received(key), commit)
        except StillroomError as error:
            trouble = str(error)
        st.session_state[f"{key}/trouble"] = trouble

    def message(self, key: str) -> dict[str, Any]:
        """What the browser sent last, as it sent it: the events are its ``entries``. Empty before the first."""
        sent = (st.session_state.get(key) or {}).get("events")
        return sent if isinstance(sent, dict) else {}

    def _received(self, key: str) -> list[Sent]:
        return parse(self.message(key).get("entries"), self._kind)
