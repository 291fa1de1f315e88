"""Decide: one image at a time, by keyboard; every decision is on disk before the next rerun."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from app.components.decision_card import decision_card
from app.queue import Queue, cards, commit_events, queue_title, queues
from app.selection import annotator, current_set
from app.services import services
from data.distilled_set import DistilledSet
from data.pixels import CONTRASTS
from data.workspace import SetRecord

LATEST = 8


def decide_page() -> None:
    record, distilled_set = current_set()
    st.title("Decide")
    queue, contrast = _choices(record, distilled_set)
    _deciding(record, distilled_set, queue, contrast)


def _choices(record: SetRecord, distilled_set: DistilledSet) -> tuple[Queue, str]:
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    choices = queues(list(services().workspace.evidence(record.id)))
    if f"queue {record.id}" not in st.session_state:
        st.session_state[f"queue {record.id}"] = _first_with_work(record, choices)
    queue = row.selectbox("Queue", choices, format_func=queue_title, key=f"queue {record.id}", width=350)
    classes = row.multiselect(
        "Class",
        range(distilled_set.num_classes),
        format_func=distilled_set.class_names.__getitem__,
        placeholder="all",
        key=f"queue classes {record.id}",
        width=230,
    )
    contrast = row.selectbox("Contrast", CONTRASTS, key="decide contrast", width=150)
    st.session_state["annotator"] = row.text_input(
        "Your name", value=st.session_state.get("annotator", ""), placeholder="local", width=150
    )
    return Queue(queue.way, queue.analysis, tuple(classes) or None), contrast


def _first_with_work(record: SetRecord, choices: list[Queue]) -> Queue:
    """The first queue that holds anything: a newcomer must not meet an empty one while there is work."""
    holds = (choice for choice in choices if services().workspace.select(record.id, replace(choice.query, limit=1)).total)
    return next(holds, choices[0])


@st.fragment
def _deciding(record: SetRecord, distilled_set: DistilledSet, queue: Queue, contrast: str) -> None:
    items, remaining = cards(record.id, distilled_set, queue, contrast)
    decision_card(
        items,
        distilled_set.class_names,
        key=f"card {record.id}",
        scope=record.id,
        remaining=remaining,
        commit=partial(commit_events, record.id, annotator(), queue.analysis),
        empty="Nothing is left to decide in this queue. Choose another above, or go on to Export.",
    )
    _progress(record, distilled_set)


def _progress(record: SetRecord, distilled_set: DistilledSet) -> None:
    counts = services().workspace.decision_counts(record.id)
    settled = len(distilled_set) - counts["undecided"]
    words = ", ".join(f"{n:,} {word}" for word, n in counts.items() if n and word != "undecided")
    st.progress(
        settled / len(distilled_set), text=f"{settled:,} of {len(distilled_set):,} decided{': ' + words if words else ''}"
    )
    log = services().workspace.decisions(record.id, latest=LATEST)
    if log:
        with st.expander("Latest decisions"):
            st.dataframe(_log_table(log, distilled_set), hide_index=True, width="stretch")


def _log_table(log: list, distilled_set: DistilledSet) -> pd.DataFrame:
    rows = [
        {
            "when": decision.at[:19].replace("T", " "),
            "who": decision.annotator,
            "sample": decision.sample_id,
            "what": decision.action,
            "to": "" if decision.label is None else distilled_set.class_names[decision.label],
            "why": decision.reason or "",
            "seconds": decision.seconds,
        }
        for decision in reversed(log)
    ]
    return pd.DataFrame(rows)
