"""The solvers against scikit-learn, and against the normal equations written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as RidgeRegression

from analysis.context import Cancelled, Context
from analysis.self_distilling.solvers import Lesson, Linear, Logistic, Ridge, Solver

CLASSES = 3


@pytest.fixture
def folds() -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [1 + 2 * torch.randn(n, 5, generator=rng, dtype=torch.float64) for n in (11, 13, 17)]


@pytest.fixture
def hard(folds: list[torch.Tensor]) -> list[torch.Tensor]:
    return [(fold[:, 0] > 1).long() + (fold[:, 1] > 2).long() for fold in folds]


def soft(folds: list[torch.Tensor]) -> list[torch.Tensor]:
    return [torch.softmax(fold[:, :CLASSES], dim=1) for fold in folds]


def fit(solver: Solver, lesson: Lesson, targets: list[torch.Tensor]) -> Linear:
    return solver.fits([lesson], targets.__getitem__, CLASSES, Context())[0]


def together(parts: list[torch.Tensor], chosen: tuple[int, ...]) -> np.ndarray:
    return torch.cat([parts[fold] for fold in chosen]).numpy()


@pytest.mark.parametrize("chosen", [(0,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_ridge__equals_scikit_learns(folds, hard, chosen, kind):
    targets = hard if kind == "hard" else soft(folds)
    answers = np.eye(CLASSES)[together(hard, chosen)] if kind == "hard" else together(targets, chosen)
    inputs = together(folds, chosen)
    theirs = RidgeRegression(alpha=0.3 * len(inputs)).fit(inputs, answers)
    ours = fit(Ridge(folds, 0.3), Lesson(chosen), targets)
    np.testing.assert_allclose(ours.weights, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.bias, theirs.intercept_, atol=1e-9)


def test_ridge__with_a_held_bias_solves_its_normal_equations(folds, hard):
    inputs, answers = together(folds, (0, 1)), np.eye(CLASSES)[together(hard, (0, 1))]
    bias = np.array([0.2, -0.5, 1.0])
    ours = fit(Ridge(folds, 0.3), Lesson((0, 1), torch.from_numpy(bias)), hard)
    left = inputs.T @ inputs / len(inputs) + 0.3 * np.eye(5)
    np.testing.assert_allclose(ours.weights.T, np.linalg.solve(left, inputs.T @ (answers - bias) / len(inputs)), atol=1e-9)
    np.testing.assert_array_equal(ours.bias, bias)


def test_ridge__held_at_the_bias_it_would_choose_changes_nothing(folds, hard):
    solver = Ridge(folds, 0.3)
    free = fit(solver, Lesson((0, 1, 2)), hard)
    held = fit(solver, Lesson((0, 1, 2), free.bias), hard)
    np.testing.assert_allclose(held.weights, free.weights, atol=1e-9)


def test_logistic__equals_scikit_learns(folds, hard):
    inputs, answers = together(folds, (0, 1, 2)), together(hard, (0, 1, 2))
    theirs = LogisticRegression(C=1 / (0.1 * len(inputs)), tol=1e-10, max_iter=10_000).fit(inputs, answers)
    ours = fit(Logistic(folds, 0.1), Lesson((0, 1, 2)), hard)
    np.testing.assert_allclose(torch.softmax(ours(torch.from_numpy(inputs)), dim=1), theirs.predict_proba(inputs), atol=1e-4)


def test_logistic__of_one_hot_distributions_is_that_of_the_classes(folds, hard):
    solver = Logistic(folds, 0.1)
    one_hot = [torch.eye(CLASSES, dtype=torch.float64)[labels] for labels in hard]
    np.testing.assert_allclose(fit(solver, Lesson((0, 2)), one_hot).weights, fit(solver, Lesson((0, 2)), hard).weights)


def test_logistic__with_a_held_bias_is_where_its_gradient_is_zero(folds, hard):
    bias = torch.tensor([0.2, -0.5, 1.0], dtype=torch.float64)
    ours = fit(Logistic(folds, 0.1), Lesson((0, 1), bias), hard)
    inputs, answers = together(folds, (0, 1)), np.eye(CLASSES)[together(hard, (0, 1))]
    scores = inputs @ ours.weights.numpy().T + bias.numpy()
    predicted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    gradient = (predicted - answers).T @ inputs / len(inputs) + 0.1 * ours.weights.numpy()
    assert np.abs(gradient).max() < 1e-4
    assert torch.equal(ours.bias, bias)


@pytest.mark.parametrize("solver", [Ridge, Logistic])
def test_fits__stop_where_told(folds, hard, solver):
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        solver(folds, 0.1).fits([Lesson((0, 1))], hard.__getitem__, CLASSES, Context(report=stop))
