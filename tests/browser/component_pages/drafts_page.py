"""A learning curve that grows by a step each half second, with a second lesson from the fifth step on."""

import pandas as pd
import streamlit as st

from app.jobs import show_drafts

MOST_STEPS = 400


@st.fragment(run_every=0.5)
def growing() -> None:
    steps = st.session_state["steps"] = min(st.session_state.get("steps", 0) + 1, MOST_STEPS)
    curves = [(step, 1 - 0.8**step, "soft labels, 'teacher strong'") for step in range(1, steps + 1)]
    curves += [(step, 1 - 0.9**step, "hard labels") for step in range(5, steps + 1)]
    show_drafts({"learning curve": pd.DataFrame(curves, columns=["step", "accuracy", "group"])}, "000001")
    st.code(f"steps {steps}")


growing()
