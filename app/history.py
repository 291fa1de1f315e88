"""A person's own decisions on a set, the newest first, and the one that they want to see again."""

from __future__ import annotations

from collections.abc import Container, Sequence

import pandas as pd
import streamlit as st

from app.components.decision_card import Reopened
from app.services import services
from app.shared_queue_words import CHOOSING, did
from data.decisions import Decision
from data.distilled_set import DistilledSet
from data.log_pages import LogQuery, LogRow

PAGE = 8
_OLDER = "own decisions from"
_TURNS = "samples reopened"


def history_panel(set_id: str, distilled_set: DistilledSet, who: str, blind: bool = False) -> None:
    """What the person decided, and on request what everybody did, unless they are asked ``blind``. Read only while open."""
    panel = st.expander("Your decisions", icon=":material/history:", key=f"history {set_id}", on_change="rerun")
    if not panel.open:
        return
    with panel:
        if not blind and st.toggle("Everybody's latest", key=f"everybody {set_id}"):
            latest = log_table(services().workspace.decisions(set_id, latest=PAGE), distilled_set)
            st.dataframe(latest, hide_index=True, alt="Everybody's latest decisions")
            return
        _own(set_id, distilled_set, who, blind)


def reopened(set_id: str, who: str) -> int | None:
    """The sample that the person asked to see again, until they have decided it anew."""
    place = _place(set_id)
    sample, asked_by, after = st.session_state.get(place, (None, "", 0))
    if sample is None or asked_by != who:
        return None
    newer = (e for e in services().workspace.decisions(set_id, sample) if (e.id or 0) > after and e.annotator == who)
    if any(entry.action != "undo" for entry in newer):
        del st.session_state[place]
        return None
    return sample


def reopen(set_id: str, sample: int, who: str) -> None:
    """Bring a sample back to the card. The log does not change before it is decided anew."""
    latest = max((entry.id or 0 for entry in services().workspace.decisions(set_id, sample)), default=0)
    st.session_state[_place(set_id)] = (sample, who, latest)
    st.session_state[_TURNS] = st.session_state.get(_TURNS, 0) + 1


def for_card(sample: int | None, waiting: Container[int]) -> Reopened | None:
    """What ``reopened`` gives, as the card takes it; ``waiting`` are the samples that the queue shows anyway."""
    return None if sample is None else Reopened(sample, st.session_state.get(_TURNS, 0), sample in waiting)


def in_front(sample: int | None, waiting: list[int]) -> list[int]:
    """The samples ``waiting``, after the one that was reopened, where one was."""
    return waiting if sample is None else [sample, *(i for i in waiting if i != sample)]


def decided_before(
    set_id: str, sample: int | None, who: str, distilled_set: DistilledSet, blind: bool = False
) -> dict[int, str]:
    """What the person last said of a sample, as the card shows it; nothing of what others did."""
    log = [] if sample is None else services().workspace.decisions(set_id, sample)
    told = next((entry for entry in reversed(log) if entry.annotator == who and entry.action != "undo"), None)
    if told is None:
        return {}
    undone = ", which was taken back" if told.id in {entry.undoes for entry in log} else ""
    return {told.sample_id: f"You {what(told, distilled_set, blind)} on {when(told)}{undone}."}


def what(decision: Decision, distilled_set: DistilledSet, blind: bool = False) -> str:
    """A decision in a few words, without the sample; for who is asked ``blind`` with nothing that tells the given label."""
    names = distilled_set.class_names
    if blind and decision.action in CHOOSING:
        given = int(distilled_set.labels[decision.sample_id])
        return f"chose {names[given if decision.label is None else decision.label]}"
    to = "" if decision.label is None else f" to {names[decision.label]}"
    why = f" ({decision.reason})" if decision.reason else ""
    return f"{did(decision.action)}{to}{why}"


def when(decision: Decision) -> str:
    """Its date and time, UTC."""
    return decision.at[:19].replace("T", " ")


def log_table(log: Sequence[Decision], distilled_set: DistilledSet) -> pd.DataFrame:
    """Whoever's decisions, the newest first."""
    rows = [
        {
            "when": when(decision),
            "who": decision.annotator,
            "sample": decision.sample_id,
            "what": decision.action,
            "to": "" if decision.label is None else distilled_set.class_names[decision.label],
            "why": decision.reason or "",
            "seconds": decision.seconds,
        }
        for decision in reversed(log)
    ]
    return pd.DataFrame(rows)


def _own(set_id: str, distilled_set: DistilledSet, who: str, blind: bool) -> None:
    pages = services().workspace.log(set_id)
    total = pages.count(LogQuery(annotator=who))
    if not total:
        st.caption("Nothing yet. What you decide is listed here, and each can be opened again.")
        return
    offset = min(st.session_state.get(_OLDER, 0), (total - 1) // PAGE * PAGE)
    with st.container(gap=None):
        for row in pages.page(LogQuery(annotator=who, offset=offset, limit=PAGE)):
            _line(set_id, row, what(row.decision, distilled_set, blind), who, blind)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button("Newer", icon=":material/chevron_left:", disabled=not offset, on_click=_turn, args=(offset - PAGE,))
        st.caption(f"{offset + 1:,}–{min(offset + PAGE, total):,} of {total:,}, times in UTC", width="content")
        last = offset + PAGE >= total
        st.button("Older", icon=":material/chevron_right:", disabled=last, on_click=_turn, args=(offset + PAGE,))


def _line(set_id: str, row: LogRow, words: str, who: str, blind: bool) -> None:
    """Sets are often stored class by class, where the number of a sample tells its label."""
    decision = row.decision
    name = "an image" if blind else f"sample {decision.sample_id}"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        took = "" if decision.seconds is None else f" · {decision.seconds:.1f} s"
        undone = " · taken back" if row.undone_by else ""
        st.text(f"{when(decision)} · {name}: {words}{took}{undone}", width="content")
        if decision.action != "undo":
            st.button(
                "Reopen",
                key=f"reopen {decision.id}",
                type="tertiary",
                help=f"Decide {name} anew; what you said stays in the log.",
                on_click=reopen,
                args=(set_id, decision.sample_id, who),
            )


def _turn(offset: int) -> None:
    st.session_state[_OLDER] = max(offset, 0)


def _place(set_id: str) -> str:
    return f"reopened {set_id}"
