"""The interval of tau, against taus found anew on other sets drawn alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.balance import tau_interval as module
from analysis.balance.confidence_curve import Adjusted, log_prior_of, spread
from analysis.balance.tau_interval import can_be_drawn, tau_interval_of
from analysis.context import Context
from data.soft_labels import DenseSoftLabels

COUNTS = np.array([1_000, 300, 100, 30, 10])
PRIOR = log_prior_of(COUNTS)
TAUS = np.linspace(0, 3, 31)


def drawn(seed: int, each: int = 20) -> tuple[DenseSoftLabels, np.ndarray]:
    """A fair teacher's noisy logits, shifted by the long tail's prior: tau is 1 but for the noise."""
    rng, hard = np.random.default_rng(seed), np.repeat(np.arange(len(COUNTS)), each)
    values = 4 * np.eye(len(COUNTS))[hard] + rng.normal(0, 2, (len(hard), len(COUNTS))) + PRIOR
    return DenseSoftLabels(torch.from_numpy(values), "logits"), hard


def interval(labels: DenseSoftLabels, hard: np.ndarray) -> tuple:
    return tau_interval_of(Adjusted(labels, hard, PRIOR, 1.0), TAUS, Context("cpu"))


def best(seed: int) -> float:
    labels, hard = drawn(seed)
    return float(TAUS[spread(Adjusted(labels, hard, PRIOR, 1.0).class_confidences(TAUS, Context("cpu"))).argmin()])


def test_tau_interval__holds_what_many_sets_would_give_and_is_as_wide_as_they_spread() -> None:
    elsewhere = [best(seed) for seed in range(100, 200)]
    low, high = np.transpose([interval(*drawn(seed)) for seed in range(20)])
    middle = np.median(elsewhere)
    assert ((low <= middle) & (middle <= high)).mean() >= 0.8
    width = np.quantile(elsewhere, 0.975) - np.quantile(elsewhere, 0.025)
    assert 0.5 * width < np.median(high - low) < 2 * width


def test_tau_interval__more_samples_narrow_it() -> None:
    few, many = interval(*drawn(1, each=8)), interval(*drawn(1, each=200))
    assert many[1] - many[0] < 0.6 * (few[1] - few[0])


def test_tau_interval__order_and_empty_classes_do_not_matter() -> None:
    labels, hard = drawn(2)
    reverse = np.arange(len(hard))[::-1].copy()
    assert interval(labels.take(reverse), hard[reverse]) == pytest.approx(interval(labels, hard), abs=0.35)
    kept = np.flatnonzero(hard != 2)
    assert interval(labels.take(kept), hard[kept])[0] is not None


def test_can_be_drawn__too_few_of_a_class_or_too_many_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert interval(*drawn(0, each=2)) == (None, None)
    assert can_be_drawn(np.repeat([0, 4], 3))
    monkeypatch.setattr(module, "MOST_SAMPLES", 5)
    assert not can_be_drawn(np.repeat([0, 4], 3))
