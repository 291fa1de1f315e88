"""The decomposition, against loops and constructions whose effects are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.balance.two_by_two import BALANCED, EFFECTS, LONG_TAILED, MEASURES, OneSet, TwoByTwo, effects
from analysis.class_groups import HEAD, MEDIUM, TAIL
from analysis.context import Context

GROUP = np.array([HEAD, MEDIUM, TAIL, TAIL])
GAP, LEAK = MEASURES.index("head_minus_tail"), MEASURES.index("tail_to_head")


def constructed(teacher: float, images: float, together: float = 0.0, each: int = 4) -> TwoByTwo:
    """Own mass 0.8, for tail classes less by what a long-tailed teacher, long-tailed images and both together take; half of
    what is taken goes to the head."""
    labels = np.repeat(np.arange(4), each)
    tail = (GROUP[labels] == TAIL).astype(float)
    sets = {}
    for i in (BALANCED, LONG_TAILED):
        taken = np.array([teacher * t + images * i + together * t * i for t in (BALANCED, LONG_TAILED)])
        sets[i] = OneSet(labels, np.stack([0.8 - taken[:, None] * tail, 0.5 * taken[:, None] * tail], axis=2))
    return TwoByTwo(sets, GROUP)


def test_cells__effects_that_were_put_in_are_taken_apart() -> None:
    held = constructed(0.3, 0.1)
    found = dict(zip(EFFECTS, effects(held.cells), strict=True))
    assert found["teacher"][GAP] == pytest.approx(0.3) and found["teacher"][LEAK] == pytest.approx(0.15)
    assert found["images"][GAP] == pytest.approx(0.1) and found["images"][LEAK] == pytest.approx(0.05)
    assert found["interaction"] == pytest.approx(0)
    assert found["teacher"][MEASURES.index("tail_confidence")] == pytest.approx(-0.3)
    cell_error, effect_error = held.errors(Context())
    np.testing.assert_allclose(cell_error, 0, atol=1e-12)
    np.testing.assert_allclose(effect_error, 0, atol=1e-12)


def test_cells__an_interaction_is_told_from_either() -> None:
    found = dict(zip(EFFECTS, effects(constructed(0.2, 0.1, 0.08).cells), strict=True))
    assert found["interaction"][GAP] == pytest.approx(0.08)
    assert found["teacher"][GAP] == pytest.approx(0.24) and found["images"][GAP] == pytest.approx(0.14)
    assert found["teacher, on long-tailed images"][GAP] == pytest.approx(0.28)
    assert found["teacher, on balanced images"][GAP] == pytest.approx(0.2)
    assert found["images, under the long-tailed teacher"][GAP] == pytest.approx(0.18)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16))
def test_cells__equal_a_loop_and_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sets = {}
    for place, n in ((LONG_TAILED, 14), (BALANCED, 9)):
        labels = np.concatenate([np.arange(4), rng.integers(0, 4, n)])
        sets[place] = OneSet(labels, rng.random((2, len(labels), 2)))
    held = TwoByTwo(sets, GROUP)
    for teacher in (BALANCED, LONG_TAILED):
        for images, one in sets.items():
            own = [one.mass[teacher, one.labels == c, 0].mean() for c in range(4)]
            leak = [one.mass[teacher, one.labels == c, 1].mean() for c in (2, 3)]
            expected = [np.std(own), np.mean(own[2:]), own[0] - np.mean(own[2:]), np.mean(leak)]
            np.testing.assert_allclose(held.cells[teacher, images], expected)
            np.testing.assert_allclose(held.confidence[teacher, images], own)
    found = effects(held.cells)
    apart = held.cells[LONG_TAILED, LONG_TAILED] - held.cells[BALANCED, BALANCED]
    np.testing.assert_allclose(found[0] + found[1], apart, err_msg="the main effects lead from one corner to the other")


def test_errors__images_that_both_teachers_labelled_are_drawn_together() -> None:
    """Two teachers who differ by a constant: their difference does not vary, however much either does."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    own = rng.uniform(0.3, 0.7, 40)
    tail = GROUP[labels] == TAIL
    mass = np.stack([np.stack([own - 0.2 * t * tail, 0.1 * own], axis=1) for t in (BALANCED, LONG_TAILED)])
    held = TwoByTwo({LONG_TAILED: OneSet(labels, mass)}, GROUP)
    cells, found = held.errors(Context())
    of = EFFECTS.index("teacher, on long-tailed images")
    assert cells[LONG_TAILED, LONG_TAILED, GAP] > 0.01 and found[of, GAP] == pytest.approx(0, abs=1e-12)
    assert effects(held.cells)[of, GAP] == pytest.approx(0.2)


def test_errors__of_the_gap_between_independent_means() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), 25)
    mass = np.stack([rng.random((100, 2)), rng.random((100, 2))])
    cells, _ = TwoByTwo({LONG_TAILED: OneSet(labels, mass)}, GROUP).errors(Context())
    variance = [mass[0, labels == c, 0].var() / 25 for c in range(4)]
    expected = np.sqrt(variance[0] + (variance[2] + variance[3]) / 4)
    assert cells[BALANCED, LONG_TAILED, GAP] == pytest.approx(expected, rel=0.1)


def test_cells__missing_ones_are_nan_and_classes_without_samples_left_out() -> None:
    labels = np.array([0, 0, 0, 2, 2, 2])
    mass = np.full((2, 6, 2), np.nan)
    mass[LONG_TAILED] = [[0.9, 0.0]] * 3 + [[0.4, 0.5]] * 3
    held = TwoByTwo({LONG_TAILED: OneSet(labels, mass)}, GROUP)
    assert held.compared.tolist() == [True, False, True, False] and held.divided and held.fewest == 3
    np.testing.assert_allclose(held.cells[LONG_TAILED, LONG_TAILED], [0.25, 0.4, 0.5, 0.5])
    assert np.isnan(held.cells[BALANCED]).all() and np.isnan(held.cells[:, BALANCED]).all()
    assert np.isnan(effects(held.cells)).all()


def test_errors__too_few_samples_have_none() -> None:
    cells, found = constructed(0.1, 0.1, each=2).errors(Context())
    assert np.isnan(cells).all() and np.isnan(found).all() and found.shape == (len(EFFECTS), len(MEASURES))


def test_cells__no_class_in_both_sets() -> None:
    sets = {i: OneSet(np.array([i]), np.zeros((2, 1, 2))) for i in (BALANCED, LONG_TAILED)}
    held = TwoByTwo(sets, GROUP)
    assert not held.compared.any() and held.fewest == 0 and not held.divided and np.isnan(held.cells).all()
