"""Edits of soft labels: what always holds, and known cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import rel_entr
from scipy.stats import entropy as scipy_entropy

from analysis.label_edits import (
    apply_edit,
    between_top_two,
    entropy,
    mixed,
    moved,
    normalised,
    one_hot,
    sharpened,
    total_variation,
    with_top,
)
from data.decisions import Decision
from data.soft_labels import to_probabilities

C = 6
numbers = st.floats(0, 1e6, allow_subnormal=False)
rows = hnp.arrays(np.float64, (4, C), elements=numbers).filter(lambda a: (a.max(axis=1) > 0).all()).map(normalised)
row = rows.map(lambda a: a[0])


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    """Some classes, and values that sum to at most 1."""
    classes = draw(st.lists(st.integers(0, C - 1), min_size=1, max_size=C, unique=True))
    shares = draw(hnp.arrays(np.float64, len(classes) + 1, elements=numbers).filter(lambda a: a[:-1].sum() > 1e-9))
    return classes, (shares / shares.sum())[:-1].tolist()


def is_distribution(p: np.ndarray) -> bool:
    return bool((p >= 0).all()) and np.allclose(p.sum(axis=-1), 1, atol=1e-14, rtol=0)


@given(row, edits())
def test_apply_edit__one_distribution_with_the_named_values_and_the_shape_of_the_others(base, edit):
    classes, values = edit
    edited = apply_edit(base, classes, values)
    assert is_distribution(edited)
    Decision(0, "soften", soft_label=tuple(edited.tolist()))  # the log takes it
    others = np.setdiff1d(np.arange(C), classes)
    mass, left = base[others].sum(), 1 - sum(values)
    assume(mass > 1e-9)
    assert edited[classes] == pytest.approx(values, abs=1e-12)
    assert edited[others] == pytest.approx(base[others] / mass * left, abs=1e-12)


@given(row, edits())
def test_apply_edit__done_twice_is_done_once(base, edit):
    once = apply_edit(base, *edit)
    assert apply_edit(once, *edit) == pytest.approx(once, abs=1e-12)


@given(edits())
def test_apply_edit__without_a_base_the_named_are_all(edit):
    classes, values = edit
    edited = apply_edit(np.zeros(C), classes, values)
    assert edited[classes] == pytest.approx(np.asarray(values) / sum(values))
    assert is_distribution(edited)


def test_apply_edit__tail_of_thousands_keeps_its_shape():
    base = normalised(np.random.default_rng(0).random(5_000))
    edited = apply_edit(base, [17, 4_000], [0.5, 0.25])
    assert edited[[17, 4_000]].tolist() == pytest.approx([0.5, 0.25])
    tail = np.delete(np.arange(5_000), [17, 4_000])
    assert np.ptp(edited[tail] / base[tail]) < 1e-12
    assert math.fsum(edited) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("classes", "values"),
    [([0, 0], [0.1, 0.1]), ([C], [0.5]), ([-1], [0.5]), ([0], [-0.1]), ([0], [math.nan]), ([0, 1], [0.6, 0.41])],
)
def test_apply_edit__refuses_what_is_no_edit(classes, values):
    with pytest.raises(ValueError, match="an edit"):
        apply_edit(np.full(C, 1 / C), classes, values)


def test_apply_edit__refuses_to_leave_nothing():
    with pytest.raises(ValueError, match="some mass"):
        apply_edit(np.zeros(C), [0], [0.0])


@given(rows, st.floats(0.05, 20))
def test_sharpened__keeps_the_order_and_is_what_tempering_logits_gives(p, temperature):
    sharp = sharpened(p, temperature)
    assert is_distribution(sharp)
    for before, after in zip(p, sharp, strict=True):
        order = np.argsort(before, kind="stable")
        assert (np.diff(after[order]) >= 0).all()
    assume((p > 1e-12).all())
    expected = to_probabilities(torch.from_numpy(np.log(p)), "logits", temperature).numpy()
    assert sharp == pytest.approx(expected, abs=1e-5)


@given(rows)
def test_sharpened__temperature_one_changes_nothing(p):
    assert sharpened(p, 1.0) == pytest.approx(p, abs=1e-15)


@given(row)
def test_sharpened__towards_zero_is_the_most_probable_class(p):
    top = np.sort(p)[::-1]
    assume(top[0] > 1.01 * top[1])
    assert sharpened(p, 1e-6) == pytest.approx(one_hot([p.argmax()], C)[0])


@given(row, st.floats(1.0, 20), st.floats(1.0, 20))
def test_sharpened__two_temperatures_are_their_product(p, a, b):
    assert sharpened(sharpened(p, a), b) == pytest.approx(sharpened(p, a * b), abs=1e-9)


def test_sharpened__refuses_no_temperature():
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="positive"):
            sharpened(np.full(C, 1 / C), wrong)


@given(rows, rows, st.floats(0, 1))
def test_mixed__between_both(p, q, weight):
    between = mixed(p, q, weight)
    assert is_distribution(between)
    assert (between >= np.minimum(p, q) - 1e-12).all() and (between <= np.maximum(p, q) + 1e-12).all()
    assert mixed(p, q, 0.0) == pytest.approx(p) and mixed(p, q, 1.0) == pytest.approx(q)


def test_mixed__refuses_other_weights():
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="weight"):
            mixed(np.full(C, 1 / C), np.full(C, 1 / C), wrong)


@given(rows, st.integers(0, C - 1), st.integers(0, C - 1), st.floats(0, 2))
def test_moved__only_two_classes_and_never_more_than_there_is(p, a, b, amount):
    after = moved(p, a, b, amount)
    assert is_distribution(after)
    others = np.setdiff1d(np.arange(C), [a, b])
    assert after[:, others] == pytest.approx(p[:, others], abs=1e-12)
    if a != b:
        assert after[:, b] - p[:, b] == pytest.approx(np.minimum(amount, p[:, a]), abs=1e-12)


def test_between_top_two__halves_and_ties_by_number():
    p = np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4], [1, 0, 0]])
    assert between_top_two(p).tolist() == [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    assert between_top_two(np.ones((2, 1))).tolist() == [[1.0], [1.0]]


def test_with_top__exchanges_as_a_relabel_is_written():
    p = np.array([[0.1, 0.6, 0.3], [0.7, 0.2, 0.1]])
    assert with_top(p, np.array([2, 0])).tolist() == [[0.1, 0.3, 0.6], [0.7, 0.2, 0.1]]


@given(rows, rows)
def test_entropy_and_distance__as_scipy_and_the_definition_have_them(p, q):
    assert entropy(p) == pytest.approx(scipy_entropy(p, axis=1), abs=1e-9)
    distance = total_variation(p, q)
    assert distance == pytest.approx(np.maximum(p - q, 0).sum(axis=1), abs=1e-12)
    finite = (q > 0).all(axis=1)
    divergence = rel_entr(p[finite], q[finite]).sum(axis=1)
    assert (distance[finite] <= np.sqrt(divergence.clip(0) / 2) + 1e-7).all()  # Pinsker's inequality


@pytest.mark.parametrize("wrong", [[0.5, -0.1], [math.nan, 1.0], [math.inf, 1.0], [0.0, 0.0]])
def test_normalised__refuses_what_is_no_distribution(wrong):
    with pytest.raises(ValueError, match="distribution"):
        normalised(np.array(wrong))
