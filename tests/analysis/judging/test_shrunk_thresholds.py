"""Shrunk thresholds, against loops that leave each sample out and against the closed form of one-way variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.judging.shrunk_thresholds import LEAST_WEIGHT, MOST_WEIGHT, estimated_pool_weight, shrink

SAMPLES = st.lists(st.tuples(st.integers(0, 4), st.floats(0.05, 1), st.floats(0.1, 1)), min_size=1, max_size=25)


@given(SAMPLES, st.floats(0.5, 50))
def test_shrink__equals_leaving_each_sample_out(samples: list[tuple[int, float, float]], strength: float) -> None:
    labels, own, weights = (np.array(column) for column in zip(*samples, strict=True))
    found = shrink(labels, own, weights, 5, strength)
    pooled = sum(w * s for _, s, w in samples) / sum(w for _, _, w in samples)
    assert found.pooled == pytest.approx(pooled)
    for i, (label, _, _) in enumerate(samples):
        others = [(s, w) for j, (k, s, w) in enumerate(samples) if k == label and j != i]
        expected = (sum(w * s for s, w in others) + strength * pooled) / (sum(w for _, w in others) + strength)
        assert found.left_out[i] == pytest.approx(expected)
    for k in range(5):
        members = [(s, w) for label, s, w in samples if label == k]
        expected = (sum(w * s for s, w in members) + strength * pooled) / (sum(w for _, w in members) + strength)
        assert found.by_class[k] == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_shrink__one_image_a_class_leans_wholly_on_the_pool(own: list[float]) -> None:
    found = shrink(np.arange(len(own)), np.array(own), np.ones(len(own)), len(own))
    assert found.pool_weight == MOST_WEIGHT
    np.testing.assert_allclose(found.own_offsets, 0, atol=1e-12)


@pytest.mark.parametrize(("between", "within"), [(0.1, 0.1), (0.15, 0.1), (0.05, 0.15)])
def test_estimated_pool_weight__recovers_the_ratio_of_variances(between: float, within: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2000), 20)
    own = 0.5 + between * rng.standard_normal(2000)[labels] + within * rng.standard_normal(40_000)
    weight = estimated_pool_weight(labels, own, np.ones(40_000), 2000)
    assert weight == pytest.approx(max(LEAST_WEIGHT, within**2 / between**2), rel=0.15)


def test_estimated_pool_weight__no_difference_between_classes() -> None:
    kept = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 10, 30)
        kept += estimated_pool_weight(labels, rng.uniform(0, 1, 30), np.ones(30), 10) < MOST_WEIGHT
    assert kept < 20, "chance must not pass for a difference in more than a tenth of sets"
