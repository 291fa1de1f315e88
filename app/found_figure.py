"""Wrong labels found per decision as a chart and a sentence, beside what random order would have found. No Streamlit."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from analysis.found_curve import FEWEST_DECIDED, AtRandom, Settled
from app.figures import ALARM, QUIET, TEMPLATE

HEIGHT = 300
MOST_MARKS = 400
MOST_TICKS = 6
ROOM = 1.04
"""Beyond the last decision, so that the line is not cut in half."""
_BAND = "rgba(128, 128, 128, 0.20)"


def found_figure(done: Settled, random: AtRandom | None) -> go.Figure:
    """Found after each decision, as a line; the expectation of random order dashed, its 95 % band behind both."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": HEIGHT, "hovermode": "x unified"})
    if random is not None:
        _add_random(figure, random)
    drawn = np.unique(np.linspace(0, len(done.ids), min(len(done.ids), MOST_MARKS) + 1).round().astype(int))
    figure.add_scatter(
        x=drawn,
        y=done.found[drawn],
        mode="lines",
        name="found, in the order decided",
        line={"color": ALARM, "width": 3, "shape": "hv"},
        hovertemplate="%{y:,} found<extra></extra>",
    )
    highest = max(int(done.wrong.sum()), 1 if random is None else int(random.high[-1]), 1)
    figure.update_xaxes(title="decisions", range=(0, ROOM * max(len(done.ids), 1)), hoverformat=",d", tickformat=",d")
    figure.update_yaxes(title="wrong labels found", range=(0, ROOM * highest), tickformat=",d", nticks=MOST_TICKS)
    if highest < MOST_TICKS:
        figure.update_yaxes(dtick=1)  # half a label would be written as a whole one
    figure.update_layout(showlegend=random is not None)
    return figure


def found_words(done: Settled, random: AtRandom | None, basis: str) -> str:
    """The same in words, with its counts; ``basis`` says what random order rests on, or why it is not shown."""
    n, found = len(done.ids), int(done.wrong.sum())
    if n < FEWEST_DECIDED:
        return f"How many wrong labels were found is told from {FEWEST_DECIDED} decisions on; there are {n} so far."
    said = f"{n:,} decisions found {found:,} wrong label{'' if found == 1 else 's'} ({found / n:.0%})."
    if random is None:
        return f"{said} {basis}"
    low, high = int(random.low[-1]), int(random.high[-1])
    return f"{said} In random order about {random.expected[-1]:.1f} were to be expected ({low:,} to {high:,}): {basis}"


def _add_random(figure: go.Figure, random: AtRandom) -> None:
    figure.add_scatter(
        x=np.concatenate([random.decisions, random.decisions[::-1]]),
        y=np.concatenate([random.high, random.low[::-1]]),
        fill="toself",
        fillcolor=_BAND,
        line={"width": 0},
        mode="lines",
        name="95 % of random orders",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=random.decisions,
        y=random.expected,
        mode="lines",
        name="random order, expected",
        line={"color": QUIET, "width": 2, "dash": "dash"},
        customdata=np.stack([random.low, random.high], axis=1),
        hovertemplate="random: %{y:.1f} (%{customdata[0]:.0f} to %{customdata[1]:.0f})<extra></extra>",
    )
