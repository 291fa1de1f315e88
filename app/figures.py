"""Tables in, Plotly figures out: pure functions without Streamlit, in one style for every page.

Backgrounds are transparent and inks half-strong, so that a figure fits a light and a dark page alike. Whatever can be
selected carries its id in ``customdata``.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.findings import Matrix
from app.column_words import words
from app.interval_bars import interval_bar

# Okabe and Ito's palette, told apart with any colour vision (jfly.uni-koeln.de/color); its black is left out, since it
# would vanish on a dark page.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#b5a900")
BARE = {"displayModeBar": False}
"""Of small charts: the bar would cover their titles."""
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
MAIN, QUIET, ALARM, RING = PALETTE[0], "#9a9a9a", PALETTE[3], "#d0106a"
GROUP_COLOURS = {"head": PALETTE[0], "medium": PALETTE[1], "tail": PALETTE[3]}
NO_VALUE = "no value"
"""The ``meta`` of marks that stand where nothing can be said."""

MOST_BARS = 60
MOST_POINTS = 20_000
MOST_LEGEND = len(PALETTE) * len(SYMBOLS)
MOST_TICKS = 60
MOST_WRITTEN = 6
"""Rows or columns of a matrix whose values are written into it."""
TITLE_LETTERS = 56
BINS = 40
_GRID = "rgba(128, 128, 128, 0.18)"
_LINE = "rgba(128, 128, 128, 0.45)"

_AXIS = {"gridcolor": _GRID, "zerolinecolor": _LINE, "linecolor": _LINE, "ticks": "", "automargin": True}
TEMPLATE = go.layout.Template(
    layout={
        "colorway": PALETTE,
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "font": {"size": 13},
        "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
        "xaxis": {**_AXIS, "showgrid": False},
        "yaxis": _AXIS,
        "bargap": 0.25,
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": {"text": ""}},
    }
)


def per_class_chart(
    per_class: pd.DataFrame,
    column: str,
    label: str | None = None,
    groups: Sequence[str] | None = None,
    most: int = MOST_BARS,
) -> go.Figure:
    """One bar a class, in class order; ``customdata`` is [class_id, n].

    Of more than ``most`` classes only the lowest and the highest halves of ``most`` are drawn, by value, and a note says so.
    Classes with NaN are drawn as hollow marks on the axis, "too few to say". ``groups`` (one word a class) colours the bars.
    """
    label = label or words(column)
    table = per_class.assign(
        _group="" if groups is None else list(groups), _name=_distinct(per_class["class_name"], per_class["class_id"])
    )
    silent = table[table[column].isna()]
    shown, note = _extremes(table[table[column].notna()], column, most)
    figure = _figure(label, _joined(note, _silence_note(silent, len(table))))
    colours = group_colours([] if groups is None else groups)
    for group, rows in shown.groupby("_group", sort=False):
        figure.add_bar(
            x=rows["_name"],
            y=rows[column],
            name=str(group),
            marker_color=colours.get(str(group), MAIN),
            error_y=interval_bar(rows, column),
            customdata=rows[["class_id", "n"]].to_numpy(),
            hovertemplate=f"%{{x}}<br>{label}: %{{y:.4g}}<br>%{{customdata[1]:,}} samples<extra></extra>",
        )
    if len(shown) + len(silent) < len(table):
        figure.add_vline(x=most // 2 - 0.5, line={"dash": "dot", "color": _LINE})  # classes are left out here
    if len(silent) and len(table) <= most:
        _add_silent(figure, silent, label)
        shown = table
    figure.update_layout(showlegend=groups is not None)
    _class_axis(figure, shown["_name"])
    return figure


def group_colours(groups: Sequence[str]) -> dict[str, str]:
    """A colour for each group of classes: head, medium and tail have their own, others get the palette's by name."""
    names = sorted(set(map(str, groups)))  # not in the order of a table: a group looks the same in every chart of a page
    return {name: GROUP_COLOURS.get(name, PALETTE[place % len(PALETTE)]) for place, name in enumerate(names)}


