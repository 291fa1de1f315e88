"""Intervals and paired tests against scipy and brute force."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test, t, ttest_rel

from analysis.intervals import mean_interval
from analysis.students.comparison import (
    bootstrap,
    group_accuracies,
    holm,
    over_seeds,
    paired,
    sign_flip_p,
    t_test_p,
)
from analysis.students.task import Marks

LABELS = np.arange(60) % 3


def marks(predictions: np.ndarray, name: str = "made") -> Marks:
    return Marks(name, np.asarray(predictions), pd.DataFrame())


def students(right: float, seeds: int = 5, seed: int = 0, labels: np.ndarray = LABELS) -> Marks:
    rng = np.random.default_rng(seed)
    return marks(np.where(rng.random((seeds, len(labels))) < right, labels, (labels + 1) % 3))


def test_over_seeds__is_students_interval_of_each_column():
    values = np.random.default_rng(1).random((5, 4))
    found = over_seeds(values)
    for column in range(4):
        low, high = mean_interval(values[:, column])
        assert (found.low[column], found.high[column]) == pytest.approx((low, high))
    half = t.interval(0.95, 4, values[:, 0].mean(), values[:, 0].std(ddof=1) / 5**0.5)
    assert (found.low[0], found.high[0]) == pytest.approx(half)


def test_over_seeds__says_nothing_of_two_seeds_or_of_seeds_that_agree():
    few, alike = over_seeds(np.array([0.5, 0.7])), over_seeds(np.full(5, 0.1))
    assert few.mean == pytest.approx(0.6) and np.isnan([few.low, few.high, alike.low, alike.high]).all()


def test_group_accuracies__of_the_images_of_each_group():
    taught, group = students(0.7), np.array([0, 2, 2])
    found = group_accuracies(taught, LABELS, group, 3)
    for seed in range(5):
        of_first = [p == y for p, y in zip(taught.predictions[seed], LABELS, strict=True) if y == 0]
        assert found[seed, 0] == pytest.approx(np.mean(of_first))
    assert np.isnan(found[:, 1]).all(), "no class is medium"


def test_paired__t_test_is_scipys():
    before, after = students(0.6, seed=1), students(0.7, seed=2)
    found = paired(before, after, LABELS)
    oracle = ttest_rel(after.accuracies(LABELS), before.accuracies(LABELS))
    low, high = oracle.confidence_interval(0.95)
    assert found.t_p == pytest.approx(oracle.pvalue)
    assert (float(found.seeds.low), float(found.seeds.high)) == pytest.approx((low, high))
    assert found.difference == pytest.approx((after.accuracies(LABELS) - before.accuracies(LABELS)).mean())


def test_paired__flips_of_seeds_are_scipys_permutation_test():
    before, after = students(0.6, seed=3), students(0.75, seed=4)
    right = [m.accuracies(LABELS) for m in (after, before)]
    oracle = permutation_test(right, lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf)
    assert paired(before, after, LABELS).flip_p == pytest.approx(oracle.pvalue)


def test_paired__one_seed_is_mcnemar_over_images_and_nothing_over_seeds():
    before, after = students(0.5, seeds=1, seed=5), students(0.8, seeds=1, seed=6)
    found = paired(before, after, LABELS)
    won = int(((after.predictions == LABELS) & (before.predictions != LABELS)).sum())
    lost = int(((after.predictions != LABELS) & (before.predictions == LABELS)).sum())
    assert found.images_p == pytest.approx(binomtest(won, won + lost).pvalue)
    assert np.isnan([found.t_p, found.flip_p, float(found.seeds.low)]).all() and not found.sure


def test_paired__the_same_students_do_not_differ():
    taught = students(0.7)
    found = paired(taught, taught, LABELS)
    assert found.difference == 0 and found.flip_p == 1 and found.images_p == 1 and not found.sure
    assert (found.images_low, found.images_high) == (0, 0)


def test_paired__sure_only_beyond_both_kinds_of_chance():
    far = paired(students(0.2, seed=7), students(0.9, seed=8), LABELS)
    assert far.sure and far.difference > 0.5
    three = np.zeros((5, 60), np.int64)
    gained = marks(three + np.r_[LABELS[:1], np.full(59, 9)])  # one image more than none, in every seed but one
    gained.predictions[0, 0] = 9
    none = marks(np.full((5, 60), 9))
    found = paired(none, gained, LABELS)
    assert float(found.seeds.low) > 0 and found.images_low <= 0 and not found.sure


def test_paired__needs_the_same_seeds():
    with pytest.raises(ValueError, match="same seeds"):
        paired(students(0.5, seeds=3), students(0.5, seeds=4), LABELS)


def test_t_test_p__nothing_without_spread():
    assert np.isnan(t_test_p(np.array([0.1, 0.1, 0.1]))) and np.isnan(t_test_p(np.array([0.1, 0.2])))


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
@settings(max_examples=80, deadline=None)
def test_sign_flip_p__is_every_flip_counted(values):
    flips = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=len(values))]
    assert sign_flip_p(np.array(values)) == pytest.approx(np.mean(np.array(flips) >= abs(sum(values))))


def test_sign_flip_p__five_seeds_of_one_sign_reach_a_sixteenth():
    assert sign_flip_p(np.array([3, 5, 8, 1, 2])) == pytest.approx(2 / 2**5)


def test_bootstrap__is_the_spread_of_resampled_means():
    values = np.random.default_rng(2).integers(-5, 6, 400)
    rng = np.random.default_rng(3)
    means = [values[rng.integers(0, 400, 400)].mean() for _ in range(4_000)]
    assert bootstrap(values) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)
    assert bootstrap(values) == bootstrap(values)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_holm__is_the_closed_test_of_bonferroni(p):
    """An hypothesis is rejected where every set of hypotheses that holds it is, by the smallest p times their number."""
    sets = [group for size in range(1, len(p) + 1) for group in combinations(range(len(p)), size)]
    expected = [max(min(1, len(g) * min(p[j] for j in g)) for g in sets if i in g) for i in range(len(p))]
    assert holm(p) == pytest.approx(expected)


def test_holm__what_is_not_known_is_no_test():
    assert holm([np.nan, 0.04]) == pytest.approx([np.nan, 0.04], nan_ok=True)
