"""The posterior of a label, against a fine grid in plain loops and against sets whose noise is known."""

import numpy as np
import pytest
import torch
from scipy.stats import beta, norm

from analysis.confident.rows import Rows
from analysis.judging.posterior import LOG_TEMPERATURE, NOISE_PRIOR, LabelPosterior, label_posterior
from analysis.judging.row_shortlist import shortlist
from data.soft_labels import DenseSoftLabels


def posterior(probabilities: np.ndarray, labels: np.ndarray) -> LabelPosterior:
    rows = Rows(DenseSoftLabels(torch.from_numpy(probabilities), "probabilities"), torch.device("cpu"))
    listed = shortlist(labels, rows)
    even = np.full((len(listed), listed.classes.shape[1] - 1), 1 / (listed.num_classes - 1))
    return label_posterior(listed, np.zeros(listed.classes.shape), even)


def by_loops(probabilities: np.ndarray, labels: np.ndarray, temperatures: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """P(label right) of each sample, summed over every node of a grid that is even in log T and in the rate."""
    classes = probabilities.shape[1]
    total, right = 0.0, np.zeros(len(labels))
    for log_t in temperatures:
        q = probabilities ** (1 / np.exp(log_t))
        mine = (q / q.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]
        prior = norm.pdf(log_t, *LOG_TEMPERATURE)
        for e, density in zip(rates, beta.pdf(rates, *NOISE_PRIOR), strict=True):
            as_is, wrong = (1 - e) * mine, e * (1 - mine) / (classes - 1)
            weight = prior * density * np.prod(as_is + wrong)
            total += weight
            right += weight * as_is / (as_is + wrong)
    return right / total


@pytest.mark.parametrize("n", [1, 4, 12])
@pytest.mark.parametrize("classes", [2, 5, 40])
def test_label_posterior__equals_a_fine_grid(n: int, classes: int) -> None:
    rng = np.random.default_rng((n, classes))
    probabilities = rng.dirichlet(np.full(classes, 0.2), n) + 1e-5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.where(rng.random(n) < 0.3, rng.integers(0, classes, n), probabilities.argmax(axis=1))
    found = posterior(probabilities, labels)
    expected = by_loops(probabilities, labels, np.linspace(np.log(0.4), np.log(12), 50), np.linspace(0.002, 0.7, 80))
    np.testing.assert_allclose(found.right, expected, atol=0.02)
    assert ((found.low <= found.right + 1e-9) & (found.right <= found.high + 1e-9)).all()


@pytest.mark.parametrize("sharpened", [1.0, 3.0])
@pytest.mark.parametrize("rate", [0.03, 0.2])
def test_label_posterior__finds_temperature_and_noise_of_a_large_set(sharpened: float, rate: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20_000, 6))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(0, 5)
    wrong = rng.random(20_000) < rate
    labels = np.where(wrong, (labels + rng.integers(1, 6, 20_000)) % 6, labels)
    told = np.exp(sharpened * logits)
    found = posterior(told / told.sum(axis=1, keepdims=True), labels)
    assert found.temperature == pytest.approx(sharpened, rel=0.1)
    assert found.noise_low - 0.01 < rate < found.noise_high + 0.01
    in_tens = np.digitize(found.right, np.linspace(0, 1, 11)[1:-1])
    for tenth in range(10):
        here = in_tens == tenth
        if here.sum() > 200:
            assert (~wrong[here]).mean() == pytest.approx(found.right[here].mean(), abs=0.06), "calibrated"
