"""Students: what they learn, that only lesson, schooling and seed decide it, how a run reports, stops and goes on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.students import checkpoint, progress
from analysis.students.batches import Batches
from analysis.students.cohort import AllAtOnce, OneByOne
from analysis.students.course import Course
from analysis.students.networks import make_network
from analysis.students.task import Exam, Lesson, Loss, Marks, Schooling
from analysis.students.training import train
from data.errors import ImpossibleRequest

CLASSES = 3
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))]
QUICK = Schooling(width=4, steps=6, batch=5, seeds=(0, 1, 2))
CPU = Context(device="cpu")


def lesson(name: str = "one", n: int = 12, seed: int = 0, noise: float = 0.5, **said) -> Lesson:
    """Images 2x16x16 of classes that are far apart, with the logits of a teacher who knows them."""
    draw = torch.Generator().manual_seed(99)
    prototypes = torch.nn.functional.interpolate(torch.randn(CLASSES, 2, 4, 4, generator=draw), (16, 16), mode="bilinear")
    draw.manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    images = prototypes[labels] + noise * torch.randn(n, 2, 16, 16, generator=draw)
    teacher = 4.0 * torch.nn.functional.one_hot(labels, CLASSES) + torch.randn(n, CLASSES, generator=draw)
    return Lesson(name, images, labels, teacher, Loss(**said))


def an_exam(n: int = 40) -> Exam:
    made = lesson(n=n, seed=1)
    return Exam(made.images, made.labels)


def same(first: Marks, second: Marks) -> None:
    np.testing.assert_array_equal(first.predictions, second.predictions)
    pd.testing.assert_frame_equal(first.curve, second.curve)


# --- what they learn ---


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", ["convnet", "linear"])
@pytest.mark.parametrize("teaching", ["hard", "soft", "soft only", "nkd", "uskd", "mse and ce", "z-loss", "top-k"])
def test_train__every_network_learns_from_every_loss(device: str, network: str, teaching: str) -> None:
    schooling = Schooling(network, width=8, steps=40, batch=12, learning_rate=0.02, seeds=(0, 1))
    marks = train([lesson(teaching=teaching)], an_exam(), schooling, CLASSES, Context(device))[0]
    assert marks.accuracies(an_exam().labels.numpy()).min() > 0.9
    loss = marks.curve.groupby("step")["loss"].mean()
    assert loss.iloc[-1] < loss.iloc[0] and np.isfinite(marks.curve["loss"]).all()


def test_train__resnet18_too() -> None:
    schooling = Schooling("resnet18", steps=2, batch=2, seeds=(0,))
    marks = train([lesson(n=2)], an_exam(4), schooling, CLASSES, CPU)[0]
    assert marks.predictions.shape == (1, 4) and np.isfinite(marks.curve["loss"]).all()


@pytest.mark.parametrize("cohort", [OneByOne, AllAtOnce])
@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.01)])
def test_train__a_linear_student_is_softmax_regression(cohort, momentum: float, decay: float) -> None:
    """Gradient descent on all images at once, written out in float64: what every one of its losses must be."""
    taught, steps, rate = lesson(n=30, noise=3.0), 25, 0.0005
    schooling = Schooling("linear", 0, steps, 30, rate, momentum, decay, augment=False, seeds=(3,))
    weight, bias = (
        p.detach().numpy().astype(float) for p in make_network("linear", (2, 16, 16), CLASSES, 0, 3).parameters()
    )
    pixels, right = taught.images.flatten(1).numpy().astype(float), np.eye(CLASSES)[taught.labels]
    speed = [np.zeros_like(weight), np.zeros_like(bias)]
    losses = []
    for step in range(steps):
        odds = np.exp(pixels @ weight.T + bias)
        said = odds / odds.sum(1, keepdims=True)
        losses.append(-np.log((said * right).sum(1)).mean())
        off = (said - right) / len(pixels)
        slopes = [off.T @ pixels + decay * weight, off.sum(0) + decay * bias]
        speed = [momentum * old + slope for old, slope in zip(speed, slopes, strict=True)]
        now = rate * (1 + math.cos(math.pi * step / steps)) / 2
        weight, bias = weight - now * speed[0], bias - now * speed[1]
    exam = an_exam()
    marks = train([taught], exam, schooling, CLASSES, CPU, cohort)[0]
    parts = np.split(np.array(losses), marks.curve["step"].to_numpy()[:-1])
    np.testing.assert_allclose(marks.curve["loss"], [part.mean() for part in parts], rtol=1e-4)
    answers = (exam.images.flatten(1).numpy() @ weight.T + bias).argmax(1)
    np.testing.assert_array_equal(marks.predictions[0], answers)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("network", "teaching"),
    [
        ("convnet", "hard"),
        ("convnet", "uskd"),
        ("linear", "soft"),
        pytest.param("resnet18", "nkd", marks=pytest.mark.slow),
    ],
)
def test_train__all_at_once_is_one_by_one(device: str, network: str, teaching: str) -> None:
    schooling = replace(QUICK, network=network, mirror=True, steps=2 if network == "resnet18" else 6)
    given = ([lesson(teaching=teaching)], an_exam(), schooling, CLASSES, Context(device))
    one_by_one, at_once = (train(*given, cohort)[0] for cohort in (OneByOne, AllAtOnce))
    np.testing.assert_allclose(at_once.curve["loss"], one_by_one.curve["loss"], rtol=1e-3)
    assert (at_once.predictions == one_by_one.predictions).mean() > 0.97, "but for rounding"


# --- what decides it ---


def test_train__a_seed_learns_the_same_whatever_others_learn_beside_it() -> None:
    together = train([lesson("one"), lesson("two", seed=5)], an_exam(), QUICK, CLASSES, CPU)
    alone = train([lesson("two", seed=5)], an_exam(), replace(QUICK, seeds=(2,)), CLASSES, CPU)[0]
    np.testing.assert_array_equal(together[1].predictions[2:], alone.predictions)
    of_seed = together[1].curve.query("seed == 2").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_seed, alone.curve)
    assert not np.array_equal(together[0].curve["loss"], together[1].curve["loss"])
    assert together[1].curve.groupby("seed")["loss"].mean().nunique() == 3


@pytest.mark.parametrize(
    "changed",
    [{"augment": False}, {"mirror": True}, {"steps": 7}, {"width": 5}, {"learning_rate": 0.01}, {"batch": 4}, {"crop": 0.3}],
)
def test_train__schooling_matters(changed: dict) -> None:
    first, other = (train([lesson()], an_exam(), s, CLASSES, CPU)[0] for s in (QUICK, replace(QUICK, **changed)))
    assert not np.array_equal(first.curve["loss"], other.curve["loss"])


def test_answers__students_that_judge_at_once_share_the_memory(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("analysis.students.cohort.rows_that_fit", lambda row, *rest: asked.append(row) or 7)
    marks = [
        train([lesson()], an_exam(), replace(QUICK, steps=0), CLASSES, CPU, cohort)[0] for cohort in (OneByOne, AllAtOnce)
    ]
    assert asked[1] == 3 * asked[0] and marks[0].predictions.shape == (3, 40)
    np.testing.assert_array_equal(marks[0].predictions, marks[1].predictions)


def room(cohort: type) -> int:
    """Bytes for a student of QUICK: batches of 5 images 2x16x16 in four copies and, all at once, six maps a filter."""
    return 4 * 5 * 16 * 16 * (4 * 2 + (6 * 4 if cohort is AllAtOnce else 0))


@pytest.mark.parametrize("cohort", [OneByOne, AllAtOnce])
def test_train__as_many_students_side_by_side_as_fit_into_memory(tmp_path: Path, monkeypatch, cohort) -> None:
    together = train([lesson()], an_exam(), QUICK, CLASSES, CPU, cohort)[0]
    made, begin = [], cohort.__init__
    monkeypatch.setattr(
        cohort, "__init__", lambda self, networks, loss: made.append(len(networks)) or begin(self, networks, loss)
    )
    monkeypatch.setattr("analysis.device.free_bytes", lambda _: 4 * 2 * room(cohort))
    fractions: list[float] = []
    context = Context("cpu", tmp_path, lambda done, _: fractions.append(done))
    apart = train([lesson()], an_exam(), QUICK, CLASSES, context, cohort)[0]
    assert made == [2, 1] and fractions == sorted(fractions) and fractions[-1] == pytest.approx(1.0)
    np.testing.assert_array_equal(apart.predictions, together.predictions)
    np.testing.assert_allclose(apart.curve["loss"], together.curve["loss"], rtol=1e-5)
    assert not unfinished(tmp_path)


def test_train__marks_are_in_the_order_of_lessons_and_seeds() -> None:
    marks = train([lesson("b"), lesson("a")], an_exam(), replace(QUICK, seeds=(2, 0, 2)), CLASSES, CPU)
    assert [each.lesson for each in marks] == ["b", "a"]
    assert marks[0].predictions.shape == (3, 40) and marks[0].predictions.dtype == np.int64
    np.testing.assert_array_equal(marks[0].predictions[0], marks[0].predictions[2])
    assert list(marks[0].curve.columns) == ["step", "seed", "accuracy", "loss"]
    assert sorted(marks[0].curve["seed"].unique()) == [0, 2] and marks[0].curve["step"].max() == QUICK.steps


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (7, 7), (4, 64), (1, 1)])
def test_batches__every_image_once_an_epoch(n: int, batch: int) -> None:
    batches, size = Batches(0, n, batch), min(n, batch)
    stream = torch.cat([batches.at(step) for step in range(3 * n)]).reshape(3 * size, n)
    assert (stream.sort(dim=1).values == torch.arange(n)).all()
    assert n == 1 or len(stream.unique(dim=0)) > 1, "in a new order"
    assert torch.equal(Batches(0, n, batch).at(2 * n), batches.at(2 * n)), "wherever one starts"


# --- how a run reports, stops and goes on ---


def test_train__reports_an_even_pace_and_drafts_the_mean_curve(monkeypatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_DRAFTS", 0.0)
    fractions, drafts = [], []
    context = Context("cpu", None, lambda done, _: fractions.append(done), lambda name, table: drafts.append((name, table)))
    lessons = [lesson("one"), lesson("two", n=3)]
    marks = train(lessons, an_exam(), replace(QUICK, steps=20), CLASSES, context)
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1.0) and len(fractions) >= 2 * 20 * 3
    name, last = drafts[-1]
    assert name == "learning curve" and list(last.columns) == ["step", "accuracy", "group"]
    assert list(last["group"].unique()) == ["one", "two"] and len(drafts) > 4
    wanted = marks[1].curve.groupby("step")["accuracy"].mean().tolist()
    assert last.query("group == 'two'")["accuracy"].tolist() == pytest.approx(wanted)


class Stopping:
    """Reports that stop a run after some of them."""

    def __init__(self, after: int) -> None:
        self.left, self.heard = after, []

    def __call__(self, fraction: float, message: str) -> None:
        self.heard.append(fraction)
        self.left -= 1
        if self.left < 0:
            raise Cancelled


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("students/*.partial"))


@pytest.mark.parametrize("cohort", [OneByOne, AllAtOnce])
@pytest.mark.parametrize("after", [0, 7, 20, 36])
def test_train__goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch, cohort, after: int) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(checkpoint, "SAVE_SHARE", 0)
    schooling = replace(QUICK, steps=10)
    given = ([lesson(teaching="soft", temperature=4.0)], an_exam(), schooling, CLASSES)
    through, stop = Stopping(10_000), Stopping(after)
    whole = train(*given, Context("cpu", None, through), cohort)[0]
    try:
        train(*given, Context("cpu", tmp_path, stop), cohort)
    except Cancelled:
        assert after < 20 or unfinished(tmp_path)
    resumed = Stopping(10_000)
    same(train(*given, Context("cpu", tmp_path, resumed), cohort)[0], whole)
    assert not unfinished(tmp_path), "nothing is left of the way once the goal is reached"
    if after == 20:
        assert resumed.heard[0] > 0.2 and len(resumed.heard) <= len(through.heard) - 15


def test_train__finished_students_are_not_trained_again(tmp_path: Path, monkeypatch) -> None:
    learnt = []
    teach = OneByOne.teach
    monkeypatch.setattr(OneByOne, "teach", lambda self, *rest: learnt.append(len(rest[1])) or teach(self, *rest))
    kept = Context("cpu", tmp_path)
    first = train([lesson("one")], an_exam(), QUICK, CLASSES, kept)[0]
    assert learnt == [3] * 6
    learnt.clear()
    again, _ = train([lesson("renamed"), lesson("two", seed=5)], an_exam(), QUICK, CLASSES, kept)
    assert learnt == [3] * 6, "only the second"
    assert again.lesson == "renamed"
    same(again, first)
    learnt.clear()
    wider = train([lesson("one")], an_exam(), replace(QUICK, seeds=(0, 7, 1, 2)), CLASSES, kept)[0]
    assert learnt == [1] * 6, "only the new seed"
    np.testing.assert_array_equal(wider.predictions[[0, 2, 3]], first.predictions)


@pytest.mark.parametrize(
    "change",
    [
        lambda taught, exam, schooling: (replace(taught, images=taught.images + 1e-3), exam, schooling),
        lambda taught, exam, schooling: (replace(taught, labels=taught.labels.flip(0)), exam, schooling),
        lambda taught, exam, schooling: (replace(taught, logits=2 * taught.logits), exam, schooling),
        lambda taught, exam, schooling: (replace(taught, loss=Loss("soft")), exam, schooling),
        lambda taught, exam, schooling: (taught, replace(exam, images=-exam.images), schooling),
        lambda taught, exam, schooling: (taught, exam, replace(schooling, momentum=0.5)),
    ],
)
def test_train__what_is_kept_is_of_this_lesson_exam_and_schooling(tmp_path: Path, change) -> None:
    given = lesson(), an_exam(), QUICK
    kept = Context("cpu", tmp_path)
    train([given[0]], *given[1:], CLASSES, kept)
    other, exam, schooling = change(*given)
    same(train([other], exam, schooling, CLASSES, kept)[0], train([other], exam, schooling, CLASSES, CPU)[0])


@pytest.mark.parametrize("damage", [b"", b"not a file of tensors"])
def test_train__a_damaged_file_is_not_believed(tmp_path: Path, damage: bytes) -> None:
    given = [lesson()], an_exam(), QUICK, CLASSES
    first = train(*given, Context("cpu", tmp_path))[0]
    for path in tmp_path.glob("students/*"):
        path.write_bytes(damage)
    same(train(*given, Context("cpu", tmp_path))[0], first)


def test_train__a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "students").write_text("in the way")
    with pytest.raises(ImpossibleRequest, match="cannot be kept"):
        train([lesson()], an_exam(), QUICK, CLASSES, Context("cpu", tmp_path))


# --- what cannot be done ---


@pytest.mark.parametrize(
    ("lessons", "exam", "schooling", "words"),
    [
        ([replace(lesson(teaching="soft"), logits=None)], an_exam(), QUICK, "needs soft labels"),
        ([lesson(n=0)], an_exam(), QUICK, "no image to learn from"),
        ([lesson()], Exam(torch.zeros(2, 2, 9, 8), torch.zeros(2, dtype=torch.int64)), QUICK, "2x16x16 .* 2x9x8"),
        ([lesson()], an_exam(0), QUICK, "without a seed and an exam"),
        ([lesson()], an_exam(), replace(QUICK, seeds=()), "without a seed and an exam"),
    ],
)
def test_train__says_in_one_sentence_what_does_not_fit(lessons, exam, schooling, words: str) -> None:
    with pytest.raises(ImpossibleRequest, match=words):
        train(lessons, exam, schooling, CLASSES, CPU)


def test_train__no_lessons_no_marks() -> None:
    assert train([], an_exam(), QUICK, CLASSES, CPU) == []


def test_train__one_image_and_more_classes_than_it_has() -> None:
    marks = train([lesson(n=1)], an_exam(), QUICK, 1_200, CPU)
    assert marks[0].predictions.shape == (3, 40)


def test_curve__of_a_short_course_has_a_point_a_step_and_of_a_long_one_twelve() -> None:
    for steps, points in ((0, 0), (3, 3), (12, 12), (500, 12)):
        asked = Course(lesson(), an_exam(), replace(QUICK, steps=steps), CLASSES, torch.device("cpu"), OneByOne)
        assert len(asked.points) == points and (not points or asked.points[-1] == steps)


def test_train__no_steps_are_students_who_have_learnt_nothing() -> None:
    marks = train([lesson()], an_exam(), replace(QUICK, steps=0), CLASSES, CPU)[0]
    assert marks.predictions.shape == (3, 40) and not len(marks.curve)
