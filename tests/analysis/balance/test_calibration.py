"""Calibration and evenness, against torchmetrics-like loops over samples and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from analysis.balance.calibration import (
    agreement_caveat,
    calibration_figures,
    group_error,
    reliability_table,
)
from analysis.balance.masses import Balance, Masses
from analysis.context import Context
from analysis.findings import Figure
from analysis.probes.temperature_scaling import calibration_error


def balance(rows: np.ndarray, labels: np.ndarray) -> Balance:
    n, classes = rows.shape
    masses = Masses(
        rows[np.arange(n), labels], np.zeros((n, 3)), rows.argmax(axis=1), rows.max(axis=1), rows.sum(axis=0), None
    )
    return Balance(labels, np.arange(classes, 0, -1), np.arange(classes) * 3 // classes, masses)


def figures(held: Balance, bins: int = 15) -> dict[str, Figure]:
    return {figure.label: figure for figure in calibration_figures(held, bins, "made", Context())}


def loop_error(rows: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Guo et al., equation 3, bin by bin: (low, high]."""
    confidence, right = rows.max(axis=1), rows.argmax(axis=1) == labels
    error = 0.0
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins]
        if inside:
            error += len(inside) / len(rows) * abs(np.mean(right[inside]) - np.mean(confidence[inside]))
    return error


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 5), st.integers(2, 20))
def test_calibration_error__equals_a_loop_over_bins(seed: int, classes: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    rows, labels = rng.dirichlet(np.full(classes, 0.4), 60), rng.integers(0, classes, 60)
    held = balance(rows, labels)
    expected = loop_error(rows, labels, bins)
    assert calibration_error(held.masses.peak, held.right.astype(float), bins) == pytest.approx(expected, abs=1e-12)
    table = reliability_table(held, bins)
    assert (table["gap"].abs() * table["samples"]).sum() / 60 == pytest.approx(expected, abs=1e-12)
    assert table["samples"].sum() == 60


def test_reliability_table__is_scikit_learns_curve() -> None:
    rng = np.random.default_rng(3)
    rows, labels = rng.dirichlet(np.full(4, 0.5), 300), rng.integers(0, 4, 300)
    held = balance(rows, labels)
    accuracy, confidence = calibration_curve(held.right, held.masses.peak, n_bins=10, strategy="uniform")
    table = reliability_table(held, 10)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], confidence)


def test_calibration_figures__calibrated_labels_and_overconfident_ones() -> None:
    """Labels drawn from the soft labels themselves are calibrated; drawn evenly they are not."""
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(5, 0.3), 4_000)
    drawn = (rows.cumsum(axis=1) < rng.random((4_000, 1))).sum(axis=1).clip(0, 4)
    good = figures(balance(rows, drawn))["Expected calibration error"]
    assert good.value < 0.03 and good.low >= 0 and "hard labels" in good.basis
    bad = figures(balance(rows, rng.integers(0, 5, 4_000)))["Expected calibration error"]
    assert bad.value == pytest.approx(rows.max(axis=1).mean() - 0.2, abs=0.03) and bad.low < bad.value < bad.high


def test_calibration_figures__the_interval_covers_what_other_draws_give() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(40):
        rows = rng.dirichlet(np.full(3, 0.3), 150)
        found.append(figures(balance(rows, rng.integers(0, 3, 150)), bins=5)["Expected calibration error"])
    half = np.mean([figure.high - figure.value for figure in found])
    assert half == pytest.approx(1.96 * np.std([figure.value for figure in found]), rel=0.35)


def test_calibration_figures__evenness_by_hand() -> None:
    """Class 0: right 3 of 4, own mass 0.6; class 1: right 1 of 4, own mass 0.2."""
    rows = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.95, 0.05], [0.9, 0.1], [0.45, 0.55]])
    labels = np.repeat([0, 1], 4)
    found = figures(balance(rows, labels))
    assert found["Most probable class is the hard label"].value == 0.5
    assert found["NSD of class accuracy"].value == pytest.approx(0.25 / 0.5)
    assert found["NSD of class confidence"].value == pytest.approx(0.2 / 0.4)
    assert "fewer than 30 samples" in found["Expected calibration error"].basis
    assert found["NSD of class accuracy"].low is None, "in some draws nothing is right"
    assert "0 by 0" in found["NSD of class accuracy"].basis
    confidence = found["NSD of class confidence"]
    assert confidence.low < confidence.value < confidence.high


def test_calibration_figures__too_few_to_say() -> None:
    found = figures(balance(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1])))
    assert found["NSD of class accuracy"].value == 0 and found["NSD of class accuracy"].low is None
    assert "fewer than 3 samples" in found["NSD of class accuracy"].basis
    alone = figures(balance(np.array([[0.9, 0.1]]), np.array([0])))["NSD of class confidence"]
    assert alone.value is None and alone.basis == "fewer than two classes have samples"
    wrong = figures(balance(np.array([[0.1, 0.9], [0.9, 0.1]]), np.array([0, 1])))["NSD of class accuracy"]
    assert wrong.value is None and "is 0" in wrong.basis


def test_group_error__only_where_there_are_enough() -> None:
    rows = np.tile([[0.8, 0.2]], (40, 1))
    held = balance(rows, np.repeat([0, 1], [30, 10]))
    assert group_error(held, held.labels == 0, 10) == pytest.approx(0.2)
    assert np.isnan(group_error(held, held.labels == 1, 10))


def test_agreement_caveat__labels_that_never_differ() -> None:
    rows = np.array([[0.8, 0.2], [0.3, 0.7]])
    assert "no evidence" in agreement_caveat(balance(rows, np.array([0, 1])))[0]
    assert agreement_caveat(balance(rows, np.array([0, 0]))) == ()
