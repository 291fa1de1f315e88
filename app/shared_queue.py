"""Shared queues as the person at this browser meets them: which there are, what is handed to them, and giving it back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import streamlit as st

from analysis.asking import place_in_class
from app.identity import signed_by
from app.queue import AHEAD, SHARED, Queue
from app.roles import require
from app.services import services
from data.errors import StillroomError
from data.queue_work import Claim
from data.queues import QueuePlan, SharedQueue

MOST_NAMED, MOST_LETTERS_NAMED = 3, 40
AT_ONCE = AHEAD
"""How many one person holds at most, so that no burst of keys outruns them."""
_HELD = "the shared queue in hand"


def shared_queues(set_id: str) -> list[Queue]:
    """The open ones, as the menu of Decide takes them."""
    return [Queue(SHARED, shared=queue.id) for queue in services().workspace.queues.open_of(set_id)]


def shared_title(number: int, who: str) -> str:
    """A shared queue as the menu names it."""
    queues = services().workspace.queues
    return f"{queues.get(number).plan.title}: {queues.left(number, who):,} left for you"


def hand_out(number: int, who: str) -> Claim:
    """What the person at this browser decides next. Raises NotAllowed, or what the store raises."""
    require("decide")
    who = signed_by(who)
    claim = services().workspace.queues.claim(number, who, AT_ONCE)
    st.session_state[_HELD] = (number, who)
    return claim


def hand_back(unless: tuple[int, str] | None = None) -> None:
    """Give back what this browser was handed, unless it is still for that queue and person: whoever goes elsewhere keeps
    nothing from others. Where that cannot be, the lease's end does it."""
    held = st.session_state.get(_HELD)
    if held is None or held == unless:
        return
    del st.session_state[_HELD]
    with suppress(StillroomError):
        require("decide")
        services().workspace.queues.release(*held)


def make_queue(set_id: str, plan: QueuePlan) -> SharedQueue:
    """Make a queue, signed by who is at this browser. Raises NotAllowed, or ImpossibleRequest."""
    require("queues")
    return services().workspace.queues.make(set_id, plan, signed_by())


def set_open(number: int, is_open: bool) -> None:
    """Close a queue or open it again, signed likewise. Raises NotAllowed, or ImpossibleRequest."""
    require("queues")
    queues = services().workspace.queues
    (queues.reopen if is_open else queues.close)(number, signed_by())


def cut_by_class(ids: np.ndarray, labels: np.ndarray, most: int | None) -> np.ndarray:
    """The first ``most`` samples of each class among ``ids`` int64 (n,), in their order; all where it is None."""
    return ids if most is None else ids[place_in_class(labels[ids]) < most]


def typed_ids(text: str, size: int) -> tuple[np.ndarray, Sequence[str]]:
    """The sample ids in what somebody pasted, each once, in that order, int64 (n,); and the beginnings of the first parts
    that are none."""
    good: dict[int, None] = {}
    wrong: list[str] = []
    for part in text.replace(",", " ").replace(";", " ").split():
        if part.isascii() and part.isdigit() and len(part) < 19 and int(part) < size:
            good[int(part)] = None
        elif len(wrong) < MOST_NAMED:
            wrong.append(part[:MOST_LETTERS_NAMED])
    return np.array(list(good), np.int64), wrong
