"""One sample, large: its labels from every source, what the analyses found, what is near it, what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.soft_label_bars import BarSource, soft_label_bars
from app.crop_panel import crop_panel
from app.evidence_lines import evidence_lines
from app.images import large
from app.label_panel import label_panel
from app.near_images import stored_neighbours
from app.pictures import is_small, show_picture, show_strip
from app.services import services
from app.tiles import sheet
from app.words import plain, show_error, source_title
from data.decisions import Decision
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.pixels import Contrast

NEAR_PX = 64


def sample_panel(
    set_id: str,
    distilled_set: DistilledSet,
    sample_id: int,
    contrast: Contrast,
    key: str,
    finding: str | None = None,
) -> None:
    """Everything known about one sample, and its soft label to edit, which then names ``finding`` as what raised it."""
    label = distilled_set.class_names[distilled_set.labels[sample_id]]
    st.markdown(f"#### Sample {sample_id}\n given label **{plain(label)}**")
    if distilled_set.images is not None:
        show_picture(large(distilled_set.images, sample_id, contrast), f"sample {sample_id}", is_small(distilled_set))
    show_bars(distilled_set, sample_id, key)
    label_panel(set_id, distilled_set, sample_id, finding, key)
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
            name=source_title(name),
            kind="corrected" if name in distilled_set.derived_sources else source.kind,
            probabilities=source.probabilities([sample_id])[0].numpy(),
        )
        for name, source in distilled_set.selectable_sources.items()
    ]


def _nearest(distilled_set: DistilledSet, evidence: dict[str, dict[str, Any]], contrast: Contrast) -> None:
    ids = stored_neighbours(evidence, len(distilled_set))
    if not ids or distilled_set.images is None:
        return
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
            to = _decided_on(decision, distilled_set.class_names)
            why = f", {plain(decision.reason)}" if decision.reason else ""
            st.caption(f"{decision.at[:19].replace('T', ' ')} · {plain(decision.annotator)}: **{decision.action}**{to}{why}")


def _decided_on(decision: Decision, class_names: Sequence[str]) -> str:
    """The class of a relabel, the two most probable ones of a soften."""
    if decision.label is not None:
        return f" to {plain(class_names[decision.label])}"
    if decision.soft_label is None:
        return ""
    top = sorted(range(len(class_names)), key=lambda c: -decision.soft_label[c])[:2]
    return " to " + ", ".join(f"{plain(class_names[c])} {decision.soft_label[c]:.2f}" for c in top)
