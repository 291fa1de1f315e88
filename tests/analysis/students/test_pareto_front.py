"""Fronts against their definition, choice by choice."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.students.pareto_front import dominated, on_front

CHOICES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=7)


@given(CHOICES)
@settings(max_examples=150, deadline=None)
def test_on_front__no_other_gives_as_much_for_less_or_more_for_no_more(rows):
    found = on_front(np.array([row[:2] for row in rows]), np.array([row[2] for row in rows], dtype=float))
    for here, (a, b, value) in enumerate(rows):
        no_dearer = [(c, d, other) for c, d, other in rows if c <= a and d <= b]
        beaten = any(other > value or (other >= value and (c, d) != (a, b)) for c, d, other in no_dearer)
        assert found[here] == (not beaten)


@given(CHOICES, st.randoms())
@settings(max_examples=100, deadline=None)
def test_dominated__by_one_that_costs_no_more_and_is_surely_better(rows, rng):
    n = len(rows)
    better = np.array([[i != j and rng.random() < 0.4 for j in range(n)] for i in range(n)])
    found = dominated(np.array([row[:1] for row in rows]), better)
    for i in range(n):
        assert found[i] == any(rows[j][0] <= rows[i][0] and better[j, i] for j in range(n))
