"""What was left behind, over a log kept in memory: of ?run= alone. A box makes every save fail."""

import streamlit as st

from app.components.event_queue import Event, PairEvent
from app.components.left_strokes import left_strokes
from data.errors import ImpossibleRequest


@st.cache_resource
def log_of(run: str) -> list[str]:
    """What a workspace would keep: it outlives sessions."""
    return []


run = st.query_params.get("run", "default")
log = log_of(run)


def fail_if_broken() -> None:
    if st.session_state.get("broken"):
        raise ImpossibleRequest("the disk is full; free some space.")


def decide(scope: str, events: list[Event]) -> None:
    fail_if_broken()
    log.extend(f"{event.action} {event.sample_id}" for event in events)


def answer(scope: str, events: list[PairEvent]) -> None:
    fail_if_broken()
    log.extend(f"{event.said} of {event.sample_id}" for event in events)


st.checkbox("broken", key="broken")
left_strokes([run], key="left", decide=decide, answer=answer)
st.code("\n".join(log) or "nothing yet", language=None)
