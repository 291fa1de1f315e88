"""Tables of findings as charts, chosen by the shape of the table, never by the name of the analysis. No Streamlit.

    columns                                        chart
    ``epoch`` or another of STEPS first            a line along it, one for each ``group``
    ``class_id``, ``class_name``, then words       stacked bars, one a class, its parts named by those words
    a name first, and ``bytes``                    what each costs against what it gives, sizes on a logarithmic axis
    a name first, and ``group``                    bars in a row for each name, one colour a group
    a name first, then numbers                     bars
    numbers first, ``name_…`` of what they number  bars, one for each pair of names

Intervals are drawn as app.interval_bars finds them. ``chosen`` marks rows to point out.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.api.types import is_bool_dtype, is_float_dtype, is_numeric_dtype

from app.column_words import words
from app.figures import ALARM, MAIN, PALETTE, QUIET, RING, SYMBOLS, TEMPLATE, group_colours
from app.interval_bars import interval_bar, interval_ends
from data.plain_text import one_line

STEPS = ("epoch", "batch", "step", "tau", "k", "images_per_class", "stage")
CLASS = ("class_id", "class_name")
SIZE, GROUP, CHOSEN = "bytes", "group", "chosen"
PART_COLOURS = (ALARM, *(PALETTE[place] for place in (1, 2, 0, 4, 5, 6)))
"""The first part is what one looks for."""
MOST_MARKERS = 200
MOST_DRAWN_AS_SHAPES = 2_000
DECADES, MOST_DECADES = 100, 6
MOST_NAMES = 40
MOST_CLASSES = 60
NAME_LETTERS = 44
NAME, PAIR = "name_", " · "
ROW_PX, LEGEND_ROW_PX, HEIGHT = 24, 20, 380
BENEATH = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"}
"""Where a legend goes whose names are long or many: above the plot it would leave it no room on a narrow screen."""
MOST_LEGEND_ABOVE = 4
DASHES = ("solid", "dash", "dot")
"""More lines than colours are told apart by these."""
SAMPLE = "sample_id"


def measures_of(table: pd.DataFrame) -> list[str]:
    """The columns that can be charted: numbers that are neither the axis nor the end of an interval; none of a list of
    samples, which is to be read."""
    if not len(table) or not len(table.columns) or SAMPLE in table:
        return []
    axis = _axis(table)
    if not axis:
        return []
    ends = interval_ends(table)
    known = [c for c in table.columns if is_measure(table[c]) and table[c].notna().any()]
    numbers = {CLASS[0], *(c.replace(NAME, "class_") for c in table.columns if c.startswith(NAME))}
    return [c for c in known if c not in ends and c not in axis and c not in numbers]


def first_measure(table: pd.DataFrame, headline: str | None) -> str:
    """The measure to show first: the headline, or else the first that is more than a count."""
    measures = measures_of(table)
    if headline in measures:
        return headline
    return next((name for name in measures if is_float_dtype(table[name])), measures[0])


def is_measure(column: pd.Series) -> bool:
    """Whether it holds numbers, rather than words or yes and no."""
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def table_chart(table: pd.DataFrame, measure: str) -> go.Figure:
    """``measure`` along the table's axis, as the table above says. ``measures_of`` names what can be asked for."""
    axis = _axis(table)
    if axis[0] in STEPS:
        return _line(table, axis, measure)
    if axis[0] == CLASS[1]:
        return _stack(table, axis[1], measure)
    if SIZE in table.columns and measure != SIZE:
        return _trade_off(table, axis[0], measure)
    return _bars(table, axis[0], measure)


