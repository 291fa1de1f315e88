"""A Plotly figure on a page, with words for those who cannot see it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.figures import NO_VALUE

MOST_NAMED = 8
_KINDS = {"bar": "Bar chart", "heatmap": "Heat map", "scatter": "Chart", "scattergl": "Chart"}
_TAG = re.compile(r"<[^>]*>")


def show_figure(
    figure: go.Figure, key: str, place: DeltaGenerator | None = None, instead: str | None = None, **options: Any
) -> Any:
    """``st.plotly_chart`` with ``instead``, or else ``figure_words``, as its accessible name; returns what that returns."""
    return (place or st).plotly_chart(figure, key=key, alt=instead or figure_words(figure), **options)


def figure_words(figure: go.Figure) -> str:
    """What is drawn, from the figure itself: its kind, its title or axes, its groups, its lowest and its highest value, and
    the notes that stand on it."""
    drawn = [trace for trace in figure.data if trace.type in _KINDS and trace.meta != NO_VALUE]
    kinds = dict.fromkeys(_kind(trace) for trace in drawn)
    said = [": ".join(filter(None, (" and ".join(kinds), _subject(figure, drawn)))), _groups(drawn), _span(drawn)]
    said += [_text(note.text) for note in figure.layout.annotations]
    return ". ".join(part.rstrip(".") for part in said if part) + "." if any(said) else "A chart."


def _kind(trace: Any) -> str:
    if trace.type in ("bar", "heatmap"):
        return _KINDS[trace.type]
    return "Line chart" if "lines" in (trace.mode or "") else "Scatter chart"


def _subject(figure: go.Figure, drawn: list[Any]) -> str:
    title = _text(figure.layout.title.text)
    across, up = _text(figure.layout.xaxis.title.text), _text(figure.layout.yaxis.title.text)
    if any(trace.type == "bar" and trace.orientation == "h" for trace in drawn):
        across, up = up, across
    return title or " by ".join(filter(None, (up, across)))


def _groups(drawn: list[Any]) -> str:
    names = [_text(trace.name) for trace in drawn if trace.name]
    if len(names) < 2:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"Groups: {', '.join(names[:MOST_NAMED])}{more}"


def _span(drawn: list[Any]) -> str:
    """The lowest and the highest of what is measured, each with what it is of where that has a name."""
    if drawn and all(map(_is_map, drawn)):
        return f"{sum(len(trace.x) for trace in drawn if trace.customdata is not None):,} points"
    found = [ends for trace in drawn if (ends := _ends(trace)) is not None]
    if not found:
        return ""
    many = sum(count for count, _, _ in found)
    low = min((low for _, low, _ in found), key=lambda point: point[0])
    high = max((high for _, _, high in found), key=lambda point: point[0])
    return _of(*low) if many == 1 else f"{many:,} values, from {_of(*low)} to {_of(*high)}"


def _is_map(trace: Any) -> bool:
    """Whether it is of a map, whose axes have no unit, so that its numbers mean nothing."""
    return trace.type == "scattergl" and trace.mode == "markers"


def _ends(trace: Any) -> tuple[int, tuple[float, str], tuple[float, str]] | None:
    """How many values are finite, and (value, name) of the lowest and of the highest; None where none is."""
    if trace.type == "heatmap":
        values, names = np.asarray(trace.z, dtype=float).ravel(), None
    else:
        lying = trace.type == "bar" and trace.orientation == "h"
        values, names = (trace.x, trace.y) if lying else (trace.y, trace.x)
    numbers = _numbers(() if values is None else values)
    known = np.flatnonzero(np.isfinite(numbers))
    if not len(known):
        return None

    def point(place: int) -> tuple[float, str]:
        name = None if names is None else names[place]
        return float(numbers[place]), name if isinstance(name, str) else ""

    return len(known), point(known[np.argmin(numbers[known])]), point(known[np.argmax(numbers[known])])


def _numbers(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """float64 (n,); NaN where something is no number."""
    array = np.asarray(values)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    return np.array([value if isinstance(value, int | float | np.number) else np.nan for value in values], np.float64)


def _of(value: float, name: str) -> str:
    return f"{value:.4g} ({_text(name)})" if name else f"{value:.4g}"


def _text(marked: str | None) -> str:
    return " ".join(_TAG.sub(" ", marked or "").split())
