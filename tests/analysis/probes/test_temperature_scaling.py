"""Temperatures and calibration errors, against brute force."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from analysis.probes.temperature_scaling import expected_calibration_error, fit_temperature


def test_fit_temperature__finds_the_one_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20_000, 4))
    labels = np.array([rng.choice(4, p=row) for row in np.exp(log_softmax(logits / 2.5, axis=1))])
    assert fit_temperature(torch.from_numpy(logits), torch.from_numpy(labels)) == pytest.approx(2.5, rel=0.05)


def test_fit_temperature__equals_a_search_with_one_imagined_sample_a_class_in_equal_parts() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((30, 3)), rng.integers(0, 3, 30)
    logits[np.arange(30), labels] += 1

    def loss(temperature: float) -> float:
        rows = -log_softmax(logits / temperature, axis=1)
        return float((30 / 31 * rows[np.arange(30), labels] + 1 / 31 * rows.mean(axis=1)).mean())

    searched = min(np.geomspace(0.05, 20, 4_000), key=loss)
    assert fit_temperature(torch.from_numpy(logits), torch.from_numpy(labels)) == pytest.approx(searched, rel=0.01)


def test_fit_temperature__right_every_time_is_not_certain() -> None:
    labels = torch.arange(10) % 2
    logits = torch.nn.functional.one_hot(labels).float()
    sure = torch.softmax(logits / fit_temperature(logits, labels), dim=1).max()
    assert 0.9 < float(sure) < 0.99


def test_expected_calibration_error__equals_a_loop() -> None:
    rng = np.random.default_rng(2)
    probabilities, labels = rng.dirichlet(np.ones(3), 200), rng.integers(0, 3, 200)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = expected_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(labels))
    assert found == pytest.approx(expected, abs=1e-9)


def test_expected_calibration_error__sure_and_right_is_none() -> None:
    assert expected_calibration_error(torch.eye(3), torch.arange(3)) == 0
    assert expected_calibration_error(torch.eye(3), (torch.arange(3) + 1) % 3) == 1
