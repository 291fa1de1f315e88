"""Budgets against exhaustive search and a root finder, and what must hold of every one of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from analysis.compressing.allocation import allocate, spread_weights
from data.errors import ImpossibleRequest

BUDGETS = st.integers(1, 6).flatmap(
    lambda classes: st.tuples(
        st.integers(0, 60),
        st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 7.0, 100.0]), min_size=classes, max_size=classes),
        st.lists(st.integers(0, 20), min_size=classes, max_size=classes),
        st.integers(0, 5),
    )
)


@settings(max_examples=300, deadline=None)
@given(BUDGETS)
def test_allocate__sums_up_within_floors_and_what_is_there(budget):
    total, weights, there, floor = budget
    there = np.array(there)
    kept = allocate(total, np.array(weights), there, floor)
    floors = np.minimum(floor, there)
    assert (kept >= floors).all() and (kept <= there).all()
    assert kept.sum() == min(max(total, floors.sum()), there.sum())


@settings(max_examples=300, deadline=None)
@given(BUDGETS)
def test_allocate__a_heavier_class_of_the_same_size_never_gets_less(budget):
    total, weights, _, floor = budget
    there = np.full(len(weights), 12)
    kept = allocate(total, np.array(weights), there, floor)
    for i, j in product(range(len(weights)), repeat=2):
        if weights[i] > weights[j]:
            assert kept[i] >= kept[j]
        if weights[i] == weights[j]:
            assert abs(kept[i] - kept[j]) <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.0]), min_size=2, max_size=4),
    st.lists(st.integers(1, 6), min_size=4, max_size=4),
    st.integers(0, 2),
    st.floats(0.0, 1.0),
)
def test_allocate__is_the_nearest_of_all_possible_ones_to_the_quotas(weights, there, floor, part):
    """The quotas by a root finder; the nearest whole numbers to them by trying every one."""
    there, weights = np.array(there[: len(weights)]), np.array(weights)
    low = np.minimum(floor, there)
    assume(low.sum() < there.sum())
    total = round(float(low.sum() + part * (there.sum() - low.sum())))
    aim = np.clip(total, low.sum() + 1e-9, there.sum() - 1e-9)  # a root needs both signs
    level = brentq(lambda x: np.clip(x * weights, low, there).sum() - aim, 0, 1e4, xtol=1e-13)
    quota = np.clip(level * weights, low, there)
    possible = [a for a in product(*(range(n + 1) for n in there)) if sum(a) == total and (np.array(a) >= low).all()]
    nearest = min(((np.array(a) - quota) ** 2).sum() for a in possible)
    found = ((allocate(total, weights, there, floor) - quota) ** 2).sum()
    assert found == pytest.approx(nearest, abs=1e-5)


@pytest.mark.parametrize(
    ("total", "weights", "there", "floor", "kept"),
    [
        (100, [1] * 10, [20] * 10, 1, [10] * 10),
        (10, [5000, 500, 50], [20, 20, 20], 1, [8, 1, 1]),
        (30, [5000, 500, 50], [20, 20, 20], 3, [20, 7, 3]),  # what the head cannot give goes to the next
        (7, [1, 1, 1], [5, 5, 5], 0, [3, 2, 2]),  # equal remainders: the lower class index
        (2, [1, 1, 1], [5, 5, 5], 2, [2, 2, 2]),  # floors win
        (99, [1, 2], [3, 0], 1, [3, 0]),
        (4, [0, 0, 5], [3, 3, 1], 0, [2, 1, 1]),  # classes without weight share what others cannot give
    ],
)
def test_allocate__by_hand(total, weights, there, floor, kept):
    assert allocate(total, np.array(weights, float), np.array(there), floor).tolist() == kept


def test_allocate__many_classes_in_exact_proportion():
    there = np.full(10_000, 50)
    kept = allocate(100_000, np.ones(10_000), there, 1)
    assert (kept == 10).all()


def test_spread_weights__original_counts_need_some():
    with pytest.raises(ImpossibleRequest, match="class counts"):
        spread_weights("original counts", np.array([1, 2]), None)
    assert spread_weights("original counts", np.array([1, 2]), np.array([7, 3])).tolist() == [7, 3]
    assert spread_weights("what is there", np.array([1, 2]), None).tolist() == [1, 2]
