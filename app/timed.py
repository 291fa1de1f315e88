"""Parts of a page that run by the clock, and how they have the whole page run."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def rerun_page() -> None:
    """The whole page runs anew, out of a fragment that runs by the clock: now, or at a later turn of the fragment.

    Streamlit runs the fragments that wait in one go. A rerun out of one of them forgets the clicks that the others were
    run for, and one within a run of the whole page those that it was run for. So it waits until its fragment runs alone.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None and len(context.fragment_ids_this_run or ()) == 1:
        st.rerun()
