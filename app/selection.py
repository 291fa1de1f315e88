"""The set at hand and the person at hand, the same on every page and after a reload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from app.identity import signed_by
from app.services import services
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.workspace import SetRecord

_SET = "set_id"
_IN_ADDRESS = "set"
MENU_LETTERS = 24


def choose_set() -> None:
    """The sidebar's choice of set; the address remembers it, so that a reload or a link opens the same one."""
    records = services().workspace.sets()
    if not records:
        return
    ids = [record.id for record in records]
    wanted = st.session_state.get(_SET) or st.query_params.get(_IN_ADDRESS)
    if wanted not in ids:
        wanted = ids[0]
    names = set_names(records)
    chosen = st.selectbox("Set", ids, index=ids.index(wanted), format_func=names.__getitem__)
    _tell_about(records[ids.index(chosen)])
    switch_to(chosen)


def _tell_about(record: SetRecord) -> None:
    """The menu has no room for a long name, so it is said in full below."""
    name = f"{plain(record.name)}  \n" if len(record.name) > MENU_LETTERS else ""
    st.caption(f"{name}{record.n:,} samples in {record.num_classes:,} classes")


def set_names(records: Sequence[SetRecord]) -> dict[str, str]:
    """A name for each set id, no two alike: many sets are called images_best."""
    met = Counter(record.name for record in records)
    names = {r.id: r.name if met[r.name] == 1 else f"{r.path.parent.name}/{r.name}" for r in records}
    met = Counter(names.values())
    return {r.id: names[r.id] if met[names[r.id]] == 1 else f"{names[r.id]} ({r.id[:4]})" for r in records}


def switch_to(set_id: str) -> None:
    """Make ``set_id`` the set at hand."""
    st.session_state[_SET] = set_id
    if st.query_params.get(_IN_ADDRESS) != set_id:
        st.query_params[_IN_ADDRESS] = set_id


def chosen_record() -> SetRecord | None:
    """What the list says of the set at hand; None where there is none."""
    return next((r for r in services().workspace.sets() if r.id == st.session_state.get(_SET)), None)


def current_set() -> tuple[SetRecord, DistilledSet]:
    """The set at hand. Where there is none, or it cannot be read any more, the page says so and stops."""
    record = chosen_record()
    if record is None:
        st.info("No set is open yet. Open one on the **Sets** page: a file, a folder, or an upload.", icon=":material/info:")
        st.stop()
    try:
        return record, services().workspace.load(record.id)
    except StillroomError as error:
        show_error(f"{error} The Sets page can take it off the list.")
        st.stop()


def annotator() -> str:
    """The name that decisions of this browser session are signed with."""
    return signed_by()
