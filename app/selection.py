"""The set at hand and the person at hand, the same on every page and after a reload."""

from __future__ import annotations

import streamlit as st

from app.services import services
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.workspace import SetRecord

_SET = "set_id"
_IN_ADDRESS = "set"


def choose_set() -> None:
    """The sidebar's choice of set; the address remembers it, so that a reload or a link opens the same one."""
    records = services().workspace.sets()
    if not records:
        return
    ids = [record.id for record in records]
    wanted = st.session_state.get(_SET) or st.query_params.get(_IN_ADDRESS)
    if wanted not in ids:
        wanted = ids[0]
    names = {record.id: f"{record.name}  ·  {record.n:,} samples" for record in records}
    chosen = st.selectbox("Set", ids, index=ids.index(wanted), format_func=names.__getitem__)
    switch_to(chosen)


def switch_to(set_id: str) -> None:
    """Make ``set_id`` the set at hand."""
    st.session_state[_SET] = set_id
    if st.query_params.get(_IN_ADDRESS) != set_id:
        st.query_params[_IN_ADDRESS] = set_id


def current_set() -> tuple[SetRecord, DistilledSet]:
    """The set at hand. Where there is none, or it cannot be read any more, the page says so and stops."""
    record = next((r for r in services().workspace.sets() if r.id == st.session_state.get(_SET)), None)
    if record is None:
        st.info("No set is open yet. Open one on the **Sets** page: a file, a folder, or an upload.", icon=":material/info:")
        st.stop()
    try:
        return record, services().workspace.load(record.id)
    except StillroomError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


def annotator() -> str:
    """The name that decisions of this browser session are signed with."""
    return st.session_state.get("annotator", "").strip() or "local"
