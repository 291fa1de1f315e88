from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from analysis.findings import Matrix
from app.figures import before_after_chart, heat_map, per_class_chart, scatter_map
from app.shown_figure import figure_words
from app.table_figures import table_chart

CLASSES = pd.DataFrame({"class_id": [0, 1, 2], "class_name": ["cat", "dog", "<b>owl</b>"], "n": [5, 6, 7]})


def test_figure_words__bars_by_class_say_axes_and_extremes():
    words = figure_words(per_class_chart(CLASSES.assign(error=[0.25, 0.5, np.nan]), "error"))
    assert words == (
        "Bar chart: error by class. 2 values, from 0.25 (cat) to 0.5 (dog). 1 of 3 classes: too few samples to say."
    ), "a hollow mark on the axis is no value"


def test_figure_words__groups_are_named():
    table = CLASSES.assign(before=[5, 6, 7], after=[5, 4, 9])
    words = figure_words(before_after_chart(table))
    assert words == "Bar chart: samples by class. Groups: before, after. 6 values, from 4 (dog) to 9 (owl)."


def test_figure_words__lying_bars_are_measured_along_x():
    table = pd.DataFrame({"name": ["one", "two"], "share": [0.1, 0.75]})
    assert "from 0.1 (one) to 0.75 (two)" in figure_words(table_chart(table, "share"))


def test_figure_words__a_matrix_has_its_title_and_range():
    matrix = Matrix("Who goes where", np.array([[1.0, 2.0], [np.nan, 4.5]]), "from", "to", ("a", "b"), ("c", "d"))
    assert figure_words(heat_map(matrix)) == "Heat map: Who goes where. 3 values, from 1 to 4.5."


def test_figure_words__of_a_map_only_the_points_count():
    x = np.array([-3.0, 0.5, 99.0])
    words = figure_words(
        scatter_map(x, x, np.array([0, 1, 1]), ["cat", "dog"], np.arange(3), np.array([True, False, False]))
    )
    assert words == "Scatter chart. Groups: cat, dog, flagged. 3 points."


@pytest.mark.parametrize(
    "figure", [go.Figure(), go.Figure(go.Bar(x=[], y=[])), go.Figure(go.Bar(x=["a"], y=[float("nan")]))]
)
def test_figure_words__an_empty_figure_still_has_a_name(figure):
    assert figure_words(figure).strip(". ")
