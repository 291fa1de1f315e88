"""Parts of a page that run by themselves: when somebody clicks in them, or by the clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def fragment(show: Callable[Arguments, Result], run_every: float | None = None) -> Callable[Arguments, Result]:
    """``st.fragment`` in a container of its own; with ``run_every`` it runs each so many seconds.

    Where a fragment runs again right after the whole page, Streamlit may not send what it drew with the page. The browser
    then takes it off the page, and without a container to keep its place what follows moves up, to be drawn over.
    """
    part = st.fragment(show, run_every=run_every)

    @wraps(show)
    def placed(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with st.container():
            return part(*args, **kwargs)

    return placed


def rerun_page() -> None:
    """The whole page runs anew, out of a fragment that runs by the clock: now, or at a later turn of the fragment.

    Streamlit runs the fragments that wait in one go. A rerun out of one of them forgets the clicks that the others were
    run for, and one within a run of the whole page those that it was run for. So it waits until its fragment runs alone.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None and len(context.fragment_ids_this_run or ()) == 1:
        st.rerun()
