"""One image at a time, decided by a key; the next one shows at once, and no decision is lost on the way to the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app.components.card_parts import PARTS_CSS, PARTS_JS
from app.components.event_queue import Event
from app.components.inbox import Inbox
from app.components.label_editor import EDITOR_CSS, EDITOR_JS
from app.components.shipment import Shipment, held
from app.components.soft_label_bars import BARS_CSS, BARS_JS
from app.images import Sprite
from data.decisions import REASONS, Reason

_HERE = Path(__file__).parent
_PARTS = (
    "stock.js",
    "picture.js",
    "nearest.js",
    "keys.js",
    "describe.js",
    "view.js",
    "queue.js",
    "decision_card.js",
)
_STYLES = ("picture.css", "labels.css", "decision_card.css")
_mount = st.components.v2.component(
    "stillroom_decision_card",
    js="\n".join([BARS_JS, PARTS_JS, EDITOR_JS, *((_HERE / name).read_text(encoding="utf-8") for name in _PARTS)]),
    css="\n".join([BARS_CSS, PARTS_CSS, EDITOR_CSS, *((_HERE / name).read_text(encoding="utf-8") for name in _STYLES)]),
)

_inbox = Inbox(Event)


@dataclass(frozen=True)
class Suggestion:
    """What a finding proposes for a sample, and the evidence in a sentence."""

    action: Literal["relabel", "prune"]
    label: int | None = None
    reason: Reason | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Strip:
    """Small images in a row: those at ``places`` of ``sheet``, each with a name; ``caption`` says what they are."""

    caption: str
    sheet: Sprite
    places: Sequence[int]
    names: Sequence[str]


@dataclass(frozen=True)
class Candidate:
    """A class that the sample may belong to, ``why`` in a word or two, and what it looks like."""

    label: int
    why: str
    strips: Sequence[Strip]


@dataclass(frozen=True)
class CardItem:
    """One image to decide.

    ``image`` is a data URI, "" where there is none; ``stored`` the picture of the stored pixels, "" where it is the same,
    and ``stored_words`` what that is. ``given`` is the set's own label; None asks blind, and nothing that tells what anybody
    says of the sample is then sent. ``label`` is the one that stands where it was relabelled, ``softened`` says that a soft
    one does. ``bars`` is what ``soft_label_bars.bars_data`` gives, ``soft`` what ``label_editor.editor_data`` does, ``near``
    the candidate classes; ``decided`` says what was decided before.
    """

    id: int
    image: str
    given: int | None
    label: int | None = None
    pruned: bool = False
    suggestion: Suggestion | None = None
    note: str = ""
    bars: Mapping[str, Any] | None = None
    stored: str = ""
    stored_words: str = ""
    softened: bool = False
    soft: Mapping[str, Any] | None = None
    near: Sequence[Candidate] = ()
    decided: str = ""


@dataclass(frozen=True)
class Reopened:
    """A ``sample`` that a person asked to see again. ``turn`` counts how often they asked for any; ``waiting``: the queue
    would show it anyway."""

    sample: int
    turn: int
    waiting: bool


def decision_card(
    items: Sequence[CardItem],
    class_names: Sequence[str],
    *,
    key: str,
    scope: str,
    remaining: int,
    commit: Callable[[list[Event]], None],
    empty: str = "Nothing is left to decide here.",
    reopened: Reopened | None = None,
    author: str = "",
    finding: str | None = None,
) -> None:
    """Show the first of ``items``; the browser moves through the others by itself while decisions travel.

    ``items`` are those now undecided, in order: the current one and those to come, out of ``remaining``. ``scope`` names the
    set (decisions that wait in a browser belong to it, also after a reload). ``commit`` gets new decisions in the order in
    which they were made, before the page's script runs, and each once while this process lives; where it raises
    StillroomError the card says so, keeps them, and offers them again. When ``reopened`` takes another turn, its
    sample, one of ``items``, is shown at once. ``author`` is who is asked, under which ``finding``; what they decide
    comes back with both.
    """
    shipment = Shipment(held(_inbox.message(key).get("held")))
    data = {
        "items": [_told(item, shipment) for item in items],
        "class_names": shipment.add(list(class_names)),
        "shipped": shipment.values,
        "scope": scope,
        "remaining": remaining,
        "reasons": list(REASONS),
        "empty": empty,
        "author": author,
        "finding": finding or "",
        "reopened": None if reopened is None else asdict(reopened),
        **_inbox.answer(key),
    }
    _mount(key=key, data=data, on_events_change=lambda: _inbox.settle(key, commit))


def _told(item: CardItem, shipment: Shipment) -> dict[str, Any]:
    """An item as the browser gets it; what weighs anything goes into the shipment, and its key in its place."""
    told = {
        "id": item.id,
        "image": shipment.add(item.image),
        "stored": shipment.add(item.stored),
        "stored_words": item.stored_words,
        "given": item.given,
        "decided": item.decided,
    }
    if item.given is None:
        return told
    return told | {
        "label": item.label,
        "pruned": item.pruned,
        "softened": item.softened,
        "suggestion": None if item.suggestion is None else asdict(item.suggestion),
        "note": item.note,
        "bars": shipment.add(item.bars),
        "soft": shipment.add(item.soft),
        "near": shipment.add([_candidate(one, shipment) for one in item.near]),
    }


def _candidate(candidate: Candidate, shipment: Shipment) -> dict[str, Any]:
    return {"label": candidate.label, "why": candidate.why, "strips": [_strip(one, shipment) for one in candidate.strips]}


def _strip(strip: Strip, shipment: Shipment) -> dict[str, Any]:
    """The sheet's picture is an entry of the shipment of its own: strips and cards share it."""
    sheet = {**asdict(strip.sheet), "uri": shipment.add(strip.sheet.uri)}
    return {"caption": strip.caption, "sheet": sheet, "places": list(strip.places), "names": list(strip.names)}