def heat_map(matrix: Matrix) -> go.Figure:
    """The matrix as colours, its first row at the top. Values of both signs get a diverging scale around 0.

    Beyond 60 rows or columns the names are left to hovering.
    """
    values = np.asarray(matrix.values, dtype=float)
    signed = bool(np.nanmin(values, initial=0.0) < 0)
    written = max(values.shape) <= MOST_WRITTEN
    row_names, column_names = _distinct(matrix.row_names), _distinct(matrix.column_names)
    figure = _figure(matrix.row_title)
    lines = textwrap.wrap(matrix.title, TITLE_LETTERS)
    figure.update_layout(title={"text": "<br>".join(lines), "font_size": 14, "x": 0}, margin_t=30 + 20 * len(lines))
    figure.add_heatmap(
        z=values,
        x=column_names,
        y=row_names,
        hovertemplate=f"{matrix.row_title}: %{{y}}<br>{matrix.column_title}: %{{x}}<br>%{{z:.4g}}<extra></extra>",
        colorscale="RdBu_r" if signed else "Cividis",
        zmid=0 if signed else None,
        colorbar={"thickness": 12, "outlinewidth": 0},
        texttemplate="%{z:.3g}" if written else None,
        showscale=not written,
    )
    ticks = {"type": "category", "showgrid": False}
    figure.update_xaxes(title=matrix.column_title, showticklabels=len(column_names) <= MOST_TICKS, tickangle=-45, **ticks)
    figure.update_yaxes(showticklabels=len(row_names) <= MOST_TICKS, autorange="reversed", **ticks)
    if len(row_names) == len(column_names):
        figure.update_xaxes(constrain="domain")
        figure.update_yaxes(scaleanchor="x", constrain="domain")
        figure.update_layout(height=460)
    return figure


def scatter_map(
    x: np.ndarray,
    y: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    ids: np.ndarray,
    flagged: np.ndarray | None = None,
    most: int = MOST_POINTS,
) -> go.Figure:
    """A 2-D map, (n,) each; ``customdata`` is [sample_id]. Flagged samples have a ring.

    Colour and symbol together tell up to 42 classes apart; of more, the names are left to hovering. At most ``most``
    points are drawn, every flagged one first, the others evenly spread, and a note says so: a lasso sends every point.
    """
    flagged = np.zeros(len(ids), dtype=bool) if flagged is None else np.asarray(flagged, dtype=bool)
    kept = _thinned(flagged, most)
    note = f"{len(kept):,} of {len(ids):,} samples drawn, flagged ones first" if len(kept) < len(ids) else ""
    figure = _figure("", note)
    points = pd.DataFrame({"x": x, "y": y, "label": labels, "id": ids, "flagged": flagged}).iloc[kept]
    few = len(class_names) <= MOST_LEGEND
    for look, rows in points.groupby(points["label"] % MOST_LEGEND):
        figure.add_trace(_points(rows, class_names, int(look), class_names[int(look)] if few else None))
    figure.add_trace(_rings(points[points["flagged"]]))
    figure.update_layout(showlegend=few, dragmode="lasso", height=560)
    figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top", "itemsizing": "constant"})
    # The axes of such a map have no unit: only distances mean something, and only near ones.
    blank = {"showticklabels": False, "showgrid": False, "zeroline": False, "title": ""}
    figure.update_xaxes(**blank)
    figure.update_yaxes(scaleanchor="x", **blank)
    return figure


def score_histogram(scores: np.ndarray, flagged: np.ndarray | None = None, label: str = "score") -> go.Figure:
    """How the scores (n,) in [0, 1] are spread, flagged ones in their own colour on top; NaN is counted, not drawn."""
    scores = np.asarray(scores, dtype=float)
    flagged = np.zeros(len(scores), dtype=bool) if flagged is None else np.asarray(flagged, dtype=bool)
    known = np.isfinite(scores)
    missing = len(scores) - int(known.sum())
    figure = _figure("samples", f"{missing:,} of {len(scores):,} samples have no score" if missing else "")
    for name, chosen, colour in (("not flagged", known & ~flagged, MAIN), ("flagged", known & flagged, ALARM)):
        counts, edges = np.histogram(scores[chosen], bins=BINS, range=(0, 1))
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=1 / BINS,
            name=name,
            marker_color=colour,
            customdata=np.stack([edges[:-1], edges[1:]], axis=1),
            hovertemplate=f"{label} %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}<br>%{{y:,}} {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.05, showlegend=bool(flagged.any()))
    figure.update_xaxes(title=f"{label} (1 = nothing wrong)", range=(0, 1))
    return figure


def before_after_chart(table: pd.DataFrame, most: int = MOST_BARS) -> go.Figure:
    """Samples of each class before and after: ``table`` has class_name, before, after.

    Of more than ``most`` classes those that change most are drawn, and a note says so.
    """
    shown, note = table.assign(_name=_distinct(table["class_name"])).reset_index(drop=True), ""
    if len(table) > most:
        change = (shown["after"] - shown["before"]).abs()
        shown = shown.loc[change.sort_values(ascending=False, kind="stable").index[:most]].sort_index()
        note = f"the {most} of {len(table):,} classes that change most; {int((change > 0).sum()):,} change at all"
    figure = _figure("samples", note)
    for column, colour in (("before", QUIET), ("after", MAIN)):
        figure.add_bar(
            x=shown["_name"],
            y=shown[column],
            name=column,
            marker_color=colour,
            hovertemplate=f"%{{x}}<br>{column}: %{{y:,}} samples<extra></extra>",
        )
    _class_axis(figure, shown["_name"])
    figure.update_layout(barmode="group")
    return figure


