"""Which of two labels fits an image better? One question at a time, answered by a key; no answer is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from app.components.card_parts import PARTS_CSS, PARTS_JS
from app.components.event_queue import PairEvent
from app.components.inbox import Inbox
from app.components.soft_label_bars import BARS_JS
from app.images import Sprite

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "stillroom_pair_card",
    js="\n".join([BARS_JS, PARTS_JS, (_HERE / "pair_card.js").read_text(encoding="utf-8")]),
    css=PARTS_CSS + (_HERE / "pair_card.css").read_text(encoding="utf-8"),
)
_inbox = Inbox(PairEvent)


@dataclass(frozen=True)
class PairItem:
    """One question: ``image`` is a data URI, ``left`` and ``right`` are classes or data.pair_answers.NOTHING; the ``_tiles``
    are places in the classes' sheets of examples."""

    sample_id: int
    left: int
    right: int
    image: str
    left_tiles: Sequence[int] = ()
    right_tiles: Sequence[int] = ()


@dataclass(frozen=True)
class ClassLook:
    """What a class is called, and what it looks like."""

    name: str
    examples: Sprite


def pair_card(
    items: Sequence[PairItem],
    classes: Mapping[int, ClassLook],
    *,
    key: str,
    scope: str,
    author: str,
    remaining: int,
    examples_are: str,
    commit: Callable[[list[PairEvent]], None],
    empty: str,
) -> None:
    """Show the first of ``items``, which are the next of ``remaining`` questions for ``author``; the browser moves through
    the others by itself while answers travel.

    ``classes`` has all that the items name. ``examples_are`` says what the examples below each name are. ``scope`` names
    the set. ``commit`` is as for decision_card: new answers in the order in which they were given, each once.
    """
    data = {
        "items": [asdict(item) for item in items],
        "classes": {str(label): asdict(look) for label, look in classes.items()},
        "scope": scope,
        "author": author,
        "remaining": remaining,
        "examples_are": examples_are,
        "empty": empty,
        **_inbox.answer(key),
    }
    _mount(key=key, data=data, on_events_change=lambda: _inbox.settle(key, commit))
