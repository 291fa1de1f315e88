"""One image at a time, decided by a key; the next one shows at once, and no decision is lost on the way to the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app.components.event_queue import Event, Ledger, parse
from app.components.soft_label_bars import BARS_CSS, BARS_JS
from data.decisions import REASONS, Reason
from data.errors import StillroomError

_HERE = Path(__file__).parent
_PARTS = ("class_search.js", "view.js", "queue.js", "decision_card.js")
_mount = st.components.v2.component(
    "stillroom_decision_card",
    js="\n".join([BARS_JS, *((_HERE / name).read_text(encoding="utf-8") for name in _PARTS)]),
    css=BARS_CSS + (_HERE / "decision_card.css").read_text(encoding="utf-8"),
)

# Sessions of one process share it, so that a reloaded tab's repeated decisions are recognised.
_ledger = Ledger()


@dataclass(frozen=True)
class Suggestion:
    """What a finding proposes for a sample, and the evidence in a sentence."""

    action: Literal["relabel", "prune"]
    label: int | None = None
    reason: Reason | None = None
    evidence: str = ""


@dataclass(frozen=True)
class CardItem:
    """One image to decide.

    ``image`` is a data URI, ``given`` the set's own label, ``label`` the one that stands where it was relabelled, ``bars``
    what ``soft_label_bars.bars_data`` gives.
    """

    id: int
    image: str
    given: int
    label: int | None = None
    pruned: bool = False
    suggestion: Suggestion | None = None
    note: str = ""
    bars: Mapping[str, Any] | None = None


def decision_card(
    items: Sequence[CardItem],
    class_names: Sequence[str],
    *,
    key: str,
    scope: str,
    remaining: int,
    commit: Callable[[list[Event]], None],
    empty: str = "Nothing is left to decide here.",
) -> None:
    """Show the first of ``items``; the browser moves through the others by itself while decisions travel.

    ``items`` are those now undecided, in order: the current one and about a dozen to come, out of ``remaining``. ``scope``
    names the set (decisions that wait in a browser belong to it, also after a reload). ``commit`` gets new decisions in the
    order in which they were made, before the page's script runs, and each once while this process lives; where it raises
    StillroomError the card says so, keeps them, and offers them again.
    """
    data = {
        "items": [asdict(item) for item in items],
        "class_names": list(class_names),
        "scope": scope,
        "remaining": remaining,
        "reasons": list(REASONS),
        "empty": empty,
        "acknowledged": _ledger.acknowledged(_received(key)),
        "trouble": st.session_state.get(f"{key}/trouble", ""),
    }
    _mount(key=key, data=data, on_events_change=lambda: _settle(key, commit))


def _received(key: str) -> list[Event]:
    sent = (st.session_state.get(key) or {}).get("events")
    return parse(sent.get("entries") if isinstance(sent, dict) else None)


def _settle(key: str, commit: Callable[[list[Event]], None]) -> None:
    trouble = ""
    try:
        _ledger.settle(_received(key), commit)
    except StillroomError as error:
        trouble = str(error)
    st.session_state[f"{key}/trouble"] = trouble
