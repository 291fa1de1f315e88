"""What a budget of answers gives, against counting every outcome and against simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.consensus.planner import Worker, majority_right, plan


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.integers(1, 9))
def test_majority_right__is_the_sum_over_all_outcomes(accuracy, k):
    total = 0.0
    for outcome in product([True, False], repeat=k):
        p = np.prod([accuracy if right else 1 - accuracy for right in outcome])
        votes = sum(outcome)
        total += p * (1.0 if 2 * votes > k else 0.5 if 2 * votes == k else 0.0)
    assert majority_right(accuracy, k) == pytest.approx(total, abs=1e-12)


def test_majority_right__errors_that_scatter_are_outvoted_sooner():
    """The formula is the hardest case: three annotators of 0.7 who err towards any of 9 classes are right more often."""
    rng = np.random.default_rng(0)
    answers = np.where(rng.random((20_000, 3)) < 0.7, 0, rng.integers(1, 10, (20_000, 3)))
    counts = (answers[:, :, None] == np.arange(10)).sum(axis=1)
    top = counts.max(axis=1)
    right = np.where(counts[:, 0] == top, 1 / (counts == top[:, None]).sum(axis=1), 0).mean()
    assert right > majority_right(0.7, 3) + 0.02


def test_plan__more_labels_or_better_ones_depends_on_what_an_error_costs():
    annotators, reviewer = Worker("annotators", 0.8, 0.75, 0.85), Worker("reviewer", 1.0, 1.0, 1.0, 3.0, 1)
    cheap = plan([annotators, reviewer], 900, 10_000, cost=0.0).set_index(["group", "k"])
    assert cheap["labelled"].to_dict()["annotators", 3] == 300 and cheap["labelled"].to_dict()["reviewer", 1] == 300
    assert cheap["chosen"].idxmax() == ("annotators", 1), "720 right ones for 900 answers"
    dear = plan([annotators, reviewer], 900, 10_000, cost=5.0).set_index(["group", "k"])
    assert dear["chosen"].idxmax() == ("reviewer", 1), "300 right ones, none wrong"
    assert dear["worth"]["annotators", 1] == pytest.approx(900 * (0.8 - 5 * 0.2))
    np.testing.assert_allclose(dear["right_consensus"] + dear["wrong_consensus"], dear["labelled"])
    assert (dear["right_consensus_low"] <= dear["right_consensus"]).all()


def test_plan__with_answers_to_spare_every_sample_gets_more():
    found = plan([Worker("annotators", 0.8, 0.8, 0.8, most=7)], 1_000, 100, cost=1.0)
    assert found["labelled"].tolist() == [100] * 7 and found.loc[found["chosen"], "k"].tolist() == [7]
    assert plan([], 10, 10, 1.0).empty
