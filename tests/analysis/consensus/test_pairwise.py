"""Chance-corrected agreement, against scikit-learn and against the definitions written as loops."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import cohen_kappa_score

from analysis.consensus.pairwise import alpha, alpha_figure, kappa, kappas
from tests.analysis.consensus.crowds import crowd, votes_of


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_kappa__is_scikit_learns(pairs):
    one, other = np.array(pairs).T
    if len(np.unique(pairs)) == 1:
        assert np.isnan(kappa(one, other)[1])
        return
    agreed, value, low, high = kappa(one, other)
    assert value == pytest.approx(cohen_kappa_score(one, other)) and agreed == pytest.approx((one == other).mean())
    assert -1 <= low <= value <= high <= 1


def test_kappas__of_every_pair_with_samples_in_common():
    votes = votes_of([(0, "a", 0), (0, "b", 0), (1, "a", 1), (1, "b", 1), (2, "b", 2), (2, "c", 0), (3, "c", [0.5, 0.5, 0])])
    table = kappas(votes).set_index("pair")
    assert table["n"].to_dict() == {"a and b": 2, "b and c": 1} and table.loc["a and b", "kappa"] == 1


def test_kappas__intervals_cover_the_kappa_of_a_crowd_whose_accuracies_are_known():
    """Two annotators right with 0.9 and 0.7 of 4 equally common classes agree by 0.63 + 0.03 / 3 and by chance 1/4."""
    expected = (0.9 * 0.7 + 0.1 * 0.3 / 3 - 0.25) / 0.75
    held = []
    for seed in range(100):
        row = kappas(votes_of(crowd(150, (0.9, 0.7), seed)[1], 4)).iloc[0]
        held.append(row["kappa_low"] <= expected <= row["kappa_high"])
    assert 0.88 <= np.mean(held) <= 1


def alpha_by_loops(units: list[list[int]]) -> float:
    """1 - D_o / D_e from the coincidences of pairs of values within a unit."""
    pairs = [(a, b, len(unit) - 1) for unit in units if len(unit) > 1 for a, b in permutations(unit, 2)]
    values = [value for unit in units if len(unit) > 1 for value in unit]
    n = len(values)
    observed = sum(1 / m for a, b, m in pairs if a != b) / n
    expected = sum(a != b for a, b in permutations(values, 2)) / (n * (n - 1))
    return 1 - observed / expected


UNITS = st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(UNITS)
def test_alpha__is_the_definition(units):
    counts = sparse.csr_array(np.array([[unit.count(c) for c in range(3)] for unit in units], float))
    paired = {value for unit in units if len(unit) > 1 for value in unit}
    if len(paired) < 2:
        assert np.isnan(alpha(counts))
    else:
        assert alpha(counts) == pytest.approx(alpha_by_loops(units))


def test_alpha__of_the_textbook_example():
    """Krippendorff's worked example, 4 observers of 12 units: nominal alpha is 0.743."""
    observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[int(o[i]) - 1 for o in observers if o[i] != "."] for i in range(12)]
    counts = sparse.csr_array(np.array([[unit.count(c) for c in range(5)] for unit in units], float))
    assert alpha(counts) == pytest.approx(0.743, abs=5e-4)


def test_alpha_figure__says_nothing_without_overlap_or_without_a_second_class():
    assert alpha_figure(votes_of([(0, "a", 0), (1, "b", 1)])).value is None
    same = alpha_figure(votes_of([(0, "a", 1), (0, "b", 1)]))
    assert same.value is None and "chance alone" in same.basis


def test_alpha_figure__its_interval_covers_the_alpha_of_a_known_crowd():
    """Three annotators right with 0.8 of 4 equally common classes agree by 0.64 + 0.04 / 3, by chance 1/4."""
    expected = (0.64 + 0.04 / 3 - 0.25) / 0.75
    held = []
    for seed in range(60):
        figure = alpha_figure(votes_of(crowd(120, (0.8, 0.8, 0.8), seed)[1], 4))
        held.append(figure.low <= expected <= figure.high)
    assert 0.87 <= np.mean(held) <= 1
