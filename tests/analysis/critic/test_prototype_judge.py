"""Prototypes as a judge: planted labels, how sure it is, and what cannot be answered."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.context import Context
from analysis.critic.judge import LEFT, NONE, RIGHT, Questions
from analysis.critic.prototype_judge import PrototypeJudge, prototype_judge
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING
from tests.analysis.made_sets import images_around, made_set

CLASSES = 4


def with_labels(opened: DistilledSet, wrong: np.ndarray) -> DistilledSet:
    labels = opened.labels.copy()
    labels[wrong] = (labels[wrong] + 1) % opened.num_classes
    return replace(opened, labels=labels)


def judged(opened: DistilledSet) -> PrototypeJudge:
    return prototype_judge(opened, Context(), "pixels")


@pytest.mark.parametrize("reference", [True, False])
def test_ask__planted_wrong_labels_lose(reference):
    clean = made_set(n_per_class=(20,), num_classes=6, reference=reference, teachers=0)
    wrong = np.arange(0, len(clean), 10)
    opened = with_labels(clean, wrong)
    everyone, is_wrong = np.arange(len(clean)), opened.labels != clean.labels
    other = np.where(is_wrong, clean.labels, (opened.labels + 2) % 6)
    judge = judged(opened)
    np.testing.assert_array_equal(judge.ask(Questions(everyone, opened.labels, other)).said == RIGHT, is_wrong)
    np.testing.assert_array_equal(judge.ask(Questions(everyone, other, opened.labels)).said == LEFT, is_wrong)
    single = judge.ask(Questions(everyone, opened.labels, np.full(len(clean), NOTHING)))
    np.testing.assert_array_equal(single.said == RIGHT, is_wrong)


def test_ask__is_the_share_of_the_two_probabilities():
    judge = judged(hard_set())
    rng = np.random.default_rng(0)
    ids, left = rng.integers(0, 40, 200), rng.integers(0, CLASSES, 200)
    right = (left + rng.integers(1, CLASSES, 200)) % CLASSES
    replies, p = judge.ask(Questions(ids, left, right)), judge.probabilities(np.arange(40)).astype(float)
    share = p[ids, left] / (p[ids, left] + p[ids, right])
    np.testing.assert_allclose(replies.confidence, np.maximum(share, 1 - share), atol=1e-5)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


def hard_set(times: float = 1.0) -> DistilledSet:
    """40 images a class that overlap, ``times`` as noisy as those of the reference."""
    rng = np.random.default_rng(3)
    prototypes = rng.uniform(0.45, 0.55, (CLASSES, 1, 6, 6))
    labels, real = np.repeat(np.arange(CLASSES), 40), np.repeat(np.arange(CLASSES), 200)
    made = made_set(n_per_class=(40,), num_classes=CLASSES, channels=1, size=6, teachers=0)
    reference = Reference(images_around(prototypes, real, 0.06, rng), real)
    return replace(made, images=images_around(prototypes, labels, times * 0.06, rng), reference=reference)


@pytest.mark.parametrize(("times", "low", "high"), [(1.0, 0.6, 1.7), (2.0, 2.5, 6.5)])
def test_temperature__is_that_at_which_the_given_labels_are_likeliest(times, low, high):
    """1 where the set is as the reference; the variance's factor where it is wider."""
    judge = judged(hard_set(times))
    every = np.arange(160)

    def loss(temperature: float) -> float:
        p = replace(judge, temperature=temperature).probabilities(every)[every, judge.given]
        return float(-np.log(p).mean())

    assert low < judge.temperature < high
    assert loss(judge.temperature) < min(loss(judge.temperature / 1.5), loss(judge.temperature * 1.5))


