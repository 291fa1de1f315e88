"""The curve of wrong labels found, as data and as words."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.found_curve import Settled, at_random
from app.asking_queue import Suspicion
from app.found_figure import found_figure, found_words
from app.found_panel import random_order

DONE = Settled(np.arange(10), np.arange(10) < 4)


def test_found_figure__the_curve_over_the_band_of_random_orders():
    figure = found_figure(DONE, at_random(10, 20, 100))
    band, expected, found = figure.data
    assert found.y.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4] and found.x.tolist() == list(range(11))
    np.testing.assert_allclose(expected.y, np.arange(11) * 0.2)
    assert len(band.x) == 22 and max(band.y) >= 4 and figure.layout.showlegend
    assert figure.layout.yaxis.range[1] > 4 and figure.layout.xaxis.range[1] > 10


def test_found_figure__without_random_order_is_the_curve_alone():
    figure = found_figure(DONE, None)
    assert [trace.name for trace in figure.data] == ["found, in the order decided"] and not figure.layout.showlegend


@pytest.mark.parametrize(("wrong", "step"), [(0, 1), (5, 1), (6, None)])
def test_found_figure__no_tick_is_half_a_label(wrong, step):
    assert found_figure(Settled(np.arange(10), np.arange(10) < wrong), None).layout.yaxis.dtick == step


def test_found_figure__very_many_decisions_are_thinned_but_end_at_the_last():
    many = Settled(np.arange(5_000), np.ones(5_000, dtype=bool))
    (found,) = found_figure(many, None).data
    assert len(found.x) <= 401 and (found.x[-1], found.y[-1]) == (5_000, 5_000)


def test_found_words__too_few_say_so_and_enough_give_their_counts():
    assert found_words(Settled(np.arange(2), np.zeros(2, bool)), None, "") == (
        "How many wrong labels were found is told from 5 decisions on; there are 2 so far."
    )
    said = found_words(DONE, at_random(10, 20, 100), "that takes 20 of 100 labels to be wrong.")
    assert said.startswith("10 decisions found 4 wrong labels (40%). In random order about 2.0 were to be expected (0 to 5)")


def test_random_order__is_not_drawn_before_anybody_can_say_how_many_are_wrong():
    unknown = np.full(100, np.nan)
    assert random_order(DONE, Suspicion(None, unknown, unknown), 20)[0] is None
    early, why = random_order(DONE, Suspicion("label_errors", np.full(100, 0.2), unknown), 20)
    assert early is None and "20 decisions" in why


def test_random_order__takes_the_errors_found_and_those_expected_of_the_others():
    p_wrong = np.concatenate([np.full(10, 0.99), np.full(80, 0.1), np.full(10, np.nan)])
    curve, basis = random_order(DONE, Suspicion("label_errors", p_wrong, p_wrong, True), 20)
    assert curve.expected[-1] == pytest.approx(10 * (4 + 8) / 90)
    assert "12 of 90" in basis and "the 4 found and about 8 others" in basis and "estimate" in basis
