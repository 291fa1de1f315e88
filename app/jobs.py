"""What is running, how far it is, and a button to stop it."""

from __future__ import annotations

import streamlit as st

from analysis.engine import JobStatus
from analysis.registry import find
from app.services import services

_SEEN = "active_runs"


def jobs_panel() -> None:
    """The sidebar's list of running analyses; refreshes itself once a second, only while there are any."""
    active = {run.id for run, _ in services().active()}
    st.session_state[_SEEN] = active
    if active:
        st.fragment(_running, run_every=1.0)()


def _running() -> None:
    active = services().active()
    if {run.id for run, _ in active} != st.session_state.get(_SEEN):
        st.rerun()  # something finished: the page behind has new findings to show
    st.caption("Running")
    for run, status in active:
        title = find(run.analysis).title
        bar, stop = st.columns([5, 1], vertical_alignment="center")
        bar.progress(status.fraction, text=f"**{title}**  \n{_words(status)}")
        stop.button(
            "",
            icon=":material/close:",
            key=f"cancel {run.analysis} {run.id}",
            help=f"Cancel {title}",
            type="tertiary",
            on_click=services().engine.cancel,  # a callback: it counts even where the rerun above comes first
            args=(run.id,),
        )


def run_progress(run_id: str) -> None:
    """The progress of one run where its findings will be; refreshes itself until the run has ended."""

    def show() -> None:
        status = next((status for run, status in services().active() if run.id == run_id), None)
        if status is not None:
            st.progress(status.fraction, text=_words(status).capitalize())

    st.fragment(show, run_every=1.0)()


def _words(status: JobStatus) -> str:
    if status.state == "queued":
        return "waiting for the runs before it"
    return f"{status.message} · {time_left(status.seconds_left)}"


def time_left(seconds: float | None) -> str:
    """A remaining time as people say it."""
    if seconds is None:
        return "estimating the time left"
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{seconds / 3600:.1f} h left"
