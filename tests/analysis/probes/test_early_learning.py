"""ELR's loss, gradient and targets, against loops and the paper's own gradient."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.probes.early_learning import elr_loss, moved_targets


def drawn(n: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, classes, generator=draw, dtype=torch.float64)
    targets = torch.softmax(torch.randn(n, classes, generator=draw, dtype=torch.float64), dim=1)
    return logits, torch.randint(classes, (n,), generator=draw), targets


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


@given(st.integers(1, 6), st.integers(2, 5), st.floats(0, 10), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_elr_loss__equals_a_loop(n: int, classes: int, weight: float, seed: int) -> None:
    logits, labels, targets = drawn(n, classes, seed)
    expected = 0.0
    for row, label, target in zip(logits.tolist(), labels.tolist(), targets.tolist(), strict=True):
        p = softmax(row)
        agreement = sum(a * b for a, b in zip(p, target, strict=True))
        expected += (-math.log(p[label]) + weight * math.log(1 - agreement)) / n
    assert float(elr_loss(logits, labels, targets, weight)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.integers(1, 6), st.integers(2, 5), st.floats(0, 10), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_elr_loss__gradient_equals_the_papers(n: int, classes: int, weight: float, seed: int) -> None:
    """Lemma 2: p - y + lambda g, g_c = p_c / (1 - <p, t>) * sum over k of (t_k - t_c) p_k."""
    logits, labels, targets = drawn(n, classes, seed)
    logits.requires_grad_()
    elr_loss(logits, labels, targets, weight).backward()
    for i in range(n):
        p, t = softmax(logits[i].tolist()), targets[i].tolist()
        agreement = sum(a * b for a, b in zip(p, t, strict=True))
        for c in range(classes):
            g = p[c] / (1 - agreement) * sum((t[k] - t[c]) * p[k] for k in range(classes))
            expected = (p[c] - float(c == labels[i]) + weight * g) / n
            assert float(logits.grad[i, c]) == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_elr_loss__without_weight_is_cross_entropy() -> None:
    logits, labels, targets = drawn(5, 3, 0)
    assert float(elr_loss(logits, labels, targets, 0)) == float(torch.nn.functional.cross_entropy(logits, labels))


def test_elr_loss__stays_finite_where_all_is_certain() -> None:
    logits = torch.tensor([[100.0, -100.0]], requires_grad=True)
    loss = elr_loss(logits, torch.tensor([1]), torch.tensor([[1.0, 0.0]]), 3.0)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_moved_targets__are_a_running_mean_without_gradient() -> None:
    rng = np.random.default_rng(0)
    seen = rng.dirichlet(np.ones(4), (6, 3))
    targets = torch.zeros(3, 4, dtype=torch.float64)
    for probabilities in seen:
        targets = moved_targets(targets, torch.from_numpy(probabilities).requires_grad_(), 0.7)
    expected = sum(0.3 * 0.7 ** (5 - i) * seen[i] for i in range(6))
    np.testing.assert_allclose(targets.numpy(), expected, atol=1e-12)
    assert not targets.requires_grad
