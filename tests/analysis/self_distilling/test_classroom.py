"""Folds, first lessons, features and temperatures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as RidgeRegression
from torch.nn.functional import cross_entropy

from analysis.self_distilling.classroom import mixed, seated
from analysis.self_distilling.features import prepared
from analysis.self_distilling.sharpness import sharpness
from data.errors import ImpossibleRequest


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=2, max_size=10), st.integers(3, 8))
def test_seated__every_image_sits_once_and_no_class_in_one_fold_only(sizes, folds):
    classes = np.repeat(np.arange(len(sizes)), sizes)
    if (np.array(sizes) >= 2).sum() < 2:
        with pytest.raises(ImpossibleRequest):
            seated(classes, folds, True)
        return
    seating = seated(classes, folds, True)
    assert sorted([*seating.ids.tolist(), *seating.left_out.tolist()]) == list(range(len(classes)))
    assert len(seating.sizes) >= 3 and all(len(ids) for ids in seating.folds)
    assert (np.bincount(classes)[classes[seating.left_out]] == 1).all()
    for held in np.unique(classes[seating.ids]):
        assert len(np.unique(seating.fold_of[classes[seating.ids] == held])) >= 2


def test_seated__uncrossed_is_one_fold_of_all():
    seating = seated(np.array([0, 1, 2]), 5, False)
    assert seating.sizes == (3,) and seating.ids.tolist() == [0, 1, 2] and not len(seating.left_out)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.integers(0, 100))
def test_mixed__softmax_is_the_mixture(weight, seed):
    said, held = torch.softmax(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(seed)), dim=2)
    expected = (1 - weight) * said + weight * held
    np.testing.assert_allclose(torch.softmax(mixed(said, held, weight), dim=1), expected, atol=1e-6)


def test_mixed__of_one_hot_labels_is_finite():
    assert torch.isfinite(mixed(torch.eye(3), torch.eye(3), 0.5)).all()


def test_prepared__more_features_than_images_lose_nothing():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((12, 40)) * rng.uniform(0.1, 9, 40) + 3
    vectors[:, 7] = 2.0
    ids = rng.permutation(12)[:10]
    rows = vectors[ids]
    deviation = rows.std(axis=0)
    scaled = (rows - rows.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    ours = prepared(vectors, ids).numpy()
    assert ours.shape == (10, 10)
    answers = rng.standard_normal(7)
    whole, rotated = (RidgeRegression(alpha=2.0).fit(x[:7], answers).predict(x) for x in (scaled, ours))
    np.testing.assert_allclose(rotated, whole, atol=1e-4)


def test_prepared__fewer_features_are_put_on_one_scale():
    vectors = np.random.default_rng(0).standard_normal((50, 3)) * [1, 10, 0] + 5
    rows = prepared(vectors, np.arange(50)).numpy()
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), [1, 1, 0], atol=1e-5)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
def test_sharpness__is_the_best_of_a_fine_grid_at_any_scale(scale):
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(300, 4, generator=rng, dtype=torch.float64)
    classes = torch.distributions.Categorical(logits=2 * scores).sample()
    temperature, loss = sharpness(lambda place: scale * scores[100 * place : 100 * (place + 1)], classes.split(100))
    grid = np.exp(np.linspace(-4, 4, 801))
    losses = [float(cross_entropy(scores / t, classes)) for t in grid]
    assert temperature / scale == pytest.approx(grid[int(np.argmin(losses))], rel=0.03)
    assert loss == pytest.approx(min(losses), abs=1e-3)
