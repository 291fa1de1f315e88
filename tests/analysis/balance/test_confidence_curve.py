"""ADSA's curve, against a loop over samples and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from analysis import label_sources
from analysis.balance.confidence_curve import Adjusted, log_prior_of, spread
from analysis.context import Cancelled, Context
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels

TAUS = np.array([-1.0, 0.0, 0.3, 1.0, 2.5])


def logits(values: np.ndarray) -> DenseSoftLabels:
    return DenseSoftLabels(torch.from_numpy(values), "logits")


def curve(labels: SoftLabels, hard: np.ndarray, prior: np.ndarray, taus: np.ndarray = TAUS, temperature: float = 1.0):
    return Adjusted(labels, hard, prior, temperature).class_confidences(taus, Context("cpu"))


def loop(f: np.ndarray, hard: np.ndarray, prior: np.ndarray, taus: np.ndarray, temperature: float) -> np.ndarray:
    means = np.full((len(taus), len(prior)), np.nan)
    for t, tau in enumerate(taus):
        for i in set(hard.tolist()):
            own = []
            for row, label in zip(f, hard, strict=True):
                if label == i:
                    z = (row - tau * prior) / temperature
                    own.append(np.exp(z[i] - logsumexp(z)))
            means[t, i] = np.mean(own)
    return means


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 6), st.integers(1, 12), st.sampled_from([0.05, 0.5, 1.0, 4.0]))
def test_confidence_curve__equals_a_loop_over_samples(seed: int, classes: int, n: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    f, hard = 5 * rng.standard_normal((n, classes)), rng.integers(0, classes, n)
    prior = log_prior_of(rng.integers(1, 10**6, classes))
    found = curve(logits(f), hard, prior, temperature=temperature)
    np.testing.assert_allclose(found, loop(f, hard, prior, TAUS, temperature), rtol=1e-9, atol=1e-12)


def test_confidence_curve__weights_too_far_apart_for_a_product_of_matrices() -> None:
    f, hard = np.array([[3.0, -900.0], [1.0, 2.0]]), np.array([1, 0])
    prior = log_prior_of(np.array([10**6, 1]))
    taus = np.array([0.0, 1.0, 70.0])
    found = curve(logits(f), hard, prior, taus)
    np.testing.assert_allclose(found, loop(f, hard, prior, taus, 1.0), atol=1e-12)
    assert found[2, 1] == pytest.approx(1.0), "an exponent of 967 - 903 wins over 0"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_confidence_curve__a_teacher_shifted_by_the_prior_is_level_at_one(temperature: float) -> None:
    """Every class's clean logits are the same up to a renaming, so that at tau = 1 all classes are equally sure."""
    classes, counts = 5, np.array([5000, 900, 300, 60, 10])
    rows = np.array([np.roll([4.0, 1.0, 0.5, 0.2, 0.0], shift) for shift in range(classes)])
    prior = log_prior_of(counts)
    taus = np.linspace(0, 2, 41)
    spreads = spread(curve(logits(rows + prior), np.arange(classes), prior, taus, temperature))
    assert taus[spreads.argmin()] == 1.0 and spreads.min() < 1e-9 and spreads[0] > 0.05
    level = curve(logits(rows + prior), np.arange(classes), prior, np.array([1.0]), temperature)
    np.testing.assert_allclose(level, softmax(rows / temperature, axis=1).diagonal()[None], rtol=1e-9)


def test_confidence_curve__probabilities_and_their_logarithms_say_the_same() -> None:
    rng = np.random.default_rng(0)
    rows, hard = rng.dirichlet(np.ones(4), 20), rng.integers(0, 4, 20)
    prior = log_prior_of(np.array([1000, 100, 10, 1]))
    as_probabilities = DenseSoftLabels(torch.from_numpy(rows), "probabilities")
    for temperature in (0.5, 1.0, 2.0):
        np.testing.assert_allclose(
            curve(as_probabilities, hard, prior, temperature=temperature),
            curve(logits(np.log(rows)), hard, prior, temperature=temperature),
            rtol=1e-5,
        )


def test_confidence_curve__classes_left_out_of_top_k_stay_near_nothing() -> None:
    kept = TopKSoftLabels(torch.tensor([[0.7, 0.3]]), torch.tensor([[0, 1]]), 4, "probabilities")
    (row,) = curve(kept, np.array([0]), log_prior_of(np.array([4, 4, 1, 1])), np.array([1.0]))
    assert row[0] == pytest.approx(0.7, abs=1e-6) and np.isnan(row[1:]).all()


def test_confidence_curve__binary_scores() -> None:
    held = DenseSoftLabels(torch.tensor([[0.8], [-1.5]]), "scores")
    found = curve(held, np.array([1, 0]), log_prior_of(np.array([9, 1])))
    two = np.log(np.array([[1 - 1 / (1 + np.exp(-s)), 1 / (1 + np.exp(-s))] for s in (0.8, -1.5)]))
    np.testing.assert_allclose(found, curve(logits(two), np.array([1, 0]), log_prior_of(np.array([9, 1]))), rtol=1e-5)


def test_confidence_curve__chunks_change_nothing_and_empty_classes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    f, hard = rng.standard_normal((50, 6)), rng.integers(0, 5, 50)
    prior = log_prior_of(np.arange(1, 7))
    whole = curve(logits(f), hard, prior)
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", 18)
    np.testing.assert_allclose(curve(logits(f), hard, prior), whole, rtol=1e-12)
    assert np.isnan(whole[:, 5]).all()
    np.testing.assert_allclose(spread(whole), whole[:, :5].std(axis=1))


def test_confidence_curve__stops_where_told() -> None:
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        Adjusted(logits(np.eye(2)), np.arange(2), np.zeros(2), 1.0).class_confidences(TAUS, Context(report=stop))


def test_spread__fewer_than_two_classes() -> None:
    assert np.isnan(spread(np.array([[0.5, np.nan], [0.7, np.nan]]))).all()


def test_log_prior_of__a_class_without_images() -> None:
    np.testing.assert_allclose(np.exp(log_prior_of(np.array([3, 1]))), [0.75, 0.25])
    with pytest.raises(ImpossibleRequest, match=r"1 of 3 classes have an original count of 0 \(the first is class 1\)"):
        log_prior_of(np.array([3, 0, 1]))