def label_bars(
    class_names: Sequence[str], sources: Mapping[str, np.ndarray], given: int | None = None, most: int = 8
) -> go.Figure:
    """One sample's distributions (C,) by source, as grouped bars over the ``most`` most probable classes, for a paper."""
    values = np.stack([np.asarray(p, dtype=float) for p in sources.values()])
    shown = np.argsort(-values.max(axis=0), kind="stable")[:most]
    names, rest = _distinct([class_names[c] for c in shown], shown), len(class_names) - len(shown)
    note = f"{rest:,} other classes hold at most {1 - values[:, shown].sum(axis=1).min():.2f}" if rest else ""
    figure = _figure("probability", note)
    names = [f"{name} (given)" if c == given else name for c, name in zip(shown, names, strict=True)]
    for (name, _), row in zip(sources.items(), values, strict=True):
        figure.add_bar(x=names, y=row[shown], name=name, hovertemplate="%{x}: %{y:.3f}<extra>%{fullData.name}</extra>")
    figure.update_yaxes(range=(0, 1))
    _class_axis(figure, names)
    return figure


def _figure(title: str, note: str = "") -> go.Figure:
    figure = go.Figure(layout={"template": TEMPLATE, "height": 380})
    figure.update_yaxes(title=title)
    if note:
        corner = {"x": 1, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom"}
        figure.add_annotation(text=note, showarrow=False, yshift=22, font={"size": 12, "color": QUIET}, **corner)
        figure.update_layout(margin_t=56)
    return figure


def _class_axis(figure: go.Figure, names: Sequence[str]) -> None:
    order = list(names)
    angle = -45 if len(order) > 12 else 0
    figure.update_xaxes(title="class", type="category", categoryorder="array", categoryarray=order, tickangle=angle)


def _extremes(table: pd.DataFrame, column: str, most: int) -> tuple[pd.DataFrame, str]:
    if len(table) <= most:
        return table, ""
    ordered = table.sort_values(column, kind="stable")
    half = most // 2
    note = f"{half} lowest and {most - half} highest of {len(table):,} classes"
    return pd.concat([ordered.head(half), ordered.tail(most - half)]), note


def _silence_note(silent: pd.DataFrame, total: int) -> str:
    return f"{len(silent):,} of {total:,} classes: too few samples to say" if len(silent) else ""


def _add_silent(figure: go.Figure, silent: pd.DataFrame, label: str) -> None:
    figure.add_scatter(
        x=silent["_name"],
        y=np.zeros(len(silent)),
        mode="markers",
        name="too few to say",
        meta=NO_VALUE,
        marker={"symbol": "circle-open", "color": QUIET, "size": 8},
        customdata=silent[["class_id", "n"]].to_numpy(),
        hovertemplate=f"%{{x}}<br>{label}: too few to say<br>%{{customdata[1]:,}} samples<extra></extra>",
    )


def _points(rows: pd.DataFrame, class_names: Sequence[str], look: int, name: str | None) -> go.Scattergl:
    """One trace a look: Plotly takes a second to check a colour and a symbol for each of 20,000 points."""
    return go.Scattergl(
        x=rows["x"],
        y=rows["y"],
        mode="markers",
        name=name,
        text=[class_names[label] for label in rows["label"]],
        marker={
            "size": 6,
            "color": PALETTE[look % len(PALETTE)],
            "symbol": SYMBOLS[look // len(PALETTE)],
            "opacity": 0.8,
        },
        customdata=rows[["id"]].to_numpy(),
        hovertemplate="sample %{customdata[0]}<br>%{text}<extra></extra>",
    )


def _rings(rows: pd.DataFrame) -> go.Scattergl:
    """Drawn over the points, which keep their ids: a lasso reports a ring without customdata."""
    ring = {"symbol": "circle-open", "size": 13, "color": RING, "line": {"width": 2}}
    return go.Scattergl(x=rows["x"], y=rows["y"], mode="markers", name="flagged", marker=ring, hoverinfo="skip")


def _thinned(flagged: np.ndarray, most: int) -> np.ndarray:
    """Positions of at most ``most`` points in order: all flagged ones while they fit, others evenly spread."""
    if len(flagged) <= most:
        return np.arange(len(flagged))
    first = _spread(np.flatnonzero(flagged), most)
    others = _spread(np.flatnonzero(~flagged), most - len(first))
    return np.sort(np.concatenate([first, others]))


def _spread(positions: np.ndarray, most: int) -> np.ndarray:
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).round().astype(int)] if most else positions[:0]


def _distinct(names: Sequence[str], ids: Sequence[int] | None = None) -> list[str]:
    """Names as axis categories: those that occur twice (ImageNet has two cranes) get their number."""
    words = [str(name) for name in names]
    counts = Counter(words)
    numbers = range(len(words)) if ids is None else ids
    return [word if counts[word] == 1 else f"{word} ({number})" for word, number in zip(words, numbers, strict=True)]


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
