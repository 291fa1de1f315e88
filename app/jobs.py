"""What is running, how far it is, and a button to stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from analysis.engine import JobStatus
from analysis.registry import find
from app.background import TaskStatus
from app.column_words import capital, words
from app.draft_chart import draft_chart
from app.fragments import fragment, rerun_page
from app.roles import may
from app.services import services
from app.table_figures import first_measure, measures_of
from app.words import plain

_SEEN = "active_runs"


@dataclass(frozen=True)
class _Line:
    """One line of the list; ``id`` tells it apart from every other."""

    id: str
    title: str
    fraction: float
    words: str
    cancel: Callable[[], None]
    waits: bool = False


def jobs_panel() -> None:
    """The sidebar's list of what is running; refreshes itself once a second, only while there is anything."""
    active = {line.id for line in _lines()}
    st.session_state[_SEEN] = active
    if active:
        fragment(_running, run_every=1.0)()


def _running() -> None:
    lines = list(_lines())
    if {line.id for line in lines} != st.session_state.get(_SEEN):
        rerun_page()  # something finished: the page behind has new findings to show
    st.caption("Running")
    with st.container(gap="xxsmall"):
        for line in lines:
            _show(line)


def _show(line: _Line) -> None:
    bar, button = st.columns([5, 1], vertical_alignment="center")
    if line.waits:
        bar.caption(f"{plain(line.title)} · waiting")  # no bar: a set just opened has ten of these
    else:
        bar.progress(line.fraction, text=f"**{plain(line.title)}**  \n{line.words}")
    button.button(
        f"Cancel {plain(line.title)}",  # heard, not seen: app/frame/frame.css
        icon=":material/close:",
        key=f"cancel {line.id}",
        help=f"Cancel {line.title}",
        type="tertiary",
        disabled=not may("analyse"),
        on_click=line.cancel,  # a callback: it counts even where a rerun comes first
    )


def _lines() -> Iterator[_Line]:
    """The runs of analyses, then the background tasks."""
    engine, tasks = services().engine, services().tasks
    for run, status in services().active():
        title = find(run.analysis).title
        cancel = partial(stop, engine.cancel, run.id)
        yield _Line(f"{run.analysis} {run.id}", title, status.fraction, _words(status), cancel, status.state == "queued")
    for owner, kind in tasks.under_way():
        task = tasks.latest(owner, kind)
        if task is not None and task.under_way:
            cancel = partial(stop, tasks.cancel, owner, kind)
            yield _Line(f"{kind} {owner}", task.title, task.fraction, task_words(task), cancel)


def run_progress(run_id: str) -> None:
    """The progress of one run where its findings will be; refreshes itself until the run has ended."""

    def show() -> None:
        status = next((status for run, status in services().active() if run.id == run_id), None)
        if status is not None:
            bar, button = st.columns([6, 1], vertical_alignment="center")
            bar.progress(status.fraction, text=plain(capital(_words(status))))
            button.button(
                "Cancel",
                key=f"stop {run_id}",
                disabled=not may("analyse"),
                on_click=stop,
                args=(services().engine.cancel, run_id),
            )
            show_drafts(status.drafts, run_id)

    fragment(show, run_every=1.0)()


def stop(cancel: Callable[..., None], *what: str) -> None:
    """What every button that cancels does; nothing for those who may not, from whom it was hidden."""
    if may("analyse"):
        cancel(*what)


def show_drafts(drafts: Mapping[str, pd.DataFrame], run_id: str) -> None:
    """The tables of a run under way, as charts that grow."""
    for name, table in drafts.items():
        if measures_of(table):
            title = f"{capital(words(name))}, until now"
            st.caption(plain(title))
            st.vega_lite_chart(
                table, draft_chart(table, first_measure(table, None)), key=f"draft {name} {run_id}", alt=title
            )


def _words(status: JobStatus) -> str:
    if status.state == "queued":
        return "waiting for the runs before it"
    return f"{status.message} · {time_left(status.seconds_left)}"


def task_words(status: TaskStatus) -> str:
    """What a background task is doing, and for how much longer."""
    if status.state == "stopping":
        return "stopping, and removing what was half written"
    return f"{plain(status.message)} · {time_left(status.seconds_left)}"


def time_left(seconds: float | None) -> str:
    """A remaining time as people say it."""
    if seconds is None:
        return "estimating the time left"
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{seconds / 3600:.1f} h left"