def _axis(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns that the rows go by: epoch, batch or both; class and part; or the name of each; none where nothing names
    them."""
    first, *others = table.columns
    if first in STEPS:
        return (first, *(column for column in others[:1] if column in STEPS))
    if (first, *others[:1]) == CLASS:
        return (CLASS[1], others[1]) if len(others) > 1 and not is_numeric_dtype(table[others[1]]) else ()
    if is_numeric_dtype(table[first]):
        return tuple(column for column in others if column.startswith(NAME))[:1]
    return (first,)


def _line(table: pd.DataFrame, axis: tuple[str, ...], measure: str) -> go.Figure:
    """Along the only step, or through the rows in their order where there are two: batches are numbered anew each epoch."""
    alone = len(axis) == 1
    along = words(axis[0])
    figure = _figure(along if alone else f"{axis[-1]}, {along} after {along}", words(measure))
    where = "<br>".join(f"{words(step)} %{{customdata[{place}]}}" for place, step in enumerate(axis))
    table = table.assign(_x=table[axis[0]] if alone else np.arange(len(table)))
    groups, colours = _by_group(table), _colours(table)
    dashes = {name: DASHES[place // len(PALETTE) % len(DASHES)] for place, name in enumerate(colours)}
    for name, rows in groups:
        colour = colours.get(name, MAIN)
        mode = "lines+markers" if len(rows) <= MOST_MARKERS else "lines"
        add = figure.add_scatter if len(rows) <= MOST_DRAWN_AS_SHAPES else figure.add_scattergl
        add(
            x=rows["_x"],
            y=rows[measure],
            mode=mode,
            name=name,
            line={"color": colour, "width": 2, "dash": dashes.get(name, DASHES[0])},
            marker={"size": 5 if len(rows) > 1 else 11},  # a point alone is there to be seen
            error_y=interval_bar(rows, measure),
            customdata=rows[list(axis)].to_numpy(),
            hovertemplate=f"{where}<br>{words(measure)}: %{{y:.4g}}<extra>{name}</extra>",
        )
    figure.update_layout(showlegend=GROUP in table.columns)
    if len(groups) > MOST_LEGEND_ABOVE:
        figure.update_layout(height=HEIGHT + LEGEND_ROW_PX * len(groups), legend=BENEATH)
    return figure


def _trade_off(table: pd.DataFrame, axis: str, measure: str) -> go.Figure:
    """One mark a row, told apart by colour and shape: names beside the marks would cover each other."""
    known = table[(table[SIZE] > 0) & table[measure].notna()].reset_index(drop=True)
    note = f"{len(table) - len(known):,} of {len(table):,} have no size or no value" if len(known) < len(table) else ""
    figure = _figure("bytes (logarithmic)", words(measure), note)
    heights = _heights(figure, known[measure].to_numpy(dtype=float))
    chosen = known[CHOSEN].to_numpy(dtype=bool) if CHOSEN in known.columns else np.zeros(len(known), dtype=bool)
    for place, row in known.iterrows():
        figure.add_scatter(
            x=[row[SIZE]],
            y=[heights[place]],
            mode="markers",
            name=f"<b>{_short(row[axis])}</b> (chosen)" if chosen[place] else _short(row[axis]),
            marker={
                "size": 14 if chosen[place] else 9,
                "color": PALETTE[place % len(PALETTE)],
                "symbol": SYMBOLS[place // len(PALETTE) % len(SYMBOLS)],
                "line": {"width": 2 if chosen[place] else 0, "color": RING},
            },
            error_y=interval_bar(known.loc[[place]], measure) if row[measure] > 0 else None,
            customdata=[[one_line(str(row[axis])), row[measure]]],
            hovertemplate=f"%{{customdata[0]}}<br>%{{x:,}} bytes<br>{words(measure)}: %{{customdata[1]:.4g}}<extra></extra>",
        )
    figure.update_xaxes(type="log", showgrid=True, dtick=1)
    figure.update_layout(height=HEIGHT + LEGEND_ROW_PX * len(known), showlegend=True, legend=BENEATH)
    return figure


def _heights(figure: go.Figure, values: np.ndarray) -> np.ndarray:
    """Where ``values`` are drawn: as they are, or on a logarithmic axis where they span decades, its lowest line standing
    for 0 and all that is too small to matter."""
    positive = values[values > 0]
    if (values < 0).any() or not len(positive) or positive.max() < DECADES * positive.min():
        return values
    high = math.ceil(math.log10(positive.max()))
    low = max(math.floor(math.log10(positive.min())), high - MOST_DECADES)
    least = low - 1 if (values < 10.0**low).any() else low
    powers = range(least, high + 1)
    names = ["less" if power < low else f"{10.0**power:g}" for power in powers]
    figure.update_yaxes(type="log", range=(least - 0.2, high), tickvals=[10.0**power for power in powers], ticktext=names)
    return np.where(values < 10.0**low, 10.0**least, values)


def _bars(table: pd.DataFrame, axis: str, measure: str) -> go.Figure:
    table = table.assign(**{axis: _row_names(table, axis)})
    names = list(dict.fromkeys(table[axis].astype(str)))
    shown = set(names[:MOST_NAMES])
    note = f"the first {MOST_NAMES} of {len(names):,}" if len(names) > MOST_NAMES else ""
    table = table[table[axis].astype(str).isin(shown)]
    figure = _figure(words(measure), "", note)
    groups, colours = _by_group(table), _colours(table)
    for name, rows in groups:
        figure.add_bar(
            x=rows[measure],
            y=rows[axis].astype(str),
            orientation="h",
            name=name,
            marker_color=colours.get(name, MAIN),
            error_x=interval_bar(rows, measure),
            hovertemplate=f"%{{y}}<br>{words(measure)}: %{{x:.4g}}<extra>{name}</extra>",
        )
    order = names[:MOST_NAMES]
    ticks = {"tickvals": order, "ticktext": [_short(name) for name in order]}
    figure.update_yaxes(type="category", categoryarray=order, autorange="reversed", showgrid=False, **ticks)
    figure.update_xaxes(showgrid=True)
    beside = 1 if axis == GROUP else len(groups)
    height = max(HEIGHT / 2, ROW_PX * len(order) * max(1, beside * 0.6) + 90)
    figure.update_layout(showlegend=GROUP in table.columns and axis != GROUP, height=height)
    if axis == GROUP:
        figure.update_layout(barmode="overlay")  # else each of them leaves room for all others
    return figure


def _row_names(table: pd.DataFrame, axis: str) -> pd.Series:
    """What each row is of: its name, and with it the words beside it where one name stands in several rows. Bars of the
    same name would lie on each other."""
    named = [column for column in table.columns if axis.startswith(NAME) and column.startswith(NAME)]
    if named:
        return table[named].astype(str).agg(PAIR.join, axis=1)
    names = table[axis].astype(str)
    for column in table.columns[table.columns.get_loc(axis) + 1 :]:
        beside = names if GROUP not in table.columns else names + " " + table[GROUP].astype(str)
        if is_numeric_dtype(table[column]) or column == GROUP or not beside.duplicated().any():
            break
        names = names + PAIR + table[column].astype(str)
    return names


def _stack(table: pd.DataFrame, part: str, measure: str) -> go.Figure:
    """Of more classes than fit those with the most of the first part are drawn: what is named first is looked for."""
    names = table[list(CLASS)].drop_duplicates().set_index(CLASS[0])[CLASS[1]]
    parts = list(dict.fromkeys(table[part]))
    first = table[table[part] == parts[0]].set_index(CLASS[0])[measure].fillna(-1)
    shown = first.sort_values(ascending=False, kind="stable").index[:MOST_CLASSES].sort_values()
    note = f"the {MOST_CLASSES} of {len(names):,} classes with the most '{parts[0]}'" if len(shown) < len(names) else ""
    figure = _figure("class", words(measure), note)
    ticks = {"tickvals": list(map(str, shown)), "ticktext": [_short(names[label]) for label in shown]}
    for place, name in enumerate(parts):
        rows = table[(table[part] == name) & table[CLASS[0]].isin(shown)]
        figure.add_bar(
            x=rows[CLASS[0]].astype(str),
            y=rows[measure],
            name=str(name),
            marker_color=PART_COLOURS[place % len(PART_COLOURS)],
            customdata=rows[[CLASS[1]]].to_numpy(),
            hovertemplate=f"%{{customdata[0]}}<br>{name}: %{{y:.4g}}<extra></extra>",
        )
    angle = -45 if len(shown) > 12 else 0
    figure.update_xaxes(type="category", categoryarray=ticks["tickvals"], tickangle=angle, **ticks)
    figure.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    return figure


def _by_group(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    if GROUP not in table.columns:
        return [("", table)]
    return [(str(name), rows) for name, rows in table.groupby(GROUP, sort=False)]


def _colours(table: pd.DataFrame) -> dict[str, str]:
    return group_colours(table[GROUP]) if GROUP in table.columns else {}


def _figure(x: str, y: str, note: str = "") -> go.Figure:
    figure = go.Figure(layout={"template": TEMPLATE, "height": HEIGHT})
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    if note:
        corner = {"x": 1, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom"}
        figure.add_annotation(text=note, showarrow=False, font={"size": 12, "color": QUIET}, **corner)
    return figure


def _short(name: str) -> str:
    line = one_line(str(name))
    return line if len(line) <= NAME_LETTERS else f"{line[: NAME_LETTERS - 1]}…"
