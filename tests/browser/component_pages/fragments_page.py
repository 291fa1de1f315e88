"""A part that runs by the clock and has the page run anew once something slow has ended, beside a part with buttons."""

import time

import streamlit as st

from app.fragments import fragment, rerun_page

SECONDS = 1.5
state = st.session_state
for name in ("pressed", "ended"):
    state.setdefault(name, 0)
state["shown"] = state["ended"]


def watch() -> None:
    if state["ended"] != state["shown"]:
        rerun_page()
    st.caption("by the clock")


@fragment
def work() -> None:
    if st.button("Slow"):
        time.sleep(SECONDS)
        state["ended"] += 1
    if st.button("Press"):
        state["pressed"] += 1
    st.write(f"slow {state['ended']}, pressed {state['pressed']}")


fragment(watch, run_every=0.3)()
work()
st.write(f"the page shows {state['shown']}")
