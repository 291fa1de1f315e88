"""Decisions about a selection of samples: made at once, undone as one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.roles import may, require
from app.selection import annotator
from app.services import services
from app.soften_actions import soften_popover
from app.words import show_error
from data.decisions import REASONS, Decision
from data.distilled_set import DistilledSet
from data.errors import StillroomError

SAID_PX = 115  # the same with and without a selection, so that the buttons stay where they are


def selection_actions(
    set_id: str, distilled_set: DistilledSet, selected: Sequence[int], finding: str | None, key: str
) -> None:
    """Buttons for the selected samples; every one of them is one batch in the log. Not shown to those who may not decide."""
    if not may("decide"):
        return
    nothing, fresh = not selected, st.session_state.get(_count(key), 0)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown(f"**{len(selected):,}** selected" if selected else "Select samples:", width=SAID_PX)
        label = st.selectbox(
            "Relabel to",
            range(distilled_set.num_classes),
            index=None,
            format_func=distilled_set.class_names.__getitem__,
            placeholder="Relabel to …",
            key=f"{key} label {fresh}",
            label_visibility="collapsed",
            disabled=nothing,
            width=150,
        )
        keep = st.button("Keep", key=f"{key} keep", disabled=nothing)
        prune = st.button("Prune", key=f"{key} prune", disabled=nothing)
        restore = st.button("Restore", key=f"{key} restore", disabled=nothing)
        softened = soften_popover(set_id, distilled_set, selected, finding, key, f"{key} soften {fresh}")
        reason = st.selectbox(
            "Reason",
            REASONS,
            format_func="reason: {}".format,
            key=f"{key} reason",
            label_visibility="collapsed",
            width="stretch",  # what the buttons leave: on a narrow page rather a short reason than a second row
            disabled=nothing,
        )
        undo = st.button("Undo", key=f"{key} undo", icon=":material/undo:", help="Take back your latest decision or batch")
    if label is not None and selected:
        _decide(set_id, [Decision(i, "relabel", label=label, reason=reason, finding=finding) for i in selected], key)
    if keep:
        _decide(set_id, [Decision(i, "keep", finding=finding) for i in selected], key)
    if prune:
        _decide(set_id, [Decision(i, "prune", reason=reason, finding=finding) for i in selected], key)
    if restore:
        _decide(set_id, [Decision(i, "restore", finding=finding) for i in selected], key)
    if softened:
        _decide(set_id, softened, key)
    if undo:
        undone = undo_latest(set_id)
        st.toast("Taken back." if undone else "There is nothing of yours to take back.")
        st.rerun(scope="fragment")


def decide_all(set_id: str, decisions: Sequence[Decision]) -> None:
    """Write decisions of the person at this browser as one batch. Raises NotAllowed, or ImpossibleRequest."""
    require("decide")
    services().workspace.decide_many(set_id, [decision.stamped(annotator()) for decision in decisions])


def undo_latest(set_id: str) -> bool:
    """Take back their latest decision or batch; whether there was one. Raises NotAllowed."""
    require("decide")
    return services().workspace.undo(set_id, annotator()) is not None


def _decide(set_id: str, decisions: list[Decision], key: str) -> None:
    try:
        decide_all(set_id, decisions)
    except StillroomError as error:
        show_error(error)
        return
    st.session_state[_count(key)] = st.session_state.get(_count(key), 0) + 1
    st.toast(f"{len(decisions):,} × {decisions[0].action}, saved.", icon=":material/check:")
    st.rerun(scope="fragment")


def _count(key: str) -> str:
    """A relabel choice must come up empty again after each use, and a popover shut: they get a fresh key."""
    return f"{key} decided"
