"""The critic's charts: what is drawn is what the tables hold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.critic.candidates import NO_CLASS
from app.critic_figures import candidates_figure, judges_figure
from app.figures import MAIN, QUIET
from tests.app.critic_findings import candidates, judges


def test_judges_figure__the_best_first_all_combined_last_and_marked():
    figure = judges_figure(judges())
    alone, combined = figure.data
    assert list(alone.y) == ["prototypes", "committee"] and list(combined.y) == ["combined"]
    assert alone.marker.color != combined.marker.color and alone.marker.symbol != combined.marker.symbol
    assert list(figure.layout.yaxis.categoryarray) == ["prototypes", "committee", "combined"]
    assert "90.0%, n = 10" in figure.layout.yaxis.ticktext[0]
    np.testing.assert_allclose(alone.error_x.array, [0.08, 0.15])
    np.testing.assert_allclose(alone.error_x.arrayminus, [0.3, 0.3])


def test_judges_figure__a_combined_better_than_none_is_still_last():
    table = judges()
    table.loc[table["judge"] == "combined", "accuracy"] = 0.1
    assert list(judges_figure(table).layout.yaxis.categoryarray)[-1] == "combined"


def test_judges_figure__nobody_checked_is_an_empty_chart():
    figure = judges_figure(judges().assign(accuracy=np.nan))
    assert not any(len(trace.x) for trace in figure.data) and not figure.layout.showlegend


def test_candidates_figure__the_likeliest_first_with_who_named_it():
    figure = candidates_figure(candidates(), given=1)
    (bars,) = figure.data
    assert list(bars.x) == [0.97, 0.02, 0.01] and list(bars.marker.color) == [MAIN, QUIET, MAIN]
    assert [tick.split("<br>")[0] for tick in figure.layout.yaxis.ticktext] == ["2", "1", "something else"]
    assert "committee, suggestion" in figure.layout.yaxis.ticktext[0]


def test_candidates_figure__classes_of_one_name_stay_two_bars_and_empty_places_none():
    table = pd.DataFrame(
        {"label": [3, 7, NO_CLASS], "class_name": ["crane", "crane", ""], "p": [0.6, 0.4, 0.0], "origins": ["a", "b", ""]}
    )
    figure = candidates_figure(table, given=3)
    assert len(set(figure.data[0].y)) == 2


def test_candidates_figure__a_hostile_name_is_one_short_line():
    table = candidates().assign(class_name="two\nlines " + "x" * 500, origins="o" * 500 + "\n")
    assert all(len(tick) < 260 and "\n" not in tick for tick in candidates_figure(table, 1).layout.yaxis.ticktext)


def test_candidates_figure__a_name_is_no_html():
    """Plotly makes links of <a> in labels of an axis and in what it shows under the pointer."""
    link = '<a href="https://evil.example">cat</a>'
    figure = candidates_figure(candidates().assign(class_name=link, origins=link), 1)
    shown = [*figure.layout.yaxis.ticktext, *(text for row in figure.data[0].customdata for text in row)]
    assert not any("<a" in text for text in shown)
    assert "&lt;a href" in figure.layout.yaxis.ticktext[0] and "<br><span" in figure.layout.yaxis.ticktext[0]
