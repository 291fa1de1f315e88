"""Browse: the whole set as a contact sheet, filtered, sorted, selected; one sample large beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from app.contact_sheet import contact_sheet
from app.figures import scatter_map
from app.filters import filter_bar
from app.fragments import fragment
from app.selection import current_set
from app.selection_actions import selection_actions
from app.services import services
from app.shown_figure import show_figure
from app.tiles import captions, prepare, state_word
from app.words import show_error
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.pixels import CONTRASTS
from data.sample_query import SamplePage, SampleQuery
from data.workspace import SetRecord

PAGE_SIZES = (50, 100, 200, 400)
LASSO = "browse lasso"


def browse_page() -> None:
    record, distilled_set = current_set()
    st.title("Browse")
    query = filter_bar(record, distilled_set, f"browse {record.id}")
    query = _lassoed(record, distilled_set, query)
    _grid(record, distilled_set, query)


def _lassoed(record: SetRecord, distilled_set: DistilledSet, query: SampleQuery) -> SampleQuery:
    """The map, and the samples that a lasso on it leaves."""
    found = services().findings(record.id, "map")
    if found is None:
        return query
    with st.expander("Select on the map", icon=":material/lasso_select:"):
        table = found[1].per_sample
        figure = scatter_map(
            table["x"].to_numpy(),
            table["y"].to_numpy(),
            distilled_set.labels,
            distilled_set.class_names,
            table["sample_id"].to_numpy(),
            table["flag"].to_numpy(),
        )
        event = show_figure(figure, on_select="rerun", selection_mode=("lasso", "box"), key=f"map {record.id}")
        ids = lassoed_ids(event.selection.points)
        st.caption(
            f"{len(ids):,} samples in the lasso." if ids else "Draw a lasso or a box; the grid below shows what is in it."
        )
    if not ids:
        return query
    kept = ids if query.among is None else np.intersect1d(query.among, ids)
    return replace(query, among=kept)


def lassoed_ids(points: Sequence[dict]) -> list[int]:
    """Sample ids of selected chart points, from their customdata."""
    found = (point.get("customdata") for point in points)
    # Plotly packs the numbers of a chart; a packed row comes back as {"0": …, "1": …} instead of a list.
    rows = (list(data.values()) if isinstance(data, dict) else data for data in found if data is not None)
    return sorted({int(np.ravel(row)[0]) for row in rows})


@fragment
def _grid(record: SetRecord, distilled_set: DistilledSet, query: SampleQuery) -> None:
    key = f"grid {record.id}"
    try:
        page, following, size, contrast = _pager(record, query, key)
    except StillroomError as error:
        show_error(error)
        return
    if page.total == 0:
        st.info("No sample fits these filters. Loosen one of them.", icon=":material/filter_alt_off:")
        return
    if distilled_set.images is None:
        _label_rows(record, distilled_set, page)
        return
    states = services().workspace.states(record.id, page.ids)
    tiles = captions(distilled_set, page.ids, states, *_flags_and_scores(record, query, page.ids))
    contact_sheet(record.id, distilled_set, tiles, key=key, finding=query.flagged_by, contrast=contrast, size=size)
    prepare(distilled_set, following, contrast)


def _pager(record: SetRecord, query: SampleQuery, key: str) -> tuple[SamplePage, np.ndarray, int, str]:
    """The controls above the grid; returns the page they choose, the ids of the one after it, tile size and contrast."""
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    moving = row.container(horizontal=True, vertical_alignment="center", gap="small")
    limit = row.selectbox("A page", PAGE_SIZES, index=1, key=f"{key} limit", width=110)
    size = row.slider("Size", 48, 192, 96, 16, key=f"{key} size", width=160)
    contrast = row.selectbox("Contrast", CONTRASTS, key=f"{key} contrast", width=150)
    at = f"{key} page"
    step: Callable[[int], None] = lambda by: st.session_state.update({at: st.session_state.get(at, 0) + by})  # noqa: E731
    number = st.session_state.setdefault(at, 0)
    page, following = _page_at(record, query, number, limit)
    last = max(0, (page.total - 1) // limit)
    if number > last:
        st.session_state[at] = number = last
        page, following = _page_at(record, query, number, limit)
    first = number * limit
    moving.button(
        "",
        icon=":material/chevron_left:",
        on_click=step,
        args=(-1,),
        disabled=number == 0,
        key=f"{key} back",
        help="Page before",
    )
    moving.button(
        "",
        icon=":material/chevron_right:",
        on_click=step,
        args=(1,),
        disabled=number == last,
        key=f"{key} forward",
        help="Next page",
    )
    moving.markdown(
        f"**{first + 1:,} to {first + len(page.ids):,}** of {page.total:,}" if page.total else "**0** samples",
        width="content",
    )
    return page, following, size, contrast


def _page_at(record: SetRecord, query: SampleQuery, number: int, limit: int) -> tuple[SamplePage, np.ndarray]:
    """One page, and the ids of the one after it, found with one question."""
    both = services().workspace.select(record.id, replace(query, offset=number * limit, limit=2 * limit))
    return SamplePage(both.ids[:limit], both.total), both.ids[limit:]


def _flags_and_scores(record: SetRecord, query: SampleQuery, ids: np.ndarray) -> tuple[dict[int, bool], dict[int, float]]:
    """Flags of the filtering (or any) analysis and the values sorted by, for the tiles of one page."""
    workspace = services().workspace
    flags = workspace.flags(record.id, ids)
    if query.sort_by is None or len(query.sort_by) < 2:
        return flags, {}
    return flags, workspace.values(record.id, *query.sort_by, ids)


def _label_rows(record: SetRecord, distilled_set: DistilledSet, page: SamplePage) -> None:
    """A set of labels without images: a table instead of a grid."""
    states = services().workspace.states(record.id, page.ids)
    rows = {"sample": page.ids, "given label": [distilled_set.class_names[distilled_set.labels[i]] for i in page.ids]}
    for name, source in distilled_set.selectable_sources.items():
        rows[name] = source.probabilities(page.ids).numpy().tolist()
    rows["decision"] = [state_word(states.get(int(i))) or "" for i in page.ids]
    bars = {name: st.column_config.BarChartColumn(y_min=0, y_max=1) for name in distilled_set.selectable_sources}
    key = f"rows {record.id}"
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config=bars,
        on_select="rerun",
        key=key,
        width="stretch",
        alt="Samples and their labels",
    )
    selection_actions(record.id, distilled_set, [int(page.ids[row]) for row in event.selection.rows], None, key)
