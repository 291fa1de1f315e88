"""Facts of rows against float64 numpy, for sure, unsure, tied and broken rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.trees.rows import Workspace, row_facts

LOGITS = arrays(np.float16, st.tuples(st.integers(1, 5), st.integers(2, 7)), elements=st.floats(-60, 60, width=16))


def softmax(values: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp((values - values.max(axis=1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@settings(deadline=None, max_examples=200)
@given(LOGITS, st.sampled_from([0.5, 1.0, 20.0]))
def test_row_facts__agree_with_float64(values, temperature):
    p = softmax(values.astype(float), temperature)
    asked = np.arange(len(values)) % values.shape[1]
    facts = row_facts(torch.from_numpy(values), None, "logits", torch.from_numpy(asked), temperature)
    ordered = np.sort(p, axis=1)
    np.testing.assert_array_equal(facts.top, values.argmax(axis=1))
    np.testing.assert_allclose(facts.confidence, ordered[:, -1], atol=2e-6)
    np.testing.assert_allclose(facts.margin, ordered[:, -1] - ordered[:, -2], atol=2e-6)
    np.testing.assert_allclose(facts.given, p[np.arange(len(p)), asked], atol=2e-6)
    np.testing.assert_allclose(facts.entropy, -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(facts.distributions, p, atol=2e-6)
    assert facts.usable.all()


def test_row_facts__top_k_shares_everything_among_those_kept():
    values, indices = torch.tensor([[3.0, 1.0], [0.0, 5.0]]), torch.tensor([[7, 2], [4, 0]], dtype=torch.int16)
    facts = row_facts(values, indices, "logits", torch.tensor([2, 9]))
    p = softmax(values.double().numpy(), 1.0)
    assert facts.top.tolist() == [7, 0]
    np.testing.assert_allclose(facts.given, [p[0, 1], 0], atol=1e-7)
    assert facts.classes.tolist() == indices.tolist()


def test_row_facts__one_value_a_row_is_certain():
    facts = row_facts(torch.tensor([[2.5]]), torch.tensor([[3]]), "logits", torch.tensor([3]))
    assert (facts.confidence.item(), facts.margin.item(), facts.entropy.item(), facts.given.item()) == (1, 1, 0, 1)


def test_row_facts__probabilities():
    rows = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    facts = row_facts(rows, None, "probabilities", torch.tensor([1, -1]))
    np.testing.assert_allclose(facts.entropy, [1.5 * np.log(2), 0], atol=1e-6)
    np.testing.assert_allclose(facts.margin, [0.25, 1])
    assert facts.given.tolist() == [0.25, 0.0]


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_row_facts__rows_without_a_distribution_are_told_apart(kind):
    rows = torch.tensor([[1.0, 0.0], [np.nan, 0.0], [np.inf, 0.0]])
    assert row_facts(rows, None, kind, torch.zeros(3, dtype=torch.long)).usable.tolist() == [True, False, False]


def test_row_facts__minus_infinity_is_a_class_without_probability():
    facts = row_facts(torch.tensor([[0.0, -np.inf, 0.0]]), None, "logits", torch.tensor([1]))
    assert facts.given.item() == 0 and facts.usable.all()
    assert facts.entropy.item() == pytest.approx(np.log(2), abs=1e-6)


def test_row_facts__a_used_workspace_changes_nothing():
    workspace, generator = Workspace(), torch.Generator().manual_seed(0)
    for shape in [(6, 5), (2, 5), (6, 9), (1, 3)]:
        values = torch.randn(shape, generator=generator).half()
        asked = torch.zeros(len(values), dtype=torch.long)
        plain, again = (row_facts(values, None, "logits", asked, 2.0, room) for room in (None, workspace))
        for name in ("top", "confidence", "margin", "entropy", "given", "distributions"):
            assert torch.equal(getattr(plain, name), getattr(again, name)), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_row_facts__devices_agree(kind):
    values = torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    values, asked = (values.softmax(1) if kind == "probabilities" else values.half()), torch.arange(64)
    here, there = (row_facts(values.to(d), None, kind, asked.to(d)) for d in ("cpu", "cuda"))
    assert torch.equal(here.top, there.top.cpu())
    for name in ("confidence", "margin", "entropy", "given"):
        torch.testing.assert_close(getattr(here, name), getattr(there, name).cpu(), atol=1e-5, rtol=0)
