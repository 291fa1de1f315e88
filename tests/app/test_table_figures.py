"""Charts follow from the shape of a table: which columns can be asked for, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from app.figures import ALARM, GROUP_COLOURS
from app.table_figures import MOST_CLASSES, MOST_NAMES, first_measure, measures_of, table_chart


def options(**more: list) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "option": ["as it is", "a tenth", "top 5"],
            "chosen": [False, True, False],
            "bytes": [1_000, 100, 40],
            "image_kl": [0.0, 0.2, 0.5],
            "image_kl_low": [0.0, 0.1, 0.4],
            "image_kl_high": [0.0, 0.5, 0.8],
            "writable": ["yes", "yes", "no"],
            **more,
        }
    )


def note(figure: go.Figure) -> str:
    return " ".join(annotation.text for annotation in figure.layout.annotations)


def test_measures_of__numbers_that_are_neither_axis_nor_interval():
    assert measures_of(options()) == ["bytes", "image_kl"]
    assert measures_of(pd.DataFrame({"epoch": [0, 1], "n": [3, 4], "confidence": [0.5, np.nan]})) == ["n", "confidence"]


def test_measures_of__nothing_to_chart():
    assert measures_of(pd.DataFrame()) == []
    assert measures_of(options()[:0]) == []
    assert measures_of(pd.DataFrame({"a": [1, 2], "b": [3, 4]})) == [], "numbers that nothing names"
    assert measures_of(pd.DataFrame({"name": ["x"], "empty": [np.nan]})) == []


def test_epochs__a_line_in_their_order():
    table = pd.DataFrame({"epoch": [0, 1, 5], "confidence": [0.2, np.nan, 0.6]})
    figure = table_chart(table, "confidence")
    (line,) = figure.data
    assert list(line.x) == [0, 1, 5] and line.y[0] == 0.2 and np.isnan(line.y[1]), "a gap, not a zero"
    assert "lines" in line.mode and figure.layout.xaxis.title.text == "epoch"


def test_tau__a_line_a_group_and_one_point_that_is_marked():
    table = pd.DataFrame(
        {"tau": [0.0, 1.0, 2.0, 1.0], "spread": [0.3, 0.1, 0.2, 0.1], "group": [*["each tau"] * 3, "least"]}
    )
    assert measures_of(table) == ["spread"]
    curve, mark = table_chart(table, "spread").data
    assert list(curve.x) == [0, 1, 2] and (list(mark.x), list(mark.y)) == ([1], [0.1]) and "markers" in mark.mode
    assert curve.line.color != mark.line.color


def test_batches__of_an_epoch_each_are_drawn_one_after_the_other():
    table = pd.DataFrame({"epoch": [0, 0, 1, 1], "batch": [0, 1, 0, 1], "margin": [1.0, 2.0, 3.0, 4.0]})
    assert measures_of(table) == ["margin"]
    (line,) = table_chart(table, "margin").data
    assert list(line.y) == [1.0, 2.0, 3.0, 4.0] and list(np.diff(line.x) > 0) == [True] * 3
    assert list(line.customdata[2]) == [1, 0], "hovering names epoch and batch"


def test_bytes__what_each_costs_against_what_it_loses():
    figure = table_chart(options(), "image_kl")
    assert figure.layout.xaxis.type == "log" and figure.layout.yaxis.type is None
    assert [(*mark.x, *mark.y) for mark in figure.data] == [(1_000, 0.0), (100, 0.2), (40, 0.5)]
    assert [mark.name for mark in figure.data] == ["as it is", "<b>a tenth</b> (chosen)", "top 5"]
    assert len({(mark.marker.color, mark.marker.symbol) for mark in figure.data}) == 3
    chosen = figure.data[1]
    assert chosen.marker.size > figure.data[0].marker.size
    assert chosen.error_y.array[0] == pytest.approx(0.3) and chosen.error_y.arrayminus[0] == pytest.approx(0.1)


def test_bytes__values_that_span_decades_on_a_logarithmic_axis_that_still_shows_zero():
    figure = table_chart(options(image_kl=[0.0, 0.002, 0.9]), "image_kl")
    axis = figure.layout.yaxis
    assert axis.type == "log" and dict(zip(axis.tickvals, axis.ticktext, strict=True)) == {
        1e-4: "less", 1e-3: "0.001", 1e-2: "0.01", 1e-1: "0.1", 1.0: "1"
    }  # fmt: skip
    assert [mark.y[0] for mark in figure.data] == [1e-4, 0.002, 0.9]
    assert figure.data[0].customdata[0][1] == 0.0, "hovering says the value itself"
    tiny = table_chart(options(image_kl=[1e-12, 0.002, 0.9]), "image_kl")
    assert tiny.layout.yaxis.ticktext[:2] == ("less", "1e-06") and tiny.data[0].y[0] == pytest.approx(1e-7)


def test_bytes__rows_without_a_size_are_counted_not_drawn():
    figure = table_chart(options(bytes=[1_000, np.nan, 0]), "image_kl")
    assert sum(len(trace.x) for trace in figure.data) == 1 and "2 of 3" in note(figure)


def test_bytes__themselves_are_bars():
    figure = table_chart(options(), "bytes")
    (bars,) = figure.data
    assert bars.type == "bar" and list(bars.x) == [1_000, 100, 40] and list(bars.y) == ["as it is", "a tenth", "top 5"]


def test_groups__one_colour_each_and_names_once():
    table = pd.DataFrame({"option": ["a", "a", "b", "b"], "group": ["head", "tail"] * 2, "row_kl": [0.1, 0.2, 0.3, np.nan]})
    figure = table_chart(table, "row_kl")
    assert [(bars.name, bars.marker.color) for bars in figure.data] == [(g, GROUP_COLOURS[g]) for g in ("head", "tail")]
    assert list(figure.data[0].x) == [0.1, 0.3] and list(figure.layout.yaxis.categoryarray) == ["a", "b"]
    assert figure.layout.showlegend


def test_groups__look_the_same_whatever_their_order():
    table = pd.DataFrame({"option": ["a"] * 3, "group": ["sure", "middling", "unsure"], "row_kl": [0.1, 0.2, 0.3]})
    one, other = (table_chart(rows, "row_kl") for rows in (table, table[::-1]))
    assert {b.name: b.marker.color for b in one.data} == {b.name: b.marker.color for b in other.data}


def regions(classes: int) -> pd.DataFrame:
    parts = ["hard negative", "easy"]
    share = np.linspace(0, 1, classes)
    return pd.DataFrame(
        {
            "class_id": np.repeat(np.arange(classes), 2),
            "class_name": np.repeat([f"class {i % 7}" for i in range(classes)], 2),
            "region": parts * classes,
            "share": np.stack([share, 1 - share], axis=1).ravel(),
        }
    )


def test_parts_of_classes__stacked_and_classes_of_one_name_apart():
    table = regions(8)
    assert measures_of(table) == ["share"]
    figure = table_chart(table, "share")
    assert figure.layout.barmode == "stack" and [bars.name for bars in figure.data] == ["hard negative", "easy"]
    assert [a + b for a, b in zip(figure.data[0].y, figure.data[1].y, strict=True)] == pytest.approx([1.0] * 8)
    assert figure.data[0].marker.color == ALARM and figure.layout.legend.traceorder == "normal", "what one looks for"
    assert len(set(figure.data[0].x)) == 8 and list(figure.layout.xaxis.ticktext)[-1] == "class 0"


def test_parts_of_many_classes__those_with_most_of_the_first_part():
    figure = table_chart(regions(MOST_CLASSES + 3), "share")
    assert list(figure.data[0].x) == [str(i) for i in range(3, MOST_CLASSES + 3)] and "hard negative" in note(figure)


def test_interval__named_by_the_beginning_of_its_measure():
    table = pd.DataFrame(
        {"group": ["head", "tail"], "n": [5, 6], "vote_other_share": [0.2, 0.4], "vote_other_low": [0.1, 0.3]}
    ).assign(vote_other_high=[0.4, 0.8])
    assert measures_of(table) == ["n", "vote_other_share"]
    head, tail = table_chart(table, "vote_other_share").data
    assert head.error_x.array[0] == pytest.approx(0.2) and tail.error_x.arrayminus[0] == pytest.approx(0.1)
    assert table_chart(table, "n").data[0].error_x.array is None


def test_many_names__the_first_ones_and_a_note():
    table = pd.DataFrame({"option": [f"option {i}" for i in range(MOST_NAMES + 5)], "n": range(MOST_NAMES + 5)})
    figure = table_chart(table, "n")
    assert len(figure.data[0].x) == MOST_NAMES and f"{MOST_NAMES} of {MOST_NAMES + 5}" in note(figure)


def test_first_measure__the_headline_or_more_than_a_count():
    table = pd.DataFrame({"epoch": [0, 1], "rows": [8, 8], "margin": [0.1, 0.2], "confidence": [0.3, 0.4]})
    assert first_measure(table, "confidence") == "confidence" and first_measure(table, "spread") == "margin"
    assert first_measure(table[["epoch", "rows"]], None) == "rows"


def test_bars__rows_of_one_name_are_told_apart_by_the_words_beside_it():
    table = pd.DataFrame(
        {
            "class": ["Coat", "Coat", "Shirt"],
            "other_class": ["Shirt", "Bag", "Coat"],
            "confusion": [0.25, 0.125, 0.5],
        }
    )
    (bars,) = table_chart(table, "confusion").data
    drawn = dict(zip(bars.y, bars.x, strict=True))
    assert drawn == {"Coat · Shirt": 0.25, "Coat · Bag": 0.125, "Shirt · Coat": 0.5}, "no two bars lie on each other"


def test_bars__groups_of_one_name_stay_beside_each_other():
    table = pd.DataFrame(
        {"rule": ["a", "a", "b"], "group": ["head", "tail", "head"], "kind": ["x", "y", "x"], "kl": [1.0, 2, 3]}
    )
    assert [list(bars.y) for bars in table_chart(table, "kl").data] == [["a", "b"], ["a"]]


def test_bars__classes_by_number_are_named_as_pairs():
    table = pd.DataFrame(
        {"class_a": [4, 0], "class_b": [6, 6], "name_a": ["Coat", "Top"], "name_b": "Shirt", "overlap": [0.5, 0.25]}
    )
    assert measures_of(table) == ["overlap"], "numbers of classes are no measure"
    (bars,) = table_chart(table, "overlap").data
    assert dict(zip(bars.y, bars.x, strict=True)) == {"Coat · Shirt": 0.5, "Top · Shirt": 0.25}
    (alone,) = table_chart(table[:1], "overlap").data
    assert list(alone.y) == ["Coat · Shirt"]


def curves(*groups: str) -> pd.DataFrame:
    parts = [pd.DataFrame({"step": [10, 20], "accuracy": [0.1, 0.5], "group": group}) for group in groups]
    return pd.concat(parts, ignore_index=True)


def test_steps__a_line_for_each_group_along_the_numbers_themselves():
    figure = table_chart(curves("soft labels", "hard labels"), "accuracy")
    assert measures_of(curves("soft labels")) == ["accuracy"]
    assert [(line.name, list(line.x)) for line in figure.data] == [("soft labels", [10, 20]), ("hard labels", [10, 20])]
    assert figure.layout.showlegend and figure.layout.xaxis.title.text == "step"
    by_ipc = table_chart(curves("hard").rename(columns={"step": "images_per_class"}), "accuracy")
    assert by_ipc.layout.xaxis.title.text == "images per class"


def test_lines__many_are_told_apart_and_their_legend_leaves_the_plot_its_room():
    figure = table_chart(curves(*(f"lesson {place}" for place in range(16))), "accuracy")
    assert len({(line.line.color, line.line.dash) for line in figure.data}) == 16
    assert figure.layout.legend.y < 0 and figure.layout.height > table_chart(curves("a", "b"), "accuracy").layout.height


def test_measures_of__a_list_of_samples_is_read_not_charted():
    assert measures_of(pd.DataFrame({"sample_id": [3, 1], "p": [0.5, 0.25]})) == []
