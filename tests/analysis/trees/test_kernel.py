"""The compiled pass over rows against float64 numpy and against the same on torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.trees.facts import BatchFacts
from analysis.trees.kernel import LogitSums, entropies
from analysis.trees.rows import row_facts

HALVES = arrays(np.float16, st.tuples(st.integers(1, 6), st.integers(1, 40)), elements=st.floats(width=16))
"""Every float16, infinite, subnormal and NaN of either sign too."""


def added(values, asked=None, slots=None, own=1.0, temperature=1.0, threads=2, sums=None):
    n = len(values)
    asked, slots = np.zeros(n, np.int64) if asked is None else asked, np.arange(n) if slots is None else slots
    sums = np.zeros((n, values.shape[1]), np.float32) if sums is None else sums
    kernel = LogitSums(sums, temperature, threads)
    facts = kernel.begin(values, asked, slots, own, BatchFacts)()
    kernel.close()
    return facts, sums


def softmax(values, temperature=1.0):
    powers = np.exp((values - values.max(axis=1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@settings(deadline=None, max_examples=300)
@given(HALVES, st.sampled_from([0.5, 1.0, 20.0]), st.sampled_from([np.float16, np.float32]))
def test_begin__agrees_with_float64(values, temperature, dtype):
    asked = np.arange(len(values)) % values.shape[1]
    facts, sums = added(values.astype(dtype), asked, temperature=temperature)
    wide = values.astype(float)
    usable = np.isfinite(wide).all(axis=1)
    assert np.isnan(np.stack(facts[1:])[:, ~usable]).all() and not sums[~usable].any()
    p, asked = softmax(wide[usable], temperature), asked[usable]
    ordered = np.sort(np.column_stack([np.zeros(len(p)), p]), axis=1)
    np.testing.assert_array_equal(facts.top[usable], wide[usable].argmax(axis=1))
    np.testing.assert_allclose(facts.confidence[usable], ordered[:, -1], atol=2e-6)
    np.testing.assert_allclose(facts.margin[usable], ordered[:, -1] - ordered[:, -2], atol=2e-6)
    np.testing.assert_allclose(facts.given[usable], p[np.arange(len(p)), asked], atol=2e-6)
    np.testing.assert_allclose(facts.entropy[usable], -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(sums[usable], p, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_begin__agrees_with_torch(dtype):
    values = (4 * torch.randn(200, 333, generator=torch.Generator().manual_seed(0))).to(dtype)
    asked = torch.arange(200) - 3
    theirs, (ours, sums) = row_facts(values, None, "logits", asked), added(values.numpy(), asked.numpy())
    np.testing.assert_array_equal(ours.top, theirs.top)
    for name in ("confidence", "margin", "entropy", "given"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=3e-6, err_msg=name)
    np.testing.assert_allclose(sums, theirs.distributions, atol=2e-6)


def test_begin__sums_are_by_slot_weighted_and_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    values, slots = rng.normal(0, 3, (500, 21)).astype(np.float16), rng.integers(-1, 7, 500)
    expected = np.zeros((7, 21))
    np.add.at(expected, slots[slots >= 0], 0.25 * softmax(values.astype(float))[slots >= 0])
    found = [added(values, slots=slots, own=0.25, threads=n, sums=np.zeros((7, 21), np.float32)) for n in (1, 2, 5)]
    np.testing.assert_allclose(found[0][1], expected, rtol=1e-5)
    for facts, sums in found[1:]:
        np.testing.assert_array_equal(sums, found[0][1])
        np.testing.assert_array_equal(np.stack(facts), np.stack(found[0][0]))


def test_begin__the_largest_at_either_end_and_ties():
    values = np.array([[5, 1, 2], [1, 2, 5], [2, 2, 1], [3, 3, 3]], np.float16)
    facts, _ = added(values)
    assert facts.top.tolist() == [0, 2, 0, 0]
    np.testing.assert_allclose(facts.margin[2:], 0, atol=1e-7)
    p = np.sort(softmax(values.astype(float)), axis=1)
    np.testing.assert_allclose(facts.margin, p[:, -1] - p[:, -2], atol=1e-6)


def test_begin__several_batches_begun_before_the_first_is_asked_for():
    rng = np.random.default_rng(1)
    batches = [rng.normal(0, 3, (40, 9)).astype(np.float32) for _ in range(20)]
    slots = rng.integers(0, 5, (20, 40))
    sums = np.zeros((5, 9), np.float32)
    kernel = LogitSums(sums, 1.0, 2)
    asked = np.zeros(40, np.int64)
    begun = [kernel.begin(rows, asked, at, 1.0, BatchFacts) for rows, at in zip(batches, slots, strict=True)]
    found = [ended() for ended in begun]
    kernel.close()
    for rows, facts in zip(batches, found, strict=True):
        np.testing.assert_allclose(facts.confidence, softmax(rows.astype(float)).max(axis=1), atol=2e-6)
    expected = np.zeros((5, 9))
    np.add.at(expected, slots.ravel(), softmax(np.concatenate(batches).astype(float)))
    np.testing.assert_allclose(sums, expected, rtol=1e-5)


@settings(deadline=None, max_examples=200)
@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 60)), elements=st.floats(0, 1000, width=32)))
def test_entropies__agree_with_float64(sums):
    sums[:, 0] += 1
    p = sums.astype(float) / sums.sum(axis=1, keepdims=True, dtype=float)
    expected = -np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0).sum(axis=1)
    slots = np.arange(len(sums))[::-1]
    np.testing.assert_allclose(entropies(sums, slots), expected[slots], atol=5e-6)