def test_probabilities__head_classes_do_not_win_by_number():
    """Images that say nothing: equally many are taken for the class of 200 real images and for that of 20."""
    rng = np.random.default_rng(0)
    even, real = np.full((2, 1, 4, 4), 0.5), np.repeat([0, 1], [200, 20])
    made = made_set(n_per_class=(150, 150), channels=1, size=4, teachers=0)
    reference = Reference(images_around(even, real, 0.1, rng), real)
    opened = replace(made, images=images_around(even, made.labels, 0.1, rng), reference=reference)
    judge = judged(opened)
    assert judge.probabilities(np.arange(300)).mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.05)
    assert any("no more than by chance" in caveat for caveat in judge.caveats)


def test_ask__one_image_a_class_is_not_held_against_itself():
    opened = made_set(n_per_class=(1,), num_classes=5, reference=False, teachers=0)
    judge = judged(opened)
    everyone = np.arange(5)
    for other in ((opened.labels + 1) % 5, np.full(5, NOTHING)):
        assert set(judge.ask(Questions(everyone, opened.labels, other)).said) == {NONE}
    assert np.isnan(judge.probabilities(everyone)).all()
    assert any("5 of 5 classes have one image" in caveat for caveat in judge.caveats)


def test_ask__one_image_a_class_and_a_reference():
    opened = made_set(n_per_class=(1,), num_classes=5, teachers=0)
    replies = judged(opened).ask(Questions(np.arange(5), opened.labels, (opened.labels + 1) % 5))
    assert set(replies.said) == {LEFT}


def test_ask__a_class_without_prototype_gets_no_answer():
    opened = made_set(n_per_class=(6, 6, 6), teachers=0)
    known = opened.reference.labels != 1
    images = opened.reference.images
    real = Reference(replace(images, store=images.store.take(np.flatnonzero(known))), opened.reference.labels[known])
    judge = judged(replace(opened, reference=real))
    ids = np.array([0, 0, 8, 8])
    replies = judge.ask(Questions(ids, np.array([0, 0, 1, 0]), np.array([1, 2, NOTHING, 2])))
    assert (replies.said == NONE).tolist() == [True, False, True, False]
    p = judge.probabilities(np.arange(18))
    assert np.isnan(p[6:12]).all() and (p[:6, 1] == 0).all()
    assert any("1 of 3 classes have no image" in caveat for caveat in judge.caveats)


def test_ask__many_classes_a_few_rows_at_a_time(monkeypatch):
    opened = made_set(n_per_class=(3,), num_classes=300, channels=1, size=6, reference=False, teachers=0)
    questions = Questions(np.arange(900)[::-1], opened.labels[::-1], (opened.labels[::-1] + 1) % 300)
    judge = judged(opened)
    whole = judge.ask(questions)
    assert (whole.said == LEFT).mean() > 0.99
    monkeypatch.setattr("analysis.critic.prototype_judge.VALUES_AT_ONCE", 300 * 11)
    few = judge.ask(questions)
    np.testing.assert_array_equal(few.said, whole.said)
    np.testing.assert_allclose(few.confidence, whole.confidence)
    np.testing.assert_allclose(judge.probabilities(np.arange(900)).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 1), (2, 0, 3), (1, 1, 1, 40)])
@pytest.mark.parametrize("reference", [True, False])
def test_prototype_judge__tiny_and_lopsided_sets(sizes, reference):
    opened = made_set(n_per_class=sizes, num_classes=len(sizes), reference=reference, teachers=0)
    judge = judged(opened)
    n = len(opened)
    replies = judge.ask(Questions(np.arange(n), opened.labels, np.full(n, NOTHING)))
    assert len(replies.said) == n
    known = replies.said != NONE
    assert ((replies.confidence[known] >= 0.5) & (replies.confidence[known] <= 1)).all()
    assert not known[opened.per_class[opened.labels] == 1].any() or reference


def test_prototype_judge__without_images_is_refused():
    with pytest.raises(ImpossibleRequest, match="holds no images"):
        judged(replace(made_set(), images=None))


def test_ask__same_twice():
    opened = hard_set()
    questions = Questions(np.arange(160), opened.labels, (opened.labels + 1) % CLASSES)
    first, second = (judged(opened).ask(questions) for _ in range(2))
    np.testing.assert_array_equal(first.confidence, second.confidence)
