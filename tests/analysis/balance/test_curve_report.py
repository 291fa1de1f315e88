"""What is told of ADSA's curve."""

from __future__ import annotations

import numpy as np
import torch

from analysis.balance.curve_report import LEAST, SPREAD, TAU, curve_report
from analysis.balance.masses import Balance, masses_of
from analysis.class_groups import group_classes
from analysis.context import Context
from data.soft_labels import DenseSoftLabels

COUNTS = np.array([5000, 800, 300, 90, 40, 10])
TAUS = np.linspace(0, 2, 21)


def report(f: np.ndarray, labels: np.ndarray, counts: np.ndarray = COUNTS, taus: np.ndarray = TAUS):
    soft = DenseSoftLabels(torch.from_numpy(f), "logits")
    group = group_classes(counts, "thirds")
    balance = Balance(labels, counts, group, masses_of(soft, labels, group, 1.0, Context()))
    return curve_report(soft, balance, taus, 1.0, "made", Context())


def clean() -> np.ndarray:
    return np.array([np.roll([3.0, 0.5, 0.2, 0.0, 0.0, 0.0], shift) for shift in range(6)])


def test_curve_report__a_teacher_shifted_by_the_prior_is_found_at_one() -> None:
    found = report(clean() + np.log(COUNTS / COUNTS.sum()), np.arange(6))
    figures = {figure.label: figure for figure in found.figures}
    assert figures[TAU].value == 1.0 and figures[SPREAD].value < 1e-9 and not found.caveats
    spread = found.tables["spread by tau"]
    marked = spread[spread["group"] == LEAST]
    assert len(spread) == len(TAUS) + 1 and marked["tau"].tolist() == [1.0] and spread["spread"].min() < 1e-9
    groups = found.tables["confidence by tau"]
    level = groups[np.isclose(groups["tau"], 1.0)]
    assert set(groups["group"]) == {"head", "medium", "tail"}
    np.testing.assert_allclose(level["confidence"], np.exp(3) / np.exp(clean()[0]).sum(), rtol=1e-9)
    before = groups[groups["tau"] == 0].set_index("group")["confidence"]
    assert before["head"] > before["medium"] > before["tail"]


def test_curve_report__a_minimum_at_an_end_is_said() -> None:
    prior = np.log(COUNTS / COUNTS.sum())
    assert "raise most_tau" in report(clean() + 3 * prior, np.arange(6)).caveats[0]
    assert "do not explain" in report(clean() - prior, np.arange(6)).caveats[0]


def test_curve_report__nothing_to_say() -> None:
    zero = COUNTS.copy()
    zero[5] = 0
    for labels, counts, why in (
        (np.zeros(6, np.int64), COUNTS, "fewer than two classes"),
        (np.arange(6), zero, "1 of 6 classes have an original count of 0"),
        (np.arange(6), np.full(6, 7), "every tau does the same"),
    ):
        found = report(clean(), labels, counts)
        assert found.figures[0].value is None and why in found.figures[0].basis and not found.tables
