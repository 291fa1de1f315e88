"""Prior matching against a dense Sinkhorn loop and against shifts that were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from analysis.corrections import correct
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set


def some(n_per_class=(12, 9, 6, 3), seed=0, shift=(2.0, 0.5, 0.0, -1.0)):
    made = made_set(n_per_class, teachers=0)
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (len(made), made.num_classes)) + 2 * np.eye(made.num_classes)[made.labels] + shift
    return replace(made, label_sources={"given": DenseSoftLabels(torch.from_numpy(values).float(), "logits")})


def sinkhorn(logits: np.ndarray, target: np.ndarray, epsilon: float, iterations: int = 5_000) -> np.ndarray:
    """Rows of sum 1 whose columns sum to N target: alternating normalisation of exp(logits / epsilon), as logarithms."""
    plan = logits / epsilon
    for _ in range(iterations):
        plan = plan - logsumexp(plan, axis=0) + np.log(target * len(logits))
        plan = plan - logsumexp(plan, axis=1, keepdims=True)
    return np.exp(plan)


@pytest.mark.parametrize("epsilon", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("target", ["uniform", "own labels", "original counts"])
def test_prior_matching__is_sinkhorn(target, epsilon):
    made = replace(some(), class_counts=np.array([1000, 300, 100, 30]))
    counts = {"uniform": np.ones(4), "own labels": made.per_class, "original counts": made.class_counts}[target]
    corrected = correct("prior_matching", made, target=target, temperature=epsilon)
    found = corrected.logits(np.arange(len(made))).softmax(dim=1).numpy()
    values = made.label_sources["given"].values.double().numpy()
    np.testing.assert_allclose(found, sinkhorn(values, counts / counts.sum(), epsilon), atol=2e-3)
    np.testing.assert_allclose(found.mean(axis=0), counts / counts.sum(), rtol=2e-3)


def test_prior_matching__finds_the_planted_shift():
    """Where a shift of labels that match the target is all that is wrong, its opposite is what is found."""
    values = np.random.default_rng(1).normal(0, 1, (4, 4))
    fair = np.concatenate([np.roll(values, turn, axis=1) for turn in range(4)])
    np.testing.assert_allclose(softmax(fair, axis=1).mean(axis=0), 0.25)
    planted = np.array([1.5, 0.25, -0.75, -1.0])
    made = made_set((4, 4, 4, 4), teachers=0)
    made = replace(made, label_sources={"given": DenseSoftLabels(torch.from_numpy(fair + planted).float(), "logits")})
    np.testing.assert_allclose(correct("prior_matching", made).rescaling.shift, planted, atol=5e-3)


def test_prior_matching__its_figures_are_the_differences():
    made = some()
    corrected = correct("prior_matching", made)
    before, after, passes = (figure.value for figure in corrected.found)
    source = made.label_sources["given"].probabilities(np.arange(len(made))).double().numpy()
    assert before == pytest.approx(np.abs(source.mean(axis=0) - 0.25).max(), abs=1e-6)
    found = corrected.logits(np.arange(len(made))).softmax(dim=1).double().numpy()
    assert after == pytest.approx(np.abs(found.mean(axis=0) - 0.25).max(), abs=1e-6)
    assert after < 5e-4 < 0.05 < before and 2 < passes < 60


def test_prior_matching__labels_that_are_sure_of_one_class_still_reach_the_target():
    made = made_set((30, 2, 2), teachers=0)
    hard = DenseSoftLabels(torch.eye(3)[torch.from_numpy(made.labels)], "probabilities")
    corrected = correct("prior_matching", replace(made, label_sources={"given": hard}))
    found = corrected.logits(np.arange(34)).softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(found.numpy(), 1 / 3, rtol=1e-2)


def test_prior_matching__too_few_passes_are_told():
    corrected = correct("prior_matching", some(), most_passes=2)
    assert any("still off their target" in said for said in corrected.caveats)
    assert not any("still off" in said for said in correct("prior_matching", some()).caveats)


def test_prior_matching__an_empty_class_gets_what_it_is_counted_as():
    made = some((12, 9, 0, 3))
    corrected = correct("prior_matching", made, target="own labels", empty_counts_as=2)
    found = corrected.logits(np.arange(len(made))).softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(found.numpy(), np.array([12, 9, 2, 3]) / 26, rtol=5e-3)
    assert any("had no samples" in said for said in corrected.caveats)


def test_prior_matching__fewer_samples_than_it_takes_are_told():
    assert any("with so few of them" in said for said in correct("prior_matching", some((1, 1, 1, 1))).caveats)
