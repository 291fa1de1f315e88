"""The critic's tables as Plotly figures: the judges beside each other, and the candidates of one sample. No Streamlit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go

from analysis.critic.candidates import NO_CLASS
from analysis.critic.combined import COMBINED
from app.figures import ALARM, MAIN, QUIET, TEMPLATE
from app.interval_bars import interval_bar
from data.pair_answers import NOTHING, SOMETHING_ELSE
from data.plain_text import one_line

ACCURACY = "accuracy"
ROW_PX, LINE_PX, EDGE_PX = 34, 14, 76
ROOM = 1.08
"""Beyond 100 %, so that neither a mark there nor its number is cut off."""
NAME_LETTERS, LINE_LETTERS, MOST_LINES = 40, 26, 2


def judges_figure(judges: pd.DataFrame) -> go.Figure:
    """Each judge's accuracy as a mark with its interval, the most accurate first; all of them together last, and marked.

    ``judges`` has judge, n, accuracy, accuracy_low and accuracy_high; a judge that nobody checked is left out.
    """
    known = judges[judges[ACCURACY].notna()]
    together = known["judge"] == COMBINED
    alone = known[~together].sort_values(ACCURACY, ascending=False, kind="stable")
    figure = _figure("share of the checked answers that were right")
    _marks(figure, alone, "one judge", MAIN, "circle")
    _marks(figure, known[together], "all judges combined", ALARM, "diamond")
    order = pd.concat([alone, known[together]])
    under = [f"{value:.1%}, n = {n:,.0f}" for value, n in zip(order[ACCURACY], order["n"], strict=True)]
    _rows(figure, list(order["judge"].astype(str)), [_short(name) for name in order["judge"]], under)
    figure.update_layout(showlegend=bool(together.any()))
    return figure


def candidates_figure(candidates: pd.DataFrame, given: int) -> go.Figure:
    """The candidates of one sample as bars by probability, the likeliest first, each with who named it.

    ``candidates`` has label, class_name, p and origins; ``given`` is the label that the sample has.
    """
    shown = candidates[candidates["label"] != NO_CLASS].sort_values("p", ascending=False, kind="stable")
    names = [label_words(*pair) for pair in zip(shown["label"], shown["class_name"], strict=True)]
    origins = [one_line(str(said)) for said in shown["origins"]]
    figure = _figure("probability that it fits best")
    figure.add_bar(
        x=shown["p"],
        y=shown["label"].astype(str),
        orientation="h",
        marker_color=[QUIET if label == given else MAIN for label in shown["label"]],
        texttemplate="%{x:.1%}",
        customdata=[
            [_text(name), _text(one_line(str(origins)))] for name, origins in zip(names, shown["origins"], strict=True)
        ],
        hovertemplate="%{customdata[0]}: %{x:.1%}<br>%{customdata[1]}<extra></extra>",
    )
    _rows(figure, list(shown["label"].astype(str)), names, origins)
    return figure


def label_words(label: int, name: object) -> str:
    """A candidate as people read it."""
    return SOMETHING_ELSE if label == NOTHING else _short(name)


def _marks(figure: go.Figure, rows: pd.DataFrame, name: str, colour: str, symbol: str) -> None:
    figure.add_scatter(
        x=rows[ACCURACY],
        y=rows["judge"].astype(str),
        mode="markers",
        name=name,
        marker={"size": 12, "color": colour, "symbol": symbol},
        error_x=interval_bar(rows, ACCURACY),
        customdata=rows[["n", f"{ACCURACY}_low", f"{ACCURACY}_high"]].to_numpy(),
        hovertemplate="%{y}: %{x:.1%}<br>95% interval %{customdata[1]:.1%} to %{customdata[2]:.1%}, "
        "n = %{customdata[0]:,}<extra></extra>",
    )


def _figure(title: str) -> go.Figure:
    figure = go.Figure(layout={"template": TEMPLATE})
    figure.update_xaxes(title=title, range=(0, ROOM), nticks=6, tickangle=0, tickformat=".0%", showgrid=True)
    return figure


def _rows(figure: go.Figure, keys: Sequence[str], names: Sequence[str], under: Sequence[str]) -> None:
    """One row for each of ``keys``, the first on top, with its name and what is said of it in small print below."""
    said = [textwrap.wrap(text, LINE_LETTERS, max_lines=MOST_LINES, placeholder=" …") for text in under]
    small = ["".join(f'<br><span style="font-size: 11px">{_text(line)}</span>' for line in lines) for lines in said]
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(keys),
        autorange="reversed",
        showgrid=False,
        tickvals=list(keys),
        ticktext=[_text(name) + text for name, text in zip(names, small, strict=True)],
    )
    row_px = ROW_PX + LINE_PX * max(map(len, said), default=0)
    figure.update_layout(height=EDGE_PX + row_px * max(len(keys), 1))


def _text(words: str) -> str:
    """``words``, which Plotly cannot take for its own HTML: a class name could make a link of itself."""
    return escape(words, quote=False)


def _short(text: object) -> str:
    line = one_line(str(text))
    return line if len(line) <= NAME_LETTERS else f"{line[: NAME_LETTERS - 1]}…"
