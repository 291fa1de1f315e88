"""What a shared queue can be made of: filters, findings, what is worth asking most, or samples that somebody names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from analysis.asking import Pace
from app.asking_queue import QUOTA, TIME, Asking, suspicion, waiting
from app.filters import filter_bar
from app.queue import Queue, queue_title, queues
from app.services import services
from app.shared_queue import typed_ids
from app.words import plain
from data.distilled_set import DistilledSet
from data.workspace import SetRecord

FILTERS, TYPED = "The filters of Browse", "Sample ids that you paste"
MOST_LETTERS = 10_000_000


@dataclass(frozen=True, eq=False)
class Chosen:
    """``ids`` int64 (n,) in the order in which they are asked; ``words`` say what they are; ``finding`` raised them."""

    ids: np.ndarray
    words: str
    finding: str | None = None


def choose_samples(record: SetRecord, distilled_set: DistilledSet) -> Chosen:
    """The widgets that choose, and what they choose now."""
    offered = [queue for queue in queues(services().workspace.judging(record.id)) if queue.way != TIME]
    source = st.selectbox(
        "Samples",
        [*offered, FILTERS, TYPED],
        format_func=lambda choice: choice if isinstance(choice, str) else queue_title(choice),
        key=f"queue of {record.id}",
    )
    if source == FILTERS:
        query = filter_bar(record, distilled_set, f"new queue {record.id}")
        page = services().workspace.select(record.id, replace(query, offset=0, limit=record.n))
        return Chosen(page.ids, "filters of Browse", query.flagged_by)
    if source == TYPED:
        return _typed(record)
    return _of_queue(record, distilled_set, source)


def _typed(record: SetRecord) -> Chosen:
    text = st.text_area(
        "Sample ids, in the order in which they shall be asked", key=f"queue ids {record.id}", max_chars=MOST_LETTERS
    )
    ids, wrong = typed_ids(text, record.n)
    if wrong:
        st.warning(f"Left out, as this set has no such samples: {plain(', '.join(wrong))}", icon=":material/warning:")
    return Chosen(ids, "named by id")


def _of_queue(record: SetRecord, distilled_set: DistilledSet, queue: Queue) -> Chosen:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        classes = st.multiselect(
            "Class",
            range(distilled_set.num_classes),
            format_func=distilled_set.class_names.__getitem__,
            placeholder="all",
            key=f"queue of classes {record.id}",
            width=260,
        )
        again = not queue.asks and st.toggle(
            "Also what is decided already",
            key=f"queue again {record.id}",
            help="For second opinions. Whoever decided a sample before the queue was made is asked again, too.",
        )
    chosen = tuple(classes) or None
    if queue.asks:
        ids = waiting(record.id, Asking(queue.way, chosen, quota=record.n), Pace())
        return Chosen(ids, queue_title(queue), suspicion(record.id).source if queue.way != QUOTA else None)
    query = replace(queue, classes=chosen).query
    query = replace(query, limit=record.n, decision=None if again and query.decision == "undecided" else query.decision)
    return Chosen(services().workspace.select(record.id, query).ids, queue_title(queue), queue.analysis)
