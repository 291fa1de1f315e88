"""Soften all selected samples at once: how, what it would do, and doing it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.services import services
from app.softening import OF_SOURCE, OF_WEIGHT, WAYS, Softened, Softening, soften
from app.words import plain, show_error, source_title
from data.curation import soften_obstacle
from data.decisions import Decision
from data.distilled_set import DistilledSet
from data.errors import StillroomError

PANEL_PX = 420
_TITLES = {
    "temperature": "Sharpen or soften by a temperature",
    "mix with its class": "Mix with its own class alone",
    "mix with a source": "Mix with a label source",
    "top two": "Half each for the two most probable classes",
    "as a source": "As a label source has it",
}


def soften_popover(
    set_id: str, distilled_set: DistilledSet, selected: Sequence[int], finding: str | None, key: str, popover_key: str
) -> list[Decision] | None:
    """The decisions to write, once somebody asks for them; None until then. Under another ``popover_key`` it is shut."""
    popover = st.popover("Soften …", disabled=not selected, key=popover_key, on_change="rerun")
    if not selected or not popover.open:  # reading the labels of a selection takes its time
        return None
    with popover.container(width=PANEL_PX):
        wanted = _choose(distilled_set, key)
        if wanted is None:
            st.caption("This set has no label source to take.")
            return None
        try:
            softened = soften(distilled_set, selected, services().workspace.states(set_id, selected), wanted)
        except StillroomError as error:
            show_error(error)
            return None
        _preview(softened)
        if obstacle := soften_obstacle(distilled_set):
            st.caption(plain(obstacle))
        text = f"Soften {len(softened.ids):,} of {softened.asked:,}"
        if st.button(text, type="primary", key=f"{key} soften them", disabled=not len(softened.ids)):
            return softened.decisions(finding)
    return None


def _choose(distilled_set: DistilledSet, key: str) -> Softening | None:
    way = st.radio("How", WAYS, format_func=_TITLES.__getitem__, key=f"{key} soften way", label_visibility="collapsed")
    temperature, weight, source = 1.0, 0.0, ""
    if way == "temperature":
        said = "Below 1 sharpens, above 1 softens: each probability to the power of 1 / T, then renormalised."
        temperature = st.slider("Temperature T", 0.1, 5.0, 2.0, 0.1, key=f"{key} soften temperature", help=said)
    if way in OF_SOURCE:
        names = list(distilled_set.selectable_sources)
        if not names:
            return None
        source = st.selectbox("Label source", names, format_func=source_title, key=f"{key} soften source")
    if way in OF_WEIGHT:
        said = "The share of what is mixed in; the rest stays as it stands."
        weight = st.slider("Weight", 0.0, 1.0, 0.5, 0.05, key=f"{key} soften weight", help=said)
    return Softening(way, temperature, weight, source)


def _preview(softened: Softened) -> None:
    changes = len(softened.ids)
    if not changes:
        st.caption(f"None of the {softened.asked:,} would change.")
        return
    st.markdown(
        f"Mean entropy **{softened.entropy_before:.3f} → {softened.entropy_after:.3f}** nats  \n"
        f"**{softened.new_top:,}** of {changes:,} get another most probable class"
    )
    said = [f"{softened.asked - softened.unreadable - changes:,} stay as they are."] if changes < softened.asked else []
    if softened.unreadable:
        said.append(f"{softened.unreadable:,} hold numbers that are none, and are left out.")
    if softened.pruned:
        said.append(f"{softened.pruned:,} are pruned, and come back.")
    st.caption(" ".join([f"Of the labels that stand, n = {changes:,}.", *said]))
