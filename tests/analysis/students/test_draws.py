"""Draws of as many images of each class, anew for each seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.context import Context
from analysis.students import draws
from analysis.students.draws import drawn_by_class, train_drawn
from analysis.students.task import Exam, Lesson, Marks, Schooling


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_drawn_by_class__as_many_as_asked_or_all_there_are(labels, seed, data):
    labels = np.array(labels)
    counts = np.array(data.draw(st.lists(st.integers(0, 9), min_size=5, max_size=5)))
    ids = drawn_by_class(labels, counts, seed)
    assert (np.diff(ids) > 0).all(), "each once, in order"
    expected = np.minimum(np.bincount(labels, minlength=5), counts)
    assert np.bincount(labels[ids], minlength=5).tolist() == expected.tolist()


def test_drawn_by_class__every_image_is_as_likely_as_another():
    hits = np.zeros(6)
    for seed in range(600):
        hits[drawn_by_class(np.array([0, 0, 0, 1, 1, 1]), np.array([1, 2]), seed)] += 1
    assert hits[:3] / 600 == pytest.approx(1 / 3, abs=0.07) and hits[3:] / 600 == pytest.approx(2 / 3, abs=0.07)


def test_train_drawn__each_student_has_its_own_lesson(monkeypatch):
    """A made trainer that answers with the first label it was taught, so that a mix-up of seeds would show."""

    def made(lessons, exam, schooling, num_classes, context):
        context.report(1.0, "")
        (seed,) = schooling.seeds
        curve = pd.DataFrame({"step": [1], "seed": [seed], "accuracy": [0.0], "loss": [0.0]})
        return [Marks(lesson.name, np.full((1, len(exam)), int(lesson.labels[0])), curve) for lesson in lessons]

    def lessons_of(seed: int) -> list[Lesson]:
        return [Lesson(name, torch.zeros(1, 1, 1, 1), torch.tensor([seed + add])) for name, add in (("a", 0), ("b", 5))]

    monkeypatch.setattr(draws, "train", made)
    seen: list[float] = []
    exam = Exam(torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.int64))
    first, second = train_drawn(
        lessons_of, exam, Schooling(seeds=(0, 3)), 9, Context(report=lambda fraction, _: seen.append(fraction))
    )
    assert (first.lesson, second.lesson) == ("a", "b")
    assert first.predictions.tolist() == [[0, 0], [3, 3]] and second.predictions[:, 0].tolist() == [5, 8]
    assert first.curve["seed"].tolist() == [0, 3] and seen == [0.5, 1.0]
