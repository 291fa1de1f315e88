"""One sample, large: its labels from every source, what the analyses found, what is near it, what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.soft_label_bars import BarSource, soft_label_bars
from app.crop_panel import crop_panel
from app.evidence_lines import evidence_lines
from app.images import large
from app.pictures import is_small, show_picture, show_strip
from app.services import services
from app.tiles import sheet
from app.words import plain, show_error
from data.distilled_set import GIVEN, DistilledSet
from data.errors import StillroomError
from data.pixels import Contrast

NEIGHBOURS = "neighbours"
NEAR_PX = 64


def sample_panel(set_id: str, distilled_set: DistilledSet, sample_id: int, contrast: Contrast, key: str) -> None:
    """Everything known about one sample."""
    label = distilled_set.class_names[distilled_set.labels[sample_id]]
    st.markdown(f"#### Sample {sample_id}\n given label **{plain(label)}**")
    if distilled_set.images is not None:
        show_picture(large(distilled_set.images, sample_id, contrast), f"sample {sample_id}", is_small(distilled_set))
    show_bars(distilled_set, sample_id, key)
    crop_panel(distilled_set, sample_id, contrast, key)
    evidence = services().workspace.evidence_of(set_id, sample_id)
    _nearest(distilled_set, evidence, contrast)
    _evidence(evidence, distilled_set.class_names)
    _history(set_id, sample_id, distilled_set)


def show_bars(distilled_set: DistilledSet, sample_id: int, key: str, suggested: int | None = None) -> None:
    """The sample's distribution from every label source."""
    if not distilled_set.selectable_sources:
        st.caption("This set has hard labels only.")
        return
    try:
        sources = label_bars(distilled_set, sample_id)
    except StillroomError as error:  # labels are read when they are shown, and a file may be damaged or gone
        show_error(error)
        return
    soft_label_bars(
        class_names=distilled_set.class_names,
        sources=sources,
        given=int(distilled_set.labels[sample_id]),
        suggested=suggested,
        key=f"{key} bars",
    )


def label_bars(distilled_set: DistilledSet, sample_id: int) -> list[BarSource]:
    """One source a row: its name, kind and distribution (C,)."""
    return [
        BarSource(
            name="given soft label" if name == GIVEN else name,
            kind="corrected" if name in distilled_set.derived_sources else source.kind,
            probabilities=source.probabilities([sample_id])[0].numpy(),
        )
        for name, source in distilled_set.selectable_sources.items()
    ]


def _nearest(distilled_set: DistilledSet, evidence: dict[str, dict[str, Any]], contrast: Contrast) -> None:
    near = next((columns[NEIGHBOURS] for columns in evidence.values() if columns.get(NEIGHBOURS) is not None), None)
    if near is None or distilled_set.images is None:
        return
    ids = [int(i) for i in near if i >= 0]
    if ids:
        st.caption("Nearest images")
        names = [f"{distilled_set.class_names[distilled_set.labels[i]]} ({i})" for i in ids]
        show_strip(sheet(distilled_set, ids, contrast), names, NEAR_PX)


def _evidence(evidence: dict[str, dict[str, Any]], class_names: Sequence[str]) -> None:
    """Lines instead of a table: a panel this narrow would cut off the values."""
    lines = evidence_lines(evidence, class_names)
    if not lines:
        return
    with st.expander("What the analyses found"):
        for line in lines:
            mark = ":material/flag: " if line.flagged else ""
            score = f" · score {line.score}" if line.score else ""
            st.markdown(f":small[{mark}**{line.title}**{score}]  \n:small[:gray[{plain(line.facts)}]]")


def _history(set_id: str, sample_id: int, distilled_set: DistilledSet) -> None:
    log = services().workspace.decisions(set_id, sample_id)
    if not log:
        return
    with st.expander(f"History ({len(log)})", expanded=True):
        for decision in reversed(log):
            to = f" to {plain(distilled_set.class_names[decision.label])}" if decision.label is not None else ""
            why = f", {plain(decision.reason)}" if decision.reason else ""
            st.caption(f"{decision.at[:19].replace('T', ' ')} · {plain(decision.annotator)}: **{decision.action}**{to}{why}")
