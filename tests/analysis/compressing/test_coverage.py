"""Orders that cover a class, each against the definition carried out by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compressing.coverage import diverse_sequence, herding_order, k_centre_order
from analysis.neighbours import unit_rows


def rows(n: int, seed: int, width: int = 5) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, width)))


def to_chosen(unit: np.ndarray, order: list[int], i: int) -> float:
    """What greedy k-centre makes small: minus the nearness to the mean first, then minus the distance to what is chosen."""
    if not order:
        return -float(unit[i] @ unit.mean(axis=0))
    return -min(1 - float(unit[i] @ unit[j]) for j in order)


def to_mean(unit: np.ndarray, order: list[int], i: int) -> float:
    """What herding makes as small as it can: how far the mean of the chosen lies from that of all."""
    return float(np.linalg.norm(unit.mean(axis=0) - unit[[*order, i]].mean(axis=0)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1_000), st.sampled_from([(k_centre_order, to_chosen), (herding_order, to_mean)]))
def test_orders__every_step_is_the_best_of_all_that_are_left(n, seed, case):
    order_of, cost = case
    unit = rows(n, seed)
    order = order_of(unit).tolist()
    for step, chosen in enumerate(order):
        before, left = order[:step], order[step:]
        assert cost(unit, before, chosen) <= min(cost(unit, before, i) for i in left) + 1e-5


@pytest.mark.parametrize("order_of", [k_centre_order, herding_order])
def test_orders__hold_every_row_once_even_where_few_are_ordered_one_by_one(order_of):
    unit = rows(30, 1)
    assert sorted(order_of(unit, most=7).tolist()) == list(range(30))
    np.testing.assert_array_equal(order_of(unit, most=7)[:7], order_of(unit)[:7])
    assert order_of(unit[:0]).tolist() == []


def test_k_centre_order__near_copies_come_last():
    unit = rows(6, 2)
    copied = unit_rows(np.concatenate([unit, unit[:3] + 1e-4]))
    last = set(k_centre_order(copied)[6:].tolist())
    assert all({i, i + 6} & last for i in range(3)), "of each pair one is among the last three"


def test_diverse_sequence__groups_are_of_opposites_and_begin_with_the_first_left():
    angles = np.radians([0, 1, 90, 91, 180, 181, 270, 271])
    unit = unit_rows(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    groups = diverse_sequence(unit, 4).reshape(2, 4)
    assert groups[:, 0].tolist() == [0, 1]
    assert [sorted(g // 2 for g in group) for group in groups.tolist()] == [[0, 1, 2, 3]] * 2


def test_diverse_sequence__last_group_may_be_short():
    assert sorted(diverse_sequence(rows(7, 3), 4).tolist()) == list(range(7))
