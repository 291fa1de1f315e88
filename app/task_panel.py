"""A background task where its result will be: how far it is, how to stop it, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.fragments import fragment
from app.jobs import stop, task_words
from app.roles import may
from app.services import services
from app.words import plain, show_error
from data.errors import StillroomError


def task_panel(owner: str, kind: str, show_result: Callable[[Any], None]) -> None:
    """Show the latest task of that kind, running or ended; nothing where there was none.

    While it runs, this part of the page refreshes itself; the sidebar, which lists it too, refreshes the page at its end.
    """
    status = services().tasks.latest(owner, kind)
    if status is None:
        return
    if status.under_way:
        fragment(lambda: _progress(owner, kind), run_every=1.0)()
    elif status.state == "failed":
        show_error(status.error)
    elif status.state == "cancelled":
        st.warning(f"{plain(status.title)} was cancelled; nothing of it was left behind.", icon=":material/cancel:")
    else:
        show_result(status.result)


def act(action: Callable[[], Any]) -> None:
    """Do what a button asks for, most often start a task, and show the page anew; or say why it cannot be."""
    try:
        action()
    except StillroomError as error:
        show_error(error)
        return
    st.rerun()


def is_under_way(owner: str, kind: str) -> bool:
    status = services().tasks.latest(owner, kind)
    return status is not None and status.under_way


def _progress(owner: str, kind: str) -> None:
    status = services().tasks.latest(owner, kind)
    if status is None or not status.under_way:
        return
    bar, button = st.columns([6, 1], vertical_alignment="center")
    bar.progress(status.fraction, text=f"**{plain(status.title)}:** {task_words(status)}")
    button.button(
        "Cancel",
        key=f"stop {owner} {kind}",
        disabled=status.state == "stopping" or not may("analyse"),
        on_click=stop,
        args=(services().tasks.cancel, owner, kind),
    )
