"""Charts of what a correction does: before beside after, and the curve that it was chosen by. No Streamlit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from analysis.findings import Figure
from app.column_words import words
from app.figures import ALARM, MAIN, MOST_BARS, QUIET, TEMPLATE
from app.table_figures import is_measure

BEFORE, AFTER = "_before", "_after"
COLOURS = {BEFORE: QUIET, AFTER: MAIN}
MEANINGS: Mapping[str, str] = {
    "confidence": "mean mass on the own class",
    "received": "mass received a sample labelled so",
    "to_head": "mean mass on other head classes",
    "entropy": "mean entropy, nats",
}
BY_GROUP = ("confidence", "received", "to_head")
"""What the groups are compared by."""
BALANCED = 1.0
"""Where a class receives as much as it has samples."""
TITLE_LETTERS = 34
GROUP_PX, CLASS_PX, CURVE_PX = 250, 330, 250


def pairs(table: pd.DataFrame) -> list[str]:
    """The measures that a table has before and after."""
    found = [c.removesuffix(BEFORE) for c in table.columns if c.endswith(BEFORE)]
    return [measure for measure in found if f"{measure}{AFTER}" in table.columns]


def group_chart(groups: pd.DataFrame, measure: str) -> go.Figure:
    """Head, medium and tail, each before and after."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": GROUP_PX})
    for when, colour in COLOURS.items():
        values = groups[f"{measure}{when}"]
        figure.add_bar(
            x=groups["group"],
            y=values,
            name=when.lstrip("_"),
            marker_color=colour,
            text=[f"{value:.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            customdata=groups[["n"]].to_numpy(),
            hovertemplate=f"%{{x}}, {when.lstrip('_')}: %{{y:.3f}}<br>%{{customdata[0]:,}} samples<extra></extra>",
        )
    _titled(figure, MEANINGS.get(measure, words(measure)))
    figure.update_layout(showlegend=False, barmode="group")
    figure.update_yaxes(showticklabels=False, showgrid=False, rangemode="tozero")
    if measure == "received":
        figure.add_hline(BALANCED, line_dash="dot", line_color=QUIET, line_width=1)
    return figure


def class_chart(classes: pd.DataFrame, measure: str, most: int = MOST_BARS) -> go.Figure:
    """One pair of bars a class, or one bar where the measure has no before and after; of more than ``most`` classes those
    that change most, or have the most."""
    shown, note = _few(classes, measure, most)
    figure = go.Figure(layout={"template": TEMPLATE, "height": CLASS_PX})
    names = [f"{name} ({number})" for name, number in zip(shown["class_name"], shown["class_id"], strict=True)]
    if shown["class_name"].is_unique:
        names = shown["class_name"].tolist()
    for column, name, colour in _columns(measure, classes):
        figure.add_bar(
            x=names,
            y=shown[column],
            name=name,
            marker_color=colour,
            customdata=shown[["n"]].to_numpy(),
            hovertemplate=f"%{{x}}<br>{name}: %{{y:.3g}}<br>%{{customdata[0]:,}} samples<extra></extra>",
        )
    figure.update_yaxes(title=words(measure), rangemode="tozero")
    angle = -45 if len(names) > 12 else 0
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names, tickangle=angle)
    figure.update_layout(barmode="group", showlegend=measure in pairs(classes))
    if note:
        corner = {"x": 1, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom"}
        figure.add_annotation(text=note, showarrow=False, yshift=6, font={"size": 12, "color": QUIET}, **corner)
    return figure


def is_curve(table: pd.DataFrame) -> bool:
    """Whether a table is numbers along a number."""
    if len(table) < 2 or len(table.columns) < 2 or table.columns[0] == "class_id":
        return False
    return all(is_measure(table[column]) for column in table.columns)


def curve_chart(table: pd.DataFrame, found: Sequence[Figure]) -> go.Figure:
    """The last measure along the first column; the place that was chosen is marked where ``found`` names it."""
    along, measure = table.columns[0], table.columns[1]
    table = table.sort_values(along)
    figure = go.Figure(layout={"template": TEMPLATE, "height": CURVE_PX})
    figure.add_scatter(
        x=table[along],
        y=table[measure],
        mode="lines",
        line={"color": MAIN, "width": 2},
        hovertemplate=f"{words(along)} %{{x:.3g}}<br>{words(measure)} %{{y:.4g}}<extra></extra>",
    )
    chosen = next((f.value for f in found if f.label.lower() == words(along).lower() and f.value is not None), None)
    if chosen is not None:
        nearest = table.iloc[(table[along] - chosen).abs().argmin()]
        figure.add_vline(chosen, line_dash="dot", line_color=ALARM, line_width=1.5)
        figure.add_scatter(
            x=[chosen],
            y=[nearest[measure]],
            mode="markers+text",
            marker={"color": ALARM, "size": 10},
            text=[f"{words(along)} {chosen:.3g}"],
            textposition="top left" if chosen > table[along].mean() else "top right",
            hoverinfo="skip",
        )
    _titled(figure, f"{words(measure)} along {words(along)}")
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title=words(along))
    return figure


def with_measures(classes: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``classes`` with what further tables say of each class and it does not."""
    for table in tables.values():
        if "class_id" not in table.columns or not table["class_id"].is_unique:
            continue
        more = [c for c in table.columns if c not in classes.columns and is_measure(table[c])]
        classes = classes.merge(table[["class_id", *more]], on="class_id", how="left")
    return classes


def class_measures(classes: pd.DataFrame) -> list[str]:
    """What ``class_chart`` can show: first what has a before and an after."""
    both = pairs(classes)
    known = {"class_id", "n", *(f"{measure}{when}" for measure in both for when in COLOURS)}
    return [*both, *(c for c in classes.columns if c not in known and is_measure(classes[c]))]


def _columns(measure: str, classes: pd.DataFrame) -> list[tuple[str, str, str]]:
    if measure not in pairs(classes):
        return [(measure, words(measure), MAIN)]
    return [(f"{measure}{when}", when.lstrip("_"), colour) for when, colour in COLOURS.items()]


def _few(classes: pd.DataFrame, measure: str, most: int) -> tuple[pd.DataFrame, str]:
    if len(classes) <= most:
        return classes, ""
    both = measure in pairs(classes)
    size = (classes[f"{measure}{AFTER}"] - classes[f"{measure}{BEFORE}"]).abs() if both else classes[measure].abs()
    chosen = size.fillna(-1).sort_values(ascending=False, kind="stable").index[:most]
    what = "that change most" if both else "with the most"
    return classes.loc[chosen].sort_values("class_id"), f"the {most} of {len(classes):,} classes {what}"


def _titled(figure: go.Figure, title: str) -> None:
    lines = textwrap.wrap(title, TITLE_LETTERS)
    text = {"text": "<br>".join(lines), "font_size": 13, "x": 0, "xref": "paper"}
    figure.update_layout(title=text, margin_t=28 + 18 * len(lines))
