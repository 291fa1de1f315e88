from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import rel_entr, softmax

from analysis.budget.codings import Coding, Rows, coded, divergence
from analysis.sources.divergences import entropy

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 4 * torch.randn(50, 12, generator=GENERATOR)
ROWS = Rows(LOGITS, None, 12, "logits")


def scipys(values, temperature=1.0):
    return softmax(values.double().numpy() / temperature, axis=1)


@pytest.mark.parametrize("temperature", [1.0, 20.0])
@pytest.mark.parametrize("k", [1, 3, 11])
def test_coded__top_k_loses_the_logarithm_of_what_it_leaves_out(temperature, k):
    """KL(q ‖ p) = -log(mass of p on the k classes) where q is p on those, renormalised."""
    p = scipys(LOGITS, temperature)
    q = coded(ROWS, Coding(top_k=k)).shares(temperature).dense()
    kept = np.sort(p, axis=1)[:, -k:].sum(axis=1)
    original = ROWS.shares(temperature).dense()
    for found in (divergence(q, original), coded(ROWS, Coding(top_k=k)).shares(temperature).divergence_from(original)):
        np.testing.assert_allclose(found, -np.log(kept), rtol=1e-4, atol=1e-6)
    assert ((q > 0).sum(dim=1) == k).all()


@pytest.mark.parametrize("number", ["float16", "int8"])
def test_divergence__is_scipys(number):
    rows = coded(ROWS, Coding(number=number))
    p, q = scipys(LOGITS), scipys(rows.values)
    found = divergence(rows.shares(1.0).dense(), ROWS.shares(1.0).dense()).numpy()
    np.testing.assert_allclose(found, rel_entr(q, p).sum(axis=1), rtol=2e-3, atol=1e-11)


def test_divergence__of_unlike_distributions_is_scipys():
    a, b = (torch.from_numpy(scipys(LOGITS[part])).float() for part in (slice(0, 25), slice(25, 50)))
    np.testing.assert_allclose(divergence(a, b), stats.entropy(a.double(), b.double(), axis=1), rtol=1e-5)
    np.testing.assert_allclose(entropy(a), stats.entropy(a.double(), axis=1), rtol=1e-5)


def test_divergence__what_is_left_out_costs_nothing_and_what_never_was_costs_everything():
    half, whole = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    assert divergence(half, whole).item() == pytest.approx(np.log(2))
    assert divergence(whole, half).item() == float("inf")


def test_coded__int8_is_within_half_a_step_and_float16_is_numpys():
    eight = coded(ROWS, Coding(number="int8")).values
    step = LOGITS.abs().amax(dim=1, keepdim=True) / 127
    assert ((eight - LOGITS).abs() <= step / 2 + 1e-6).all() and (eight != LOGITS).any()
    np.testing.assert_array_equal(coded(ROWS, Coding(number="float16")).values, LOGITS.numpy().astype(np.float16))


def test_coded__top_k_of_stored_top_k_keeps_the_classes_that_belong_to_the_values():
    values, classes = LOGITS.topk(6, dim=1)
    order = torch.randperm(6, generator=GENERATOR)
    rows = Rows(values[:, order], classes[:, order], 12, "logits")
    small = coded(rows, Coding(top_k=2))
    np.testing.assert_array_equal(small.classes, LOGITS.topk(2, dim=1).indices)
    np.testing.assert_allclose(small.shares(1.0).dense().sum(dim=1), 1, rtol=1e-6)


def test_coded__more_than_there_are_changes_nothing():
    assert torch.equal(coded(ROWS, Coding(top_k=12)).values, LOGITS)
    assert coded(ROWS, Coding(top_k=99)).classes is None


def test_coded__row_of_zeros_survives_int8():
    zeros = Rows(torch.zeros(2, 3), None, 3, "logits")
    assert torch.equal(coded(zeros, Coding(number="int8")).values, torch.zeros(2, 3))


@pytest.mark.parametrize("coding", [Coding(), Coding(top_k=3), Coding(number="int8")])
def test_add_to__is_a_sum_over_each_owners_rows(coding):
    shares = coded(ROWS, coding).shares(2.0)
    owners = torch.randint(0, 4, (50,), generator=GENERATOR)
    total = torch.zeros(4, 12)
    shares.add_to(total, owners, 0.25)
    for owner in range(4):
        expected = 0.25 * shares.dense()[owners == owner].sum(dim=0)
        np.testing.assert_allclose(total[owner], expected, rtol=1e-5, atol=1e-7)
