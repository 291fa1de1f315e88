"""Intervals of ratios over clusters: the textbook's formula in a loop, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from analysis.context import Context
from analysis.registry import run
from analysis.trees.estimates import Clusters, ratio_figure, ratio_interval
from tests.analysis.trees.crop_truth import crop_set
from tests.data.trees import make_tree


def test_ratio_interval__is_cochrans_formula_group_by_group():
    rng = np.random.default_rng(0)
    below = rng.integers(0, 6, 60).astype(float)
    above, groups = below * rng.random(60), rng.integers(0, 4, 60)
    value, low, high = ratio_interval(Clusters(above, below, of_all=40), groups, 5)
    for group in range(4):
        y, x = above[(groups == group) & (below > 0)], below[(groups == group) & (below > 0)]
        n, ratio = len(y), y.sum() / x.sum()
        variance = (
            (1 - n / 40) / (n * x.mean() ** 2) * sum((a - ratio * b) ** 2 for a, b in zip(y, x, strict=True)) / (n - 1)
        )
        assert value[group] == pytest.approx(ratio)
        assert high[group] - ratio == pytest.approx(student.ppf(0.975, n - 1) * np.sqrt(variance))
        assert ratio - low[group] == pytest.approx(high[group] - ratio)
    assert np.isnan([value[4], low[4], high[4]]).all(), "nothing is known of a group without clusters"


def test_ratio_interval__all_clusters_seen_leave_no_error_and_two_tell_of_none():
    above, below = np.array([1.0, 3.0, 2.0]), np.array([4.0, 4.0, 8.0])
    assert [float(bound[0]) for bound in ratio_interval(Clusters(above, below, of_all=3))] == pytest.approx([6 / 16] * 3)
    value, low, high = ratio_interval(Clusters(above[:2], below[:2]))
    assert value[0] == 0.5 and np.isnan([low[0], high[0]]).all()


def test_ratio_interval__holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(1), 0
    for _ in range(2000):
        below = rng.integers(5, 15, 60).astype(float)
        above = rng.binomial(below.astype(int), rng.beta(4, 8, 60)).astype(float)
        sample = rng.permutation(60)[:20]
        _, low, high = ratio_interval(Clusters(above[sample], below[sample], of_all=60))
        held += low[0] <= above.sum() / below.sum() <= high[0]
    assert 0.93 <= held / 2000 <= 0.97


def test_ratio_figure__nothing_to_tell_from():
    assert ratio_figure("x", Clusters(np.zeros(3), np.zeros(3)), "said", 0).value is None


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Trees of 16 epochs with unsure teachers, each seen whole and in 6 epochs."""
    found = []
    for seed in range(12):
        opened = crop_set(make_tree("sre2l", tmp_path_factory.mktemp("tree"), epochs=16, noise=4.0, seed=seed))
        found.append([run("crops", opened, Context("cpu"), epochs=epochs) for epochs in (0, 6)])
    return found


def test_crops__of_some_epochs_say_how_far_off_they_may_be(trees):
    """The bounds of figures from 6 of 16 epochs hold what all 16 say, in about 95 of 100 cases."""
    held = []
    for whole, part in trees:
        for truth, guess in zip(whole.summary, part.summary, strict=True):
            if "interval over epochs" in guess.basis and guess.low is not None:
                assert guess.n < truth.n
                held.append(guess.low <= truth.value <= guess.high)
    assert len(held) >= 36 and np.mean(held) >= 0.85


def test_crops__an_images_error_from_some_epochs_is_as_large_as_it_says(trees):
    """Standardised by it, what images differ from the whole by has a variance of about 1, six crops an image."""
    off = []
    for whole, part in trees:
        error = part.per_sample["p_given_error"].to_numpy()
        off.append((part.per_sample["p_given"] - whole.per_sample["p_given"]).to_numpy() / error)
    off = np.concatenate(off)
    assert np.isfinite(off).all() and 0.6 < np.mean(np.abs(off) < 1) < 0.8
