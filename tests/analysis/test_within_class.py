import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel

from analysis import within_class
from analysis.neighbours import unit_rows
from analysis.within_class import (
    bandwidth,
    draw,
    kernel,
    mean_similarity,
    mmd2,
    mmd2_of_draws,
    range_of,
    similarity_of_draws,
)


def unit(n: int, d: int = 6, seed: int = 0, shift: float = 0.5) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, d)) + shift)


def mean_of_pairs(rows: np.ndarray) -> float:
    return float(np.mean([cosine_similarity([a], [b])[0, 0] for a, b in itertools.combinations(rows.astype(float), 2)]))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(2, 8), st.integers(0, 100))
def test_mean_similarity__equals_the_loop_over_pairs(n, d, seed):
    rows = unit(n, d, seed)
    estimate, each = mean_similarity(rows)
    assert estimate.value == pytest.approx(mean_of_pairs(rows), abs=1e-5)
    others = cosine_similarity(rows)
    np.fill_diagonal(others, 0)
    np.testing.assert_allclose(each, others.sum(axis=1) / (n - 1), atol=1e-5)


def test_mean_similarity__error_is_the_jackknife_by_leaving_out(monkeypatch):
    monkeypatch.setattr(within_class, "ROWS_A_CHUNK", 4)
    rows = unit(9)
    left_out = np.array([mean_of_pairs(np.delete(rows, i, axis=0)) for i in range(9)])
    expected = np.sqrt(8 / 9 * ((left_out - left_out.mean()) ** 2).sum())
    estimate, _ = mean_similarity(rows)
    assert estimate.error == pytest.approx(expected, rel=1e-4)
    assert estimate.high - estimate.value == pytest.approx(2.306 * expected, rel=1e-3)  # Student's t, 8 degrees of freedom


def test_mean_similarity__interval_covers_the_true_value_about_as_often_as_it_says():
    truth, _ = mean_similarity(unit(20_000, seed=1))
    inside = [e.low <= truth.value <= e.high for e in (mean_similarity(unit(20, seed=s))[0] for s in range(2, 302))]
    assert 0.88 <= np.mean(inside) <= 0.99


def test_mean_similarity__too_few():
    assert np.isnan(mean_similarity(unit(1))[0].value) and np.isnan(mean_similarity(unit(1))[1]).all()
    assert np.isnan(mean_similarity(unit(0))[0].value)
    pair, _ = mean_similarity(unit(2))
    assert np.isfinite(pair.value) and np.isnan(pair.low)


def test_mean_similarity__zero_rows_count_as_similar_to_nothing():
    rows = np.vstack([unit(1), unit(1), np.zeros((1, 6))])
    assert mean_similarity(rows)[0].value == pytest.approx(1 / 3, abs=1e-6)


def test_draw__without_repetition_and_even():
    draws = draw(10, 4, 2_000, np.random.default_rng(0))
    assert set(np.unique(draws)) == {0.0, 1.0} and (draws.sum(axis=1) == 4).all()
    np.testing.assert_allclose(draws.mean(axis=0), 0.4, atol=0.05)


def test_similarity_of_draws__equals_each_draw_by_itself():
    rows, draws = unit(12), draw(12, 5, 8, np.random.default_rng(0))
    expected = [mean_of_pairs(rows[chosen.astype(bool)]) for chosen in draws]
    np.testing.assert_allclose(similarity_of_draws(rows, draws), expected, atol=1e-5)


def test_bandwidth__is_the_median_distance():
    rows = unit(9)
    expected = np.median([np.linalg.norm(a - b) for a, b in itertools.combinations(rows, 2)])
    assert bandwidth(rows) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(bandwidth(rows[:1])) and np.isnan(bandwidth(np.repeat(rows[:1], 4, axis=0)))


def test_mmd2__equals_the_sum_over_pairs():
    a, b, width = unit(5), unit(7, seed=3, shift=-0.5), 0.8
    gamma = 1 / (2 * width**2)
    aa, bb, ab = rbf_kernel(a, a, gamma), rbf_kernel(b, b, gamma), rbf_kernel(a, b, gamma)
    expected = (aa.sum() - 5) / 20 + (bb.sum() - 7) / 42 - 2 * ab.mean()
    assert mmd2(a, b, width) == pytest.approx(expected, abs=1e-5)


def test_mmd2__is_zero_on_average_within_one_distribution_and_positive_between_two():
    same = [mmd2(unit(10, seed=s), unit(30, seed=1_000 + s), 1.0) for s in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300) and min(same) < 0
    assert mmd2(unit(10), unit(30, seed=5, shift=-0.5), 1.0) > max(same)


@pytest.mark.parametrize(("n", "m", "width"), [(1, 5, 1.0), (5, 1, 1.0), (5, 5, np.nan)])
def test_mmd2__too_few(n, m, width):
    assert np.isnan(mmd2(unit(n), unit(m), width))


def test_mmd2_of_draws__equals_each_draw_by_itself():
    rows, draws = unit(14), draw(14, 5, 8, np.random.default_rng(0))
    expected = [mmd2(rows[chosen == 1], rows[chosen == 0], 0.9) for chosen in draws]
    np.testing.assert_allclose(mmd2_of_draws(kernel(rows, rows, 0.9), draws), expected, atol=1e-10)


def test_range_of__middle_of_the_values():
    found = range_of(np.arange(101.0))
    assert (found.value, found.low, found.high) == (50, 2.5, 97.5)
    assert np.isnan(range_of(np.zeros(0)).value)
