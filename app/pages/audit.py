"""Audit: who changed what, when, why, after which finding, how long; decisions from and to other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.audit_exchange import export_section, import_section
from app.audit_table import day_span, log_table, totals_table
from app.column_words import NO_CLASS
from app.fragments import fragment
from app.roles import may
from app.sample_panel import sample_panel
from app.selection import current_set
from app.services import services
from app.shown_table import column_settings, show_table
from data.decisions import ACTIONS
from data.distilled_set import DistilledSet
from data.log_pages import LogPages, LogQuery, LogRow
from data.workspace import SetRecord

PAGE = 100
HEIGHT = 560
ANY = "any"
STANDS, TAKEN_BACK = "stands", "taken back"
LOG, TOTALS, EXPORT, IMPORT = "Log", "Totals", "Export decisions", "Import decisions"


def audit_page() -> None:
    record, distilled_set = current_set()
    st.title("Audit")
    log = services().workspace.log(record.id)
    if not log.count(LogQuery()):
        _nothing_yet(record, distilled_set)
        return
    views = [LOG, TOTALS, *([EXPORT] if may("export") else []), *([IMPORT] if may("import") else [])]
    view = st.segmented_control("View", views, default=LOG, key=f"audit view {record.id}", label_visibility="collapsed")
    if view == EXPORT:
        export_section(record, distilled_set)
    elif view == IMPORT:
        import_section(record, distilled_set)
    else:
        _entries(record, distilled_set, view == TOTALS)


def _nothing_yet(record: SetRecord, distilled_set: DistilledSet) -> None:
    others = ", or import what was decided elsewhere" if may("import") else ""
    st.info(
        f"Nothing has been decided about this set yet. Go to **Decide**, or select samples on **Browse**{others}. "
        "Every decision then stands here, with who made it and when.",
        icon=":material/info:",
    )
    if may("import"):
        import_section(record, distilled_set)


@fragment
def _entries(record: SetRecord, distilled_set: DistilledSet, totals: bool) -> None:
    log = services().workspace.log(record.id)
    query = _filters(record, distilled_set, log)
    found = log.count(query)
    if not found:
        st.info("No entry fits these filters. Loosen one of them.", icon=":material/filter_alt_off:")
    elif totals:
        _totals(log, query, found)
    else:
        _page(record, distilled_set, log, query, found)


def _filters(record: SetRecord, distilled_set: DistilledSet, log: LogPages) -> LogQuery:
    key = f"audit {record.id}"
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
    who = _choice(row, "Annotator", log.named("annotator"), f"{key} who", 130)
    action = _choice(row, "Action", ACTIONS, f"{key} action", 105)
    state = _choice(row, "Entry", (STANDS, TAKEN_BACK), f"{key} state", 125)
    classes = row.multiselect(
        "Class",
        range(distilled_set.num_classes),
        format_func=distilled_set.class_names.__getitem__,
        placeholder="all",
        key=f"{key} classes",
        help="The given label of the sample, or the class that it was relabelled to.",
        width=130,
    )
    inside = [f"{key} {name}" for name in ("finding", "days", "sample")]
    active = sum(st.session_state.get(name) not in (None, ()) for name in inside)
    with row.popover(f"More ({active} set)" if active else "More", icon=":material/filter_alt:", key=f"{key} more"):
        finding = _choice(st.container(), "After finding", log.named("finding"), inside[0], 260)
        days = st.date_input("Days, from and to (UTC)", (), key=inside[1])
        sample = st.number_input("Sample", 0, record.n - 1, None, 1, key=inside[2], placeholder=ANY)
    since, until = day_span(days if isinstance(days, tuple) else (days,))
    undone = None if state is None else state == TAKEN_BACK
    return LogQuery(who, action, tuple(classes) or None, finding, since, until, sample, undone)


def _choice(row: DeltaGenerator, label: str, values: list[str] | tuple[str, ...], key: str, width: int) -> str | None:
    """One of ``values``, or None for any; one that is there no more is forgotten."""
    if st.session_state.get(key) not in (None, *values):
        st.session_state[key] = None
    return row.selectbox(label, values, index=None, key=key, placeholder=ANY, width=width)


def _page(record: SetRecord, distilled_set: DistilledSet, log: LogPages, query: LogQuery, found: int) -> None:
    number = _pager(f"audit {record.id}", query, found)
    rows = log.page(replace(query, offset=number * PAGE, limit=PAGE))
    table = f"audit rows {record.id} {number} {query}"  # another page is another table: nothing of it is selected yet
    chosen = _table(distilled_set, rows, table)
    st.caption("Times are UTC. Select an entry to see its sample with its whole history.")
    opened = f"audit opened {record.id}"
    if chosen is None:
        st.session_state.pop(opened, None)
    elif st.session_state.get(opened) != (table, chosen):  # once: it must not come back after it was closed
        st.session_state[opened] = (table, chosen)
        _sample(record, distilled_set, rows[chosen].decision.sample_id)


def _table(distilled_set: DistilledSet, rows: list[LogRow], key: str) -> int | None:
    """The entries of one page; returns the row that is selected."""
    table = log_table(rows, distilled_set.labels, distilled_set.class_names)
    columns = column_settings(table)
    event = st.dataframe(
        table,
        hide_index=True,
        column_config=columns,
        placeholder=NO_CLASS,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        width="stretch",
        height=HEIGHT,
        alt="Log of decisions",
    )
    return next((row for row in event.selection.rows if row < len(rows)), None)


@st.dialog("Sample and history", width="small")
def _sample(record: SetRecord, distilled_set: DistilledSet, sample: int) -> None:
    sample_panel(record.id, distilled_set, sample, "as trained", f"audit {record.id}")


def _pager(key: str, query: LogQuery, found: int) -> int:
    """The number of the page, from 0; other filters begin at the first again."""
    at, asked = f"{key} page", f"{key} asked"
    if st.session_state.get(asked) != query:
        st.session_state[asked], st.session_state[at] = query, 0
    last = (found - 1) // PAGE
    number = st.session_state[at] = min(st.session_state[at], last)
    step: Callable[[int], None] = lambda by: st.session_state.update({at: number + by})  # noqa: E731
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    for name, icon, by, off in (("Newer", "left", -1, number == 0), ("Older", "right", 1, number == last)):
        icon = f":material/chevron_{icon}:"
        row.button("", icon=icon, key=f"{key} {name}", help=name, on_click=step, args=(by,), disabled=off)
    first = number * PAGE
    row.markdown(f"**{first + 1:,} to {min(first + PAGE, found):,}** of {found:,} entries, newest first", width="content")
    return number


def _totals(log: LogPages, query: LogQuery, found: int) -> None:
    show_table(totals_table(log.totals(query)), "Totals")
    st.caption(
        f"From {found:,} entries, undos included. Minutes are the sum over the timed entries, those that say how long they "
        "took; seconds each are their mean."
    )
