"""Soft-label arithmetic against closed forms, SciPy and plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax

from data.soft_labels import (
    DenseSoftLabels,
    TopKSoftLabels,
    detect_kind,
    detect_top_k_kind,
    hard_labels,
    to_probabilities,
)

REALS = st.floats(-50, 50, width=32)
TEMPERATURES = st.floats(0.1, 20)
ROWS = st.tuples(st.integers(1, 6), st.integers(2, 7)).flatmap(lambda shape: arrays(np.float32, shape, elements=REALS))


@settings(max_examples=60, deadline=None)
@given(ROWS, TEMPERATURES, st.sampled_from(["logits", "scores"]))
def test_to_probabilities__logits_and_scores_are_scipys_softmax(rows, temperature, kind):
    found = to_probabilities(torch.from_numpy(rows), kind, temperature)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), softmax(rows.astype(float) / temperature, axis=1), atol=2e-5)


@settings(max_examples=60, deadline=None)
@given(ROWS, TEMPERATURES)
def test_to_probabilities__a_temperature_on_probabilities_equals_one_on_the_logits_behind_them(rows, temperature):
    probabilities = torch.from_numpy(softmax(rows.astype(float) / 10, axis=1)).float()
    expected = softmax(rows.astype(float) / 10 / temperature, axis=1)
    np.testing.assert_allclose(to_probabilities(probabilities, "probabilities", temperature).numpy(), expected, atol=2e-4)


@settings(max_examples=60, deadline=None)
@given(ROWS, TEMPERATURES, st.sampled_from(["logits", "scores", "probabilities"]))
def test_to_probabilities__rows_sum_to_one(rows, temperature, kind):
    values = torch.from_numpy(np.abs(rows) if kind == "probabilities" else rows)
    found = to_probabilities(values, kind, temperature)
    assert bool((found >= 0).all())
    np.testing.assert_allclose(found.sum(dim=1).numpy(), 1, atol=1e-5)


def test_to_probabilities__normalised_rows_stay_as_they_are():
    rows = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    assert torch.equal(to_probabilities(rows, "probabilities"), rows)


def test_to_probabilities__tiny_probabilities_do_not_vanish_at_a_low_temperature():
    rows = torch.tensor([[2e-9, 1e-9]])
    np.testing.assert_allclose(to_probabilities(rows, "probabilities", 0.1).numpy(), [[1024 / 1025, 1 / 1025]], rtol=1e-4)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_to_probabilities__a_broken_row_is_no_uniform_one(broken, temperature):
    rows = torch.tensor([[0.5, 0.5], [broken, 0.5], [0.0, 0.0]])
    found = to_probabilities(rows, "probabilities", temperature)
    assert found[0].tolist() == found[2].tolist() == [0.5, 0.5] and bool(found[1].isnan().any())


def test_to_probabilities__one_column_is_a_sigmoid():
    rows = torch.tensor([[1.47], [-0.58], [0.0]])
    found = to_probabilities(rows, "scores", 2.0).numpy()
    np.testing.assert_allclose(found[:, 1], expit(rows[:, 0].numpy() / 2), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_to_probabilities__impossible_temperature(temperature):
    with pytest.raises(ValueError, match="positive"):
        to_probabilities(torch.zeros(1, 2), "logits", temperature)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], "probabilities"),
        ([[0.2, 0.8005], [1.0, 0.0]], "probabilities"),
        ([[0.2, 0.9], [1.0, 0.0]], "logits"),
        ([[-0.1, 1.1], [1.0, 0.0]], "logits"),
        ([[3.0, 4.0], [1.0, 0.0]], "logits"),
        ([[1.47], [-0.58]], "scores"),
    ],
)
def test_detect_kind(rows, kind):
    assert detect_kind(torch.tensor(rows)) == kind


def test_detect_kind__the_last_of_many_rows_counts(monkeypatch):
    monkeypatch.setattr("data.soft_labels.VALUES_A_CHUNK", 8)
    rows = torch.full((10, 2), 0.5)
    assert detect_kind(rows) == "probabilities"
    rows[9, 0] = 0.7
    assert detect_kind(rows) == "logits"


@pytest.mark.parametrize(
    ("rows", "kind"), [([[0.6, 0.1]], "probabilities"), ([[0.9, 0.4]], "logits"), ([[7.0, -1.0]], "logits")]
)
def test_detect_top_k_kind(rows, kind):
    assert detect_top_k_kind(torch.tensor(rows)) == kind


def top_k(seed=0, n=7, classes=9, k=3):
    generator = torch.Generator().manual_seed(seed)
    values, indices = torch.randn(n, classes, generator=generator).topk(k, dim=1)
    return TopKSoftLabels(values.half(), indices.short(), classes, "logits")


def test_top_k__softmax_over_the_kept_and_nothing_elsewhere():
    source = top_k()
    found = source.probabilities(range(7), temperature=3.0).numpy()
    for row in range(7):
        expected = np.zeros(9)
        weights = np.exp(source.values[row].double().numpy() / 3.0)
        for place, index in enumerate(source.indices[row].tolist()):
            expected[index] = weights[place] / weights.sum()
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "top-k"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_take_and_stream__agree_with_single_rows(kind, data):
    source = top_k() if kind == "top-k" else DenseSoftLabels(torch.randn(7, 9, dtype=torch.float16), "logits")
    ids = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=9))
    taken = source.take(ids)
    assert len(taken) == len(ids) and taken.dtype == source.dtype and taken.num_classes == 9
    assert torch.equal(taken.stored(range(len(ids))), torch.cat([source.stored([i]) for i in ids]))
    streamed = torch.cat([part for _, part in taken.stream(2.0, rows=2)])
    assert torch.equal(streamed, torch.cat([source.probabilities([i], 2.0) for i in ids]))


def test_hard_labels__most_probable_class():
    assert hard_labels(DenseSoftLabels(torch.tensor([[0.1, 0.9], [3.0, 1.0]]), "logits")).tolist() == [1, 0]
    assert hard_labels(DenseSoftLabels(torch.tensor([[1.47], [-0.58]]), "scores")).tolist() == [1, 0]
    assert hard_labels(DenseSoftLabels(torch.zeros(0, 2), "logits")).tolist() == []


def test_stored__id_out_of_range():
    with pytest.raises(IndexError):
        DenseSoftLabels(torch.zeros(3, 2), "logits").stored([3])
