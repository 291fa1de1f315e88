"""Queues: what several people decide together, each item by as many of them as asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.identity import has_login, name_prompt
from app.roles import may
from app.selection import current_set
from app.services import services
from app.shared_queue import cut_by_class, make_queue, set_open
from app.shared_queue_sources import Chosen, choose_samples
from app.shared_queue_words import answers_words, beyond_words, clock, queue_facts
from app.task_panel import act
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.queue_work import Progress
from data.queues import LEASE_SECONDS, MOST_LETTERS, MOST_OVERLAP, QueuePlan, SharedQueue
from data.workspace import SetRecord

NUMBER_PX = 150
DEFAULT_ITEMS = 1_000
BLIND_TITLE = "Blind labels"
"""Everybody reads the title: what the samples were chosen by would tell what an analysis says of them."""


def queues_page(decide: StreamlitPage | None = None) -> None:
    record, distilled_set = current_set()
    st.title("Queues")
    st.caption(
        "A shared queue hands the same samples to several people: none to more of them than asked for, and what somebody "
        "leaves lying goes to the next. Everybody finds the open ones at the top of the menu on Decide."
    )
    queues = services().workspace.queues.of_set(record.id)
    if may("queues"):
        key = f"make a queue {record.id} {bool(queues)}"  # once there is one it comes up shut
        panel = st.expander("Make a queue", icon=":material/add:", expanded=not queues, key=key, on_change="rerun")
        if panel.open:  # what it would make is worked out from all samples
            with panel:
                _form(record, distilled_set)
    if not queues:
        words = "There is no shared queue on this set yet: " + (
            "make one above." if may("queues") else "a reviewer can make one."
        )
        st.info(words, icon=":material/inbox:")
        return
    is_open = {queue.id: services().workspace.queues.is_open(queue.id) for queue in queues}
    for queue in sorted(queues, key=lambda queue: (not is_open[queue.id], -queue.id)):
        _queue(queue, is_open[queue.id], decide)


def worker_table(found: Progress) -> pd.DataFrame:
    """One row for each person in a queue."""
    rows = [
        {
            "who": worker.who,
            "decided": worker.answered,
            "skipped": worker.skipped,
            "holding": worker.holding,
            "until (UTC)": "" if not worker.holding or worker.until is None else clock(worker.until),
        }
        for worker in found.workers
    ]
    return pd.DataFrame(rows)


def _form(record: SetRecord, distilled_set: DistilledSet) -> None:
    chosen = choose_samples(record, distilled_set)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        most = st.number_input(
            "At most", 1, record.n, min(DEFAULT_ITEMS, record.n), key=f"queue size {record.id}", width=NUMBER_PX
        )
        a_class = st.number_input(
            "Of each class",
            0,
            record.n,
            0,
            key=f"queue class quota {record.id}",
            help="The first so many of each given class, in the order above; 0 for any number.",
            width=NUMBER_PX,
        )
    ids = cut_by_class(chosen.ids, distilled_set.labels, int(a_class) or None)[: int(most)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        overlap = st.number_input("People for each sample", 1, MOST_OVERLAP, 1, key="queue overlap", width=NUMBER_PX)
        minutes = st.number_input(
            "Minutes to hold",
            1,
            1_440,
            int(LEASE_SECONDS // 60),
            key="queue minutes",
            help="After so long without a decision, what somebody was handed goes to others.",
            width=NUMBER_PX,
        )
        quota = st.number_input(
            "Most for one person",
            0,
            record.n,
            0,
            key=f"queue quota {record.id}",
            help="Skipped ones count; 0 for any number.",
            width=NUMBER_PX,
        )
        blind = st.toggle(
            "Blind",
            key="queue blind",
            help="Nobody sees the label that a sample has, what analyses found, or what others decided.",
        )
        shuffled = st.toggle(
            "Shuffled",
            value=blind,
            key=f"queue shuffled {blind}",
            help="In another order than stored or scored, by chance: where neighbours share a class, the order tells it.",
        )
        if shuffled:
            ids = np.random.default_rng(len(ids)).permutation(ids)
        if not has_login():
            name_prompt(st.container(width=NUMBER_PX), NUMBER_PX)
    title = _title(BLIND_TITLE if blind else chosen.words)
    nothing = "" if len(ids) else " Nothing here is left to decide: choose other samples above."
    samples = f"**{len(ids):,}** sample{'' if len(ids) == 1 else 's'}"
    wanted = len(ids) * int(overlap)
    st.markdown(f"{samples}, **{wanted:,}** answer{'' if wanted == 1 else 's'}.{nothing}")
    if st.button("Make the queue", type="primary", disabled=not len(ids)):
        rules = {"overlap": int(overlap), "lease_seconds": 60.0 * minutes, "blind": blind, "quota": int(quota) or None}
        act(lambda: _make(record, title, chosen, ids, rules))


def _title(proposed: str) -> str:
    return st.text_input("Title", value=proposed[:MOST_LETTERS], max_chars=MOST_LETTERS, key=f"title {proposed}")


def _make(record: SetRecord, title: str, chosen: Chosen, ids: np.ndarray, rules: dict) -> None:
    rules["quota"] = rules["quota"] and min(rules["quota"], len(ids))
    made = make_queue(record.id, QueuePlan(title, ids, source=chosen.words, finding=chosen.finding, **rules))
    st.toast(f"Made: {plain(made.plan.title)}", icon=":material/check:")


def _queue(queue: SharedQueue, is_open: bool, decide: StreamlitPage | None) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{plain(queue.plan.title)}**{'' if is_open else ' · closed'}", width="content")
            if may("queues"):
                words, icon = ("Close", ":material/lock:") if is_open else ("Open again", ":material/lock_open:")
                st.button(words, icon=icon, key=f"open {queue.id}", on_click=_turn, args=(queue.id, not is_open))
        found = services().workspace.queues.progress(queue.id)
        st.progress(found.answers / found.wanted, text=answers_words(found))
        st.caption(plain(" ".join(filter(None, [queue_facts(queue), _made(queue), beyond_words(found)]))))
        if found.workers:
            st.dataframe(worker_table(found), hide_index=True, width="stretch", alt="Who has done how much")
        else:
            st.caption("Nobody has begun.")
        if is_open and decide is not None:
            st.page_link(decide, label="Decide", icon=":material/keyboard:")


def _made(queue: SharedQueue) -> str:
    """By whom and when; from what only where it tells those who label blind nothing."""
    told = may("queues") or not queue.plan.blind
    source = f", from: {queue.plan.source or 'a list'}" if told else ""
    return f"Made by {queue.made_by} on {queue.at[:16].replace('T', ' ')}{source}."


def _turn(queue: int, is_open: bool) -> None:
    try:
        set_open(queue, is_open)
    except ImpossibleRequest as error:
        show_error(error)
