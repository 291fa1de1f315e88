"""Judging labels in sets of a few images a class."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.confident.learning import learn
from analysis.context import Cancelled, Context
from analysis.judging.posterior import WEIGHING
from analysis.judging.small_classes import (
    LEAST_SUSPICION,
    MAYBE,
    NOTHING,
    SURE,
    SURELY,
    TELLS_NOTHING,
    TOO_FEW,
    SmallClasses,
    judge_small_classes,
    suspicion,
)
from benchmarks.planted_sets import Setting, plant
from data.soft_labels import DenseSoftLabels


def judge(probabilities: np.ndarray, labels: np.ndarray, **settings: float) -> SmallClasses:
    source = DenseSoftLabels(torch.from_numpy(probabilities), "probabilities")
    return judge_small_classes(learn(labels, source, torch.device("cpu")), **settings)


def confident(tops: list[int], classes: int, top: float = 0.98) -> np.ndarray:
    rest = (1 - top) / (classes - 1)
    return np.where(np.eye(classes, dtype=bool)[tops], top, rest)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_suspicion__is_the_best_of_all_cuts(wrong: list[float]) -> None:
    def expected_f1(cut: float) -> float:
        flagged = [p for p in wrong if p >= cut]
        return 2 * sum(flagged) / (len(flagged) + sum(wrong))

    cut = suspicion(np.array(wrong))
    best = max(expected_f1(p) for p in wrong)
    assert cut >= LEAST_SUSPICION
    assert cut == LEAST_SUSPICION or expected_f1(cut) == pytest.approx(best)


def test_judge__one_image_a_class_finds_what_is_surely_wrong() -> None:
    classes = 30
    labels = np.arange(classes)
    tops = labels.copy()
    tops[[4, 9]] = [9, 4]
    found = judge(confident(tops.tolist(), classes, 0.9999), labels)
    assert np.flatnonzero(found.flag).tolist() == [4, 9]
    assert (found.right[[4, 9]] < 0.2).all() and (np.delete(found.right, [4, 9]) > 0.9).all()
    np.testing.assert_allclose(found.thresholds.own_offsets, 0, atol=1e-12)


def test_judge__a_predictor_that_is_often_almost_sure_and_wrong_is_believed_less() -> None:
    labels = np.arange(20)
    once, often = labels.copy(), labels.copy()
    once[0] = 1
    often[:8] = np.roll(often[:8], 1)
    unsure = 0.6  # what it says of every sample: its own errors are to be expected
    found = judge(confident(often.tolist(), 20, unsure), labels)
    assert judge(confident(once.tolist(), 20, 0.9999), labels).right[0] < found.right[0]


def test_judge__a_million_samples_fit_into_little_more_than_a_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.judging.small_classes.ROWS_AT_ONCE", 256)
    monkeypatch.setattr("analysis.judging.posterior.ROWS_AT_ONCE", 64)
    n, classes, rng = 4_000, 40, np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    logits = torch.from_numpy(rng.standard_normal((n, classes), dtype=np.float32))
    logits[torch.arange(n), torch.from_numpy(labels)] += 4
    learned = learn(labels, DenseSoftLabels(logits, "logits"), torch.device("cpu"))
    tracemalloc.start()
    try:
        judge_small_classes(learned)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / n < 1_200, "bytes a sample, beside the pieces that are worked on at once"


def test_judge__can_be_stopped_within_a_round() -> None:
    seen: list[str] = []

    def report(fraction: float, message: str) -> None:
        seen.append(message)
        if seen.count(message) == 5 and message == WEIGHING:
            raise Cancelled

    source = DenseSoftLabels(torch.from_numpy(confident([0, 1, 2, 1], 3)), "probabilities")
    learned = learn(np.array([0, 1, 2, 0]), source, torch.device("cpu"))
    with pytest.raises(Cancelled):
        judge_small_classes(learned, context=Context(report=report))


def test_judge__verdicts_follow_from_the_interval() -> None:
    seen = set()
    for seed in range(25):
        planted = plant(Setting("calibrated", 1, "symmetric", "balanced", 0.2), seed)
        found = judge(planted.probabilities, planted.labels)
        assert ((found.low <= found.right) & (found.right <= found.high)).all()
        for verdict, high, flag in zip(found.verdict, found.high, found.flag, strict=True):
            assert flag == (verdict in (SURE, MAYBE))
            assert verdict == NOTHING or verdict == (TOO_FEW if high > TELLS_NOTHING else SURE if high < SURELY else MAYBE)
        seen |= set(found.verdict)
    assert {NOTHING, SURE, MAYBE} <= seen


def test_judge__two_samples_tell_next_to_nothing() -> None:
    found = judge(np.array([[0.04, 0.96], [0.9, 0.1]]), np.array([0, 0]))
    assert found.low[0] < 0.1 and found.high[0] > 0.9
    assert found.verdict[0] not in (SURE, NOTHING) and not found.flag[1]


def test_judge__agreeing_labels_are_never_flagged() -> None:
    for seed in range(5):
        planted = plant(Setting("over-confident", 2, "pair", "long-tailed", 0.3), seed)
        found = judge(planted.probabilities, planted.labels)
        assert not found.flag[planted.probabilities.argmax(axis=1) == planted.labels].any()


def test_judge__order_of_samples_does_not_matter() -> None:
    planted = plant(Setting("calibrated", 3, "pair", "balanced", 0.2), 0)
    order = np.random.default_rng(0).permutation(len(planted.labels))
    found, shuffled = (judge(planted.probabilities[i], planted.labels[i]) for i in (np.arange(len(order)), order))
    np.testing.assert_allclose(shuffled.right, found.right[order], rtol=1e-6)


def test_judge__intervals_narrow_with_more_images() -> None:
    widths = []
    for ipc in (1, 5, 50):
        planted = plant(Setting("calibrated", ipc, "symmetric", "balanced", 0.2), 0)
        found = judge(planted.probabilities, planted.labels)
        odds = np.log(found.high.clip(1e-9, 1 - 1e-9) / (1 - found.high.clip(1e-9, 1 - 1e-9)))
        odds -= np.log(found.low.clip(1e-9, 1 - 1e-9) / (1 - found.low.clip(1e-9, 1 - 1e-9)))
        widths.append(np.median(odds))
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize("sizes", [(1, 1), (1, 0), (3, 0, 1)])
def test_judge__tiny_sets(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(sizes)), len(labels))
    found = judge(probabilities, labels)
    assert np.isfinite(found.right).all() and ((found.right >= 0) & (found.right <= 1)).all()


def test_judge__thousands_of_classes_without_a_class_by_class_matrix() -> None:
    classes = 3000
    labels = np.arange(classes)
    tops = labels.copy()
    tops[:30] = np.roll(tops[:30], 1)
    found = judge(confident(tops.tolist(), classes, 0.999).astype(np.float32), labels)
    assert np.flatnonzero(found.flag).tolist() == list(range(30))
    assert found.posterior.noise_low < 0.01 < found.posterior.noise_high


def test_judge__pair_noise_is_learnt_and_counts_against_a_label() -> None:
    """A sample whose second class is the one that its label is usually mistaken for is more suspicious than another."""
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), 60)
    labels = truth.copy()
    flipped = rng.choice(np.flatnonzero(truth == 0), 25, replace=False)
    labels[flipped] = 1
    probabilities = confident(truth.tolist(), 4, 0.97)
    doubtful = np.array([[0.57, 0.38, 0.04, 0.01], [0.04, 0.38, 0.57, 0.01]])
    found = judge(np.vstack([probabilities, doubtful]), np.append(labels, [1, 1]))
    assert found.right[-2] < found.right[-1] - 0.05
