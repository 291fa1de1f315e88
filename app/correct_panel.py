"""What a correction does to a set, on the page: what it found, before and after, the samples that change most."""

from __future__ import annotations

import streamlit as st

from analysis.corrections.preview import Example, Preview
from analysis.findings import Figure
from app.column_words import capital, words
from app.components.soft_label_bars import BarSource, soft_label_bars
from app.correct_figures import (
    BY_GROUP,
    COLOURS,
    class_chart,
    class_measures,
    curve_chart,
    group_chart,
    is_curve,
    with_measures,
)
from app.correct_preview import Answer
from app.figures import BARE
from app.images import large
from app.notes import notes
from app.pictures import is_small, show_picture
from app.shown_figure import show_figure
from app.shown_table import show_table
from app.table_figures import first_measure, measures_of, table_chart
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.errors import StillroomError

MOST_FIGURES = 4
FIGURE_PX, GROUP_PX, EXAMPLE_PX = 190, 258, 396
"""Four, three and two beside each other at 1280 pixels, fewer where there is less room."""
MOST_CHANGED = 0.5
IMAGE_SHARE, BARS_SHARE = 1, 3
MOST_BARS = 4


def headline(answer: Answer) -> None:
    """The share that changes and what was found, each with what it is computed from."""
    known = [figure for figure in answer.found if figure.value is not None][: MOST_FIGURES - 1]
    figures = (*known, answer.preview.changed)
    beside = st.container(horizontal=True)
    for figure in figures:
        with beside.container(width=FIGURE_PX, gap="xxsmall"):
            # A metric would cut a long label or number off.
            st.markdown(f":small[{plain(figure.label)}]")
            st.subheader(plain(figure.shown), anchor=False)
            st.caption(_about(figure))


def charts(answer: Answer) -> None:
    """Groups before and after beside the correction's own curve, then classes."""
    preview = answer.preview
    curves = {name: table for name, table in answer.tables.items() if is_curve(table)}
    st.subheader("Head, medium and tail")
    marks = (f'<span style="color: {colour}">■</span> {when.lstrip("_")}' for when, colour in COLOURS.items())
    st.html(f'<div style="font-size: 14px">{" &nbsp; ".join(marks)} &nbsp; on {_drawn(preview)}</div>')
    beside = st.container(horizontal=True)
    for measure in BY_GROUP:
        with beside.container(width=GROUP_PX):
            show_figure(group_chart(preview.groups, measure), key=f"groups {measure}", config=BARE)
    for name, table in curves.items():
        st.subheader(f"How {plain(words(table.columns[0]))} was chosen")
        show_figure(curve_chart(table, answer.found), key=f"curve {name}")
    _others(answer, set(curves))
    _classes(answer)


def examples(distilled_set: DistilledSet, answer: Answer) -> None:
    """The samples whose labels change most, with their images."""
    preview = answer.preview
    if not preview.examples:
        return
    st.subheader("Samples that change most")
    beside = st.container(horizontal=True)
    for example in preview.examples:
        with beside.container(border=True, width=EXAMPLE_PX):
            _example(distilled_set, example)


def caveats(answer: Answer) -> None:
    unknown = [f"{figure.label}: {figure.basis}" for figure in answer.found if figure.value is None]
    notes("Before you rely on this", [*_warning(answer.preview), *answer.caveats, *answer.preview.caveats, *unknown])


def _warning(preview: Preview) -> list[str]:
    share = preview.changed.value
    if share is None or share <= MOST_CHANGED:
        return []
    return [f"{share:.0%} of the samples get another most probable class: most of what these labels taught is overruled."]


def _about(figure: Figure) -> str:
    return plain("; ".join(filter(None, (figure.interval, figure.basis))) + f", n = {figure.n:,}")


def _drawn(preview: Preview) -> str:
    if preview.n == preview.total:
        return f"all {preview.total:,} samples"
    return f"{preview.n:,} of {preview.total:,} samples, drawn evenly over the classes"


def _others(answer: Answer, drawn: set[str]) -> None:
    """Tables that are neither a curve nor of classes."""
    for name, table in answer.tables.items():
        if name in drawn or "class_id" in table.columns or not len(table):
            continue
        st.subheader(plain(capital(name)))
        if measures_of(table):
            show_figure(table_chart(table, first_measure(table, None)), key=f"table {name}")
        else:
            show_table(table, capital(name))


def _classes(answer: Answer) -> None:
    classes = with_measures(answer.preview.classes, answer.tables)
    measures = class_measures(classes)
    if not measures:
        return
    heading, choice = st.columns([3, 2], vertical_alignment="bottom")
    heading.subheader("By class")
    key = "correct measure"
    if st.session_state.get(key) not in measures:
        st.session_state[key] = measures[0]
    measure = choice.selectbox(
        "Measure", measures, format_func=lambda name: capital(words(name)), key=key, label_visibility="collapsed"
    )
    show_figure(class_chart(classes, measure), key="classes")
    with st.expander("As a table"):
        show_table(classes, "Classes before and after")


def _example(distilled_set: DistilledSet, example: Example) -> None:
    name = plain(distilled_set.class_names[example.label])
    st.markdown(
        f":small[**Sample {example.sample_id}** · {name}{' · most probable class changes' if example.changed else ''}]"
    )
    image, bars = st.columns([IMAGE_SHARE, BARS_SHARE], vertical_alignment="top")
    if distilled_set.images is not None:
        try:
            with image:
                picture = large(distilled_set.images, example.sample_id, "as trained")
                show_picture(picture, f"sample {example.sample_id}", is_small(distilled_set))
        except StillroomError as error:
            show_error(error)
    with bars if distilled_set.images is not None else st.container():
        soft_label_bars(
            distilled_set.class_names,
            [BarSource("before", "logits", example.before), BarSource("after", "corrected", example.after)],
            key=f"change {example.sample_id}",
            given=example.label,
            most=MOST_BARS,
        )
