"""The filter bar above a grid: what a person picks, as one query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analysis.registry import title_of
from app.services import services
from data.derived_sources import versions_named
from data.distilled_set import GIVEN, DistilledSet
from data.sample_query import DECISION_FILTERS, SampleQuery, ScoreRange
from data.soft_labels import hard_labels
from data.workspace import SetRecord

GIVEN_LABEL = "the given label"
STORED_ORDER = "stored order"
ANY = "any"
LOWEST_FIRST, HIGHEST_FIRST = "lowest first", "highest first"


def filter_bar(record: SetRecord, distilled_set: DistilledSet, key: str) -> SampleQuery:
    """Widgets in one row and one popover, which says when it leaves anything out; returns the query they describe, without
    paging."""
    evidence = services().workspace.evidence(record.id)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
    classes = row.multiselect(
        "Class",
        range(distilled_set.num_classes),
        format_func=distilled_set.class_names.__getitem__,
        key=f"{key} classes",
        placeholder="all",
        width=130,
    )
    flagged = row.selectbox("Flagged by", [ANY, *evidence], format_func=title_of, key=f"{key} flagged", width=155)
    decision = row.selectbox("Decision", [ANY, *DECISION_FILTERS], key=f"{key} decision", width=110)
    query = SampleQuery(
        flagged_by=None if flagged == ANY else flagged,
        decision=None if decision == ANY else decision,
    )
    query = _ordered(query, evidence, row, key)
    with row.popover(_more_title(key), icon=":material/filter_alt:", key=f"{key} more"):
        query = _by_score(query, list(evidence), key)
        query = _by_source(query, distilled_set, tuple(classes), record, key)
    return query


def _more_title(key: str) -> str:
    """Says how many of the filters inside are set: a closed popover would hide why samples are missing."""
    unset = {f"{key} score of": ANY, f"{key} source": GIVEN_LABEL}
    active = sum(st.session_state.get(name, nothing) != nothing for name, nothing in unset.items())
    return f"More ({active} set)" if active else "More"


def _ordered(query: SampleQuery, evidence: dict[str, list[str]], row: DeltaGenerator, key: str) -> SampleQuery:
    columns = [(name, column) for name, names in evidence.items() for column in names]
    choices = [None, ("label",), *columns]
    chosen = row.selectbox("Sort by", choices, format_func=_column_title, key=f"{key} sort", width=155)
    ways = [LOWEST_FIRST, HIGHEST_FIRST]
    direction = row.selectbox("Order", ways, key=f"{key} order", disabled=chosen is None, width=120)
    return replace(query, sort_by=chosen, descending=direction == HIGHEST_FIRST)


def _by_score(query: SampleQuery, names: list[str], key: str) -> SampleQuery:
    if not names:
        st.caption("Scores appear here when an analysis has run.")
        return query
    name = st.selectbox("Score of", [ANY, *names], format_func=title_of, key=f"{key} score of")
    low, high = st.slider(
        "Between", 0.0, 1.0, (0.0, 1.0), 0.01, key=f"{key} score", help="1 = nothing wrong", disabled=name == ANY
    )
    return query if name == ANY else replace(query, score_of=ScoreRange(name, low, high))


def _by_source(
    query: SampleQuery, distilled_set: DistilledSet, classes: tuple[int, ...], record: SetRecord, key: str
) -> SampleQuery:
    sources = list(distilled_set.selectable_sources)
    if st.session_state.get(f"{key} source", GIVEN_LABEL) not in (GIVEN_LABEL, *sources):  # removed while it was chosen
        st.session_state[f"{key} source"] = GIVEN_LABEL
    source = st.selectbox("Class according to", [GIVEN_LABEL, *sources], format_func=_source_title, key=f"{key} source")
    if source == GIVEN_LABEL:
        return replace(query, classes=classes or None)
    versions = tuple(versions_named(services().workspace.derived(record.id), source))
    seen = top_classes(record.id, source, versions, distilled_set)
    kept = np.isin(seen, classes) if classes else np.ones(len(seen), bool)
    if st.toggle("Only where it disagrees with the given label", key=f"{key} disagrees"):
        kept &= seen != distilled_set.labels
    return replace(query, among=np.flatnonzero(kept))


@st.cache_data(max_entries=32, show_spinner="Reading soft labels …")
def top_classes(set_id: str, source: str, versions: tuple[str, ...], _distilled_set: DistilledSet) -> np.ndarray:
    """The class that a label source finds most probable, int64 (N,); ``versions`` tell corrected ones of one name apart."""
    return hard_labels(_distilled_set.selectable_sources[source])


def _source_title(name: str) -> str:
    return "the given soft label" if name == GIVEN else name


def _column_title(choice: tuple[str, ...] | None) -> str:
    if choice is None:
        return STORED_ORDER
    if len(choice) == 1:
        return choice[0]
    return f"{title_of(choice[0])}: {choice[1].replace('_', ' ')}"
