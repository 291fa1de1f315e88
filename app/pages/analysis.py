"""One page an analysis, all made the same way from its registration: form, progress, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from analysis.findings import Findings
from analysis.registry import Analysis
from app.analysis_order import why_not_yet
from app.column_words import capital, with_class_names, words
from app.compress_panel import compress_section
from app.conflicts_panel import conflicts_section
from app.contact_sheet import contact_sheet
from app.critic_panel import critic_section
from app.figures import BARE, heat_map, per_class_chart, scatter_map
from app.fragments import fragment
from app.headline_words import changed_words, nothing_stands_out, unsaid, untold
from app.interval_bars import interval_ends
from app.jobs import run_progress
from app.needs import needs_words
from app.notes import notes
from app.pages.browse import lassoed_ids
from app.parameter_form import parameter_form
from app.roles import may, require
from app.selection import current_set
from app.services import services
from app.shown_figure import show_figure
from app.shown_table import show_table
from app.table_figures import first_measure, is_measure, measures_of, table_chart
from app.task_panel import act
from app.tiles import captions
from app.tree_writing import write_pruned_section
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.sample_query import SampleQuery
from data.workspace import RunRecord, SetRecord

WORST = 60
MOST_ROWS = 1_000
FEW_ROWS = 30
FIGURE_PX = 255  # three beside each other at 1280 pixels, two at 1000
MATRIX_PX = 390  # two beside each other at 1280 pixels
LABEL_LETTERS = 36
COUNT, GROUP = "n", "group"
"""How many samples a class has, and the per-class column that says head, medium or tail; that colours the chart."""
NEXT_STEP: dict[str, Callable[[SetRecord, DistilledSet], None]] = {
    "agreement": conflicts_section,
    "compression": compress_section,
    "critic": critic_section,
    "label_budget": write_pruned_section,
}
"""What one does with the findings of an analysis, below its charts."""


def analysis_page(entry: Analysis) -> Callable[[], None]:
    """The page of one analysis, as Streamlit wants it: a function without arguments, with a name of its own."""

    def page() -> None:
        _page(entry)

    page.__name__ = f"{entry.name}_page"
    return page


def start_analysis(set_id: str, name: str, parameters: Mapping[str, Any]) -> None:
    """Queue it for the person at this browser. Raises NotAllowed, or ImpossibleRequest."""
    require("analyse")
    services().start(set_id, name, parameters)


def _page(entry: Analysis) -> None:
    record, distilled_set = current_set()
    st.title(entry.title)
    st.markdown(entry.meaning)
    st.caption(f"After {entry.paper}")
    missing = entry.missing(distilled_set)
    if missing:
        st.info(needs_words(missing, record.name), icon=":material/info:")
        return
    if may("analyse"):
        _form(entry, record, distilled_set)
    _state(entry, record, distilled_set)
    found = services().findings(record.id, entry.name)
    if found is not None:
        _found(entry, record, distilled_set, *found)
    else:
        _next_step(entry, record, distilled_set)


def _found(entry: Analysis, record: SetRecord, distilled_set: DistilledSet, run: RunRecord, findings: Findings) -> None:
    _headline(entry, record, run, findings)
    chosen = _charts(record, findings, distilled_set)
    _table_charts(entry, record, findings)
    _next_step(entry, record, distilled_set)
    _worst(entry, record, distilled_set, findings, chosen)
    _tables(run, findings, distilled_set)


def _form(entry: Analysis, record: SetRecord, distilled_set: DistilledSet) -> None:
    with st.expander("Parameters", icon=":material/tune:"), st.form(f"form {entry.name} {record.id}", border=False):
        parameters = parameter_form(entry, distilled_set)
        if st.form_submit_button("Run", type="primary", icon=":material/play_arrow:"):
            _start(entry, record, parameters)


def _start(entry: Analysis, record: SetRecord, parameters: Mapping[str, Any]) -> None:
    act(lambda: start_analysis(record.id, entry.name, parameters))


def _state(entry: Analysis, record: SetRecord, distilled_set: DistilledSet) -> None:
    """What the latest run is doing, or how it ended where that was not well."""
    runs = services().workspace.runs(record.id, entry.name)
    if not runs:
        st.info(f"Not run yet on this set.{why_not_yet(entry, len(distilled_set))}", icon=":material/play_circle:")
        if may("analyse") and st.button(
            "Run it now", type="primary", icon=":material/play_arrow:", help="With the usual parameters"
        ):
            _start(entry, record, {})
        return
    if runs[0].status == "running":
        run_progress(runs[0].id)
    elif runs[0].status == "failed":
        show_error(f"The last run failed: {runs[0].message}")
    elif runs[0].status == "interrupted":
        st.warning(
            "The last run was cut off when the app stopped. Run again, it goes on from what it had kept by then.",
            icon=":material/warning:",
        )
        _run_again(entry, record, runs[0])
    elif runs[0].status == "cancelled":
        before = services().findings(record.id, entry.name) is not None
        below = "What is below is from the one before." if before else "Run again, it goes on from what it had kept by then."
        st.warning(f"The last run was cancelled. {below}", icon=":material/cancel:")
        _run_again(entry, record, runs[0])


def _run_again(entry: Analysis, record: SetRecord, run: RunRecord) -> None:
    if may("analyse") and st.button(
        "Run it again", type="primary", icon=":material/play_arrow:", help="With the same parameters"
    ):
        _start(entry, record, run.parameters)


def _headline(entry: Analysis, record: SetRecord, run: RunRecord, findings: Findings) -> None:
    known = [figure for figure in findings.summary if figure.value is not None]
    beside = st.container(horizontal=True)
    for figure in known:
        with beside.container(width=FIGURE_PX, gap="xxsmall"):
            long = len(figure.label) > LABEL_LETTERS
            if long:  # a metric would cut it off
                st.markdown(f":small[{plain(figure.label)}]")
            st.metric(figure.label, figure.shown, label_visibility="collapsed" if long else "visible")
            st.caption("; ".join(filter(None, (figure.interval, figure.basis))) + f", n = {figure.n:,}")
    unknown = untold(findings.summary)
    notes("What cannot be told", [f"{names}: {why}" for why, names in unknown.items()])
    notes("Before you rely on this", unsaid(findings.caveats, unknown))
    under_way = any(other.analysis == entry.name for other, _ in services().active(record.id))
    if services().is_stale(run) and not under_way:
        st.info("What people said about these labels has changed since.", icon=":material/update:")
        if may("analyse") and st.button("Learn from it now", icon=":material/play_arrow:"):
            _start(entry, record, run.parameters)
    took = "" if run.seconds is None else f" in {run.seconds:.1f} s on {run.device}"
    st.caption(f"Computed{took}, {changed_words(entry.arguments(), run.parameters)}.")


def _charts(record: SetRecord, findings: Findings, distilled_set: DistilledSet) -> SampleQuery:
    """The charts; returns what was selected on them."""
    query = SampleQuery()
    if {"x", "y"} <= set(findings.per_sample.columns):
        query = _map(record, findings, distilled_set)
    aside = {"class_id", *interval_ends(findings.per_class)}
    measures = [
        c for c, values in findings.per_class.items() if c not in aside and is_measure(values) and values.notna().any()
    ]
    if len(findings.per_class) and set(measures) - {COUNT}:  # how many samples there are is no finding
        told = findings.headline if findings.headline in measures else next(c for c in measures if c != COUNT)
        first = measures.index(told)
        column = st.selectbox("Per class", measures, index=first, format_func=words)
        event = show_figure(
            per_class_chart(findings.per_class, column, groups=findings.per_class.get(GROUP)),
            on_select="rerun",
            selection_mode=("points", "box"),
            key=f"classes {column} {record.id}",
        )
        classes = tuple(lassoed_ids(event.selection.points))
        query = SampleQuery(classes=classes or None, among=query.among)
    with st.container(horizontal=True, gap="small"):
        for name, matrix in findings.matrices.items():
            show_figure(heat_map(matrix), key=f"matrix {name}", width=MATRIX_PX, config=BARE)
    return query


def _next_step(entry: Analysis, record: SetRecord, distilled_set: DistilledSet) -> None:
    if entry.name in NEXT_STEP:
        NEXT_STEP[entry.name](record, distilled_set)


def _table_charts(entry: Analysis, record: SetRecord, findings: Findings) -> None:
    """One tab for each further table that a chart can be made of; a short one is shown with its chart."""
    charted = {name: measures for name, table in findings.tables.items() if (measures := measures_of(table))}
    if not charted:
        return
    for tab, (name, measures) in zip(st.tabs([_title(name) for name in charted]), charted.items(), strict=True):
        key = f"table {entry.name} {name} {record.id}"
        first = first_measure(findings.tables[name], findings.headline)
        measure = tab.selectbox("Measure", measures, index=measures.index(first), format_func=words, key=key)
        show_figure(table_chart(findings.tables[name], measure), f"{key} {measure} chart", tab)
        if len(findings.tables[name]) <= FEW_ROWS:
            with tab:
                show_table(findings.tables[name], capital(words(name)))


def _map(record: SetRecord, findings: Findings, distilled_set: DistilledSet) -> SampleQuery:
    table = findings.per_sample
    ids = table["sample_id"].to_numpy()
    figure = scatter_map(
        table["x"].to_numpy(),
        table["y"].to_numpy(),
        distilled_set.labels[ids],
        distilled_set.class_names,
        ids,
        table["flag"].to_numpy(),
    )
    event = show_figure(figure, on_select="rerun", selection_mode=("lasso", "box", "points"), key=f"map page {record.id}")
    return SampleQuery(among=lassoed_ids(event.selection.points) or None)


def _worst(entry: Analysis, record: SetRecord, distilled_set: DistilledSet, findings: Findings, chosen: SampleQuery) -> None:
    if findings.per_sample["score"].isna().all():  # about classes or the set as a whole: no sample can be the worst
        return
    st.subheader("The worst, worst first")
    if nothing := nothing_stands_out(findings.per_sample["score"]):
        st.caption(nothing)
        return
    if distilled_set.images is None:
        st.caption("This set holds labels only; the table below lists every sample.")
        return
    _worst_gallery(entry, record, distilled_set, chosen)


@fragment
def _worst_gallery(entry: Analysis, record: SetRecord, distilled_set: DistilledSet, chosen: SampleQuery) -> None:
    key = f"worst {entry.name} {record.id}"
    only_flagged = st.toggle("Only flagged", value=False, key=f"{key} flagged")
    query = SampleQuery(
        classes=chosen.classes,
        among=chosen.among,
        flagged_by=entry.name if only_flagged else None,
        sort_by=(entry.name, "score"),
        limit=WORST,
    )
    workspace = services().workspace
    page = workspace.select(record.id, query)
    where = " in the selected classes" if chosen.classes else " in the selection" if chosen.among is not None else ""
    st.caption(f"{min(WORST, page.total):,} of {page.total:,} samples{where}; score 1 = nothing wrong.")
    if page.total == 0:
        st.info("Nothing here is flagged." if only_flagged else "No sample fits.")
        return
    flags = workspace.flags(record.id, page.ids, entry.name)
    scores = workspace.values(record.id, entry.name, "score", page.ids)
    tiles = captions(distilled_set, page.ids, workspace.states(record.id, page.ids), flags, scores)
    contact_sheet(record.id, distilled_set, tiles, key=key, finding=entry.name)


def _tables(run: RunRecord, findings: Findings, distilled_set: DistilledSet) -> None:
    with st.expander("Tables", icon=":material/table:"):
        for name, table in findings.tables.items():
            _table(capital(words(name)), table, run, distilled_set.class_names)
        for name, table in (("per class", findings.per_class), ("per sample", findings.per_sample)):
            _table(name.capitalize(), table, run, distilled_set.class_names, f"{name.replace(' ', '_')}.parquet")


def _table(title: str, table: pd.DataFrame, run: RunRecord, class_names: Sequence[str], file: str = "") -> None:
    part = f", the first {MOST_ROWS:,} of {len(table):,}" if len(table) > MOST_ROWS else ""
    st.caption(f"{plain(title)}{part}; whole: `{run.folder / file}`")
    show_table(with_class_names(table.head(MOST_ROWS), class_names), title)


def _title(name: str) -> str:
    return plain(capital(words(name)))
