"""A decision card over a queue kept in memory: ?window= items are sent ahead, out of ?n=, of ?classes= classes.

With ?moves the card changes its place in the page with every rerun."""

import time

import numpy as np
import streamlit as st

from app.components.decision_card import CardItem, Suggestion, decision_card
from app.components.event_queue import Event
from app.components.soft_label_bars import BarSource, bars_data
from app.images import large
from data.decisions import Decision, states
from data.errors import ImpossibleRequest
from tests.browser.component_pages.pictures import images, names_of


@st.cache_resource
def log_of(run: str) -> list[Decision]:
    """What a workspace would keep: it outlives sessions."""
    return []


run = st.query_params.get("run", "default")
window, n, classes = (int(st.query_params.get(name, d)) for name, d in (("window", 12), ("n", 100), ("classes", 10)))
names = names_of(classes)
log = log_of(run)


def commit(events: list[Event]) -> None:
    if st.session_state.get("broken"):
        raise ImpossibleRequest("the disk is full; free some space.")
    time.sleep(float(st.query_params.get("slow", 0)))
    log.extend(event.decision("tester") for event in events)


def item(i: int) -> CardItem:
    given, other = i % 10, (i + 2) % 10
    evidence = "resnet-18 says so with 0.91, convnet-3 with 0.87; the given label has 0.04."
    likely = np.full(len(names), 0.02 / (len(names) - 2))
    likely[[given, other]] = 0.07, 0.91
    sources = [BarSource("given", "logits", likely[::-1]), BarSource("resnet-18", "probabilities", likely)]
    return CardItem(
        id=i,
        image=large(images(), i),
        given=given,
        pruned=i == 2,
        suggestion=Suggestion("relabel", other, evidence=evidence) if i % 4 == 0 else None,
        bars=bars_data(names, sources, given=given, suggested=other, most=4),
    )


st.checkbox("broken", key="broken")
st.text_input("elsewhere")
settled = states(log)
todo = [i for i in range(n) if i not in settled]
st.session_state["rerun"] = st.session_state.get("rerun", 0) + 1
moved = "moves" in st.query_params and st.session_state["rerun"] % 2
with st.expander("moved", expanded=True) if moved else st.container():  # the browser takes the card out and in again
    decision_card([item(i) for i in todo[:window]], names, key="card", scope=run, remaining=len(todo), commit=commit)


def line(decision: Decision) -> str:
    return " ".join(
        str(part) for part in (decision.action, decision.sample_id, decision.label, decision.reason) if part is not None
    )


st.code("\n".join(map(line, log)) or "nothing yet", language=None)
