"""Below the findings of agreement: a reviewer settles conflicts, one at a time."""

from __future__ import annotations

import time

import streamlit as st

from app.column_words import class_words
from app.conflicts import ANALYSIS, Conflict, Verdict, answers_about, conflict, settle, take_back, waiting
from app.fragments import fragment
from app.identity import name_prompt
from app.images import large
from app.pictures import is_small, show_picture
from app.roles import may, require
from app.services import services
from app.task_panel import act
from app.words import plain, show_error
from data.annotations import SOFTENED
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.workspace import SetRecord

PICTURE_PX, NAME_PX = 240, 180
LONGEST_SECONDS = 600
"""Whoever looked longer at one conflict was not looking."""


def conflicts_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """The review of conflicts; nothing before agreement has results."""
    if services().findings(record.id, ANALYSIS) is None:
        return
    st.subheader("Settle the conflicts")
    if not may("settle conflicts"):
        st.caption("Settling conflicts takes the role reviewer.")
        return
    _review(record, distilled_set)


@fragment
def _review(record: SetRecord, distilled_set: DistilledSet) -> None:
    who = name_prompt(st.container(), NAME_PX)
    now = waiting(record.id, who)
    total = len(now.left) + now.settled
    if not total:
        st.info("The latest run found no conflict.", icon=":material/check:")
        return
    st.progress(now.settled / total, text=f"{now.settled:,} of {total:,} conflicts settled")
    if trouble := st.session_state.pop(_trouble(record), None):
        show_error(trouble)
    if now.left:
        _one(record, distilled_set, conflict(record.id, now.left[0]))
    else:
        st.success("Every conflict is settled.", icon=":material/check:")
    st.button(
        "Undo",
        icon=":material/undo:",
        key=f"undo verdict {record.id}",
        disabled=now.last is None,
        help="Take back your latest verdict",
        on_click=_undo,
        args=(record,),
    )
    if now.settled:
        _again(record, who)


def _one(record: SetRecord, distilled_set: DistilledSet, about: Conflict) -> None:
    since = st.session_state.get(_since(record))
    if since is None or since[0] != about.sample_id:
        since = (about.sample_id, time.monotonic())
        st.session_state[_since(record)] = since
    beside = st.container(horizontal=True, gap="medium")
    if distilled_set.images is not None:
        with beside.container(width=PICTURE_PX):
            picture = large(distilled_set.images, about.sample_id)
            show_picture(picture, f"sample {about.sample_id}", is_small(distilled_set))
    with beside.container(width="stretch"):
        st.markdown(_words(record, distilled_set, about))
        _buttons(record, distilled_set, about, since[1])


def _words(record: SetRecord, distilled_set: DistilledSet, about: Conflict) -> str:
    names = distilled_set.class_names
    said = [
        f"{plain(who or 'unsigned')}: {'several classes' if label == SOFTENED else plain(class_words(label, names))}"
        for who, label in answers_about(record.id, about.sample_id)
    ]
    return (
        f"**Sample {about.sample_id}**, given label **{plain(names[about.given])}**  \n"
        f"{' · '.join(said)}  \n"
        f":small[The consensus gives {plain(names[about.first])} {about.p_first:.0%} and "
        f"{plain(names[about.second])} {about.p_second:.0%}.]"
    )


def _buttons(record: SetRecord, distilled_set: DistilledSet, about: Conflict, since: float) -> None:
    names = distilled_set.class_names
    words: dict[Verdict, str] = {
        verdict: f"{plain(names[label])}{' (given)' if label == about.given else ''}"
        for verdict, label in about.labels.items()
    }
    words |= {"both": "Both, half and half", "neither": "Neither: prune", "skip": "Cannot tell: skip"}
    row = st.container(horizontal=True, gap="small")
    for verdict, text in words.items():
        row.button(
            text,
            # The sample is part of the key: a second click on the way can never fall on the next conflict.
            key=f"verdict {verdict} {about.sample_id} {record.id}",
            on_click=_settle,
            args=(record, about, verdict, since),
        )


def _settle(record: SetRecord, about: Conflict, verdict: Verdict, since: float) -> None:
    taken = round(time.monotonic() - since, 3)
    try:
        if not settle(record.id, about, verdict, taken if taken <= LONGEST_SECONDS else None):
            st.session_state[_trouble(record)] = f"Somebody settled sample {about.sample_id} in the meantime."
    except StillroomError as error:
        st.session_state[_trouble(record)] = str(error)


def _undo(record: SetRecord) -> None:
    try:
        take_back(record.id)
    except StillroomError as error:
        st.session_state[_trouble(record)] = str(error)


def _again(record: SetRecord, who: str) -> None:
    """Whoever settles conflicts says what is right: the next run can measure everybody against it."""
    st.caption(
        "Run agreement again with your verdicts as known labels: annotators and methods are then measured against them."
    )
    if st.button("Run again with my verdicts as known labels", icon=":material/play_arrow:", key=f"gold {record.id}"):
        act(lambda: _start(record, who))


def _start(record: SetRecord, who: str) -> None:
    require("analyse")
    before = services().workspace.latest_run(record.id, ANALYSIS)
    services().start(record.id, ANALYSIS, {**({} if before is None else before.parameters), "gold": who})


def _since(record: SetRecord) -> str:
    return f"conflict since {record.id}"


def _trouble(record: SetRecord) -> str:
    return f"conflict trouble {record.id}"
