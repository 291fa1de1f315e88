"""Charts of a correction: what is drawn is what the tables hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.findings import Figure
from app.correct_figures import class_chart, class_measures, curve_chart, group_chart, is_curve, pairs, with_measures

GROUPS = pd.DataFrame(
    {
        "group": ["head", "tail"],
        "n": [20, 3],
        "confidence_before": [0.9, 0.2],
        "confidence_after": [0.7, 0.5],
        "received_before": [1.6, 0.4],
        "received_after": [1.1, 0.9],
    }
)


def classes(n: int) -> pd.DataFrame:
    values = np.linspace(0.1, 0.9, n)
    return pd.DataFrame(
        {
            "class_id": np.arange(n),
            "class_name": [f"class {i}" for i in range(n)],
            "n": 5,
            "confidence_before": values,
            "confidence_after": np.where(np.arange(n) == 1, 0.99, values),
        }
    )


def test_group_chart__a_bar_for_each_group_before_and_after():
    figure = group_chart(GROUPS, "confidence")
    assert [list(bar.y) for bar in figure.data] == [[0.9, 0.2], [0.7, 0.5]]
    assert [bar.name for bar in figure.data] == ["before", "after"] and not figure.layout.shapes


def test_group_chart__received_mass_has_a_line_where_it_is_balanced():
    (line,) = group_chart(GROUPS, "received").layout.shapes
    assert line.y0 == line.y1 == 1.0


def test_class_chart__of_many_those_that_change_most():
    figure = class_chart(classes(100), "confidence", most=3)
    assert "class 1" in figure.data[0].x and len(figure.data[0].x) == 3
    assert "3 of 100 classes that change most" in figure.layout.annotations[0].text


def test_class_chart__names_that_occur_twice_get_their_number():
    figure = class_chart(classes(2).assign(class_name="crane"), "confidence")
    assert list(figure.data[0].x) == ["crane (0)", "crane (1)"]


def test_with_measures__adds_what_the_correction_says_of_a_class():
    tables = {
        "class temperatures": classes(3)[["class_id", "class_name", "n", "confidence_before"]].assign(
            temperature=[1.0, 2.0, 3.0]
        ),
        "tau": pd.DataFrame({"tau": [0.0, 1.0], "spread": [0.3, 0.1]}),
    }
    joined = with_measures(classes(3), tables)
    assert joined["temperature"].tolist() == [1.0, 2.0, 3.0] and "tau" not in joined
    assert class_measures(joined) == ["confidence", "temperature"] and pairs(joined) == ["confidence"]
    assert len(class_chart(joined, "temperature").data) == 1


@pytest.mark.parametrize(
    "table, curve",
    [
        (pd.DataFrame({"tau": [0.0, 1.0], "spread": [0.3, 0.1]}), True),
        (pd.DataFrame({"tau": [0.0], "spread": [0.3]}), False),
        (pd.DataFrame({"stage": ["a", "b"], "loss": [0.3, 0.1]}), False),
        (classes(3)[["class_id", "n"]], False),
        (pd.DataFrame({"tau": [0.0, 1.0]}), False),
    ],
)
def test_is_curve(table, curve):
    assert is_curve(table) is curve


def test_curve_chart__marks_what_was_chosen():
    table = pd.DataFrame({"tau": [2.0, 0.0, 1.0], "spread": [0.4, 0.3, 0.1]})
    line, mark = curve_chart(table, (Figure("Tau", 1.1, "", 3),)).data
    assert list(line.x) == [0.0, 1.0, 2.0] and list(line.y) == [0.3, 0.1, 0.4]
    assert (mark.x[0], mark.y[0], mark.text[0]) == (1.1, 0.1, "tau 1.1")


def test_curve_chart__without_a_choice():
    table = pd.DataFrame({"tau": [0.0, 1.0], "spread": [0.3, 0.1]})
    assert len(curve_chart(table, (Figure("Tau", None, "too few", 3),)).data) == 1
