"""Ranks within classes against SciPy's, and what a direction turns around."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from analysis.compressing.ranks import Score, rank, turn_of

LABELS = np.array([0, 1, 0, 1, 0, 0, 1, 2])


def score(values, weight=1.0, ease=True, name="a"):
    return Score(name, np.asarray(values, float), weight, ease, "made")


def test_rank__one_score_is_the_order_of_each_class():
    found = rank(LABELS, [score([4, 1, 3, 2, 9, 0, 5, 7])], "easy first")
    assert found.order.tolist() == [4, 0, 2, 5, 6, 3, 1, 7]
    np.testing.assert_allclose(found.place, [1 / 3, 1, 2 / 3, 0.5, 0, 1, 0, 0])


def test_rank__hard_first_turns_ease_around_and_nothing_else():
    values = [4, 1, 3, 2, 9, 0, 5, 7]
    assert rank(LABELS, [score(values)], "hard first").order.tolist() == [5, 2, 0, 4, 1, 3, 6, 7]
    fault = score(values, ease=False)
    assert rank(LABELS, [fault], "hard first").order.tolist() == rank(LABELS, [fault], "easy first").order.tolist()


def test_rank__middle_first_begins_at_the_median():
    labels = np.zeros(5, int)
    assert rank(labels, [score([10, 20, 30, 40, 50])], "middle first").order.tolist() == [2, 1, 3, 0, 4]


def test_rank__is_the_weighted_mean_of_scipys_ranks():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    scores = [score(rng.integers(0, 8, 60), 1.0, name="a"), score(rng.random(60), 2.5, name="b")]
    found = rank(labels, scores, "easy first")
    for c in range(3):
        ids = np.flatnonzero(labels == c)
        mean = sum(s.weight * (rankdata(-s.values[ids]) - 0.5) / len(ids) for s in scores) / 3.5
        wanted = sorted(ids, key=lambda i: (round(mean[list(ids).index(i)], 12), i))
        assert found.order[labels[found.order] == c].tolist() == wanted


def test_rank__a_score_that_says_nothing_of_an_image_is_left_out_of_its_mean():
    labels = np.zeros(4, int)
    some = score([np.nan, 3, 2, 1], name="some")
    found = rank(labels, [some, score([4, 3, 2, 1], name="all")], "easy first")
    assert np.isnan(found.of_score["some"][0])
    np.testing.assert_allclose(found.of_score["some"][1:], [1 / 6, 1 / 2, 5 / 6])
    assert found.order[0] == 0, "the best by the only score that speaks of it"


@pytest.mark.parametrize("values", [[1, 1, 1, 1], [np.nan] * 4])
def test_rank__without_any_difference_goes_by_id(values):
    assert rank(np.zeros(4, int), [score(values)], "easy first").order.tolist() == [0, 1, 2, 3]


def test_turn_of__counts_within_classes():
    order = np.array([4, 0, 2, 5, 6, 3, 1, 7])
    assert turn_of(LABELS, order)[order].tolist() == [0, 1, 2, 3, 0, 1, 2, 0]
