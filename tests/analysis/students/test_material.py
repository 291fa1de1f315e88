"""Lessons' images and exams: one space for both, and one clear sentence where there can be none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.students import material
from analysis.students.material import exam_of, lesson_images, may_mirror
from data.demo import DEMO
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.images import Images, TensorStore
from data.pixels import PROFILES, PixelSpace
from tests.analysis.made_sets import made_set

CIFAR = PROFILES["cifar10"]


def stored_as(unit: torch.Tensor, space: PixelSpace) -> Images:
    """Pictures float32 (n, ch, H, W) in [0, 1], saved in ``space``."""
    if space.kind == "uint8":
        return Images(TensorStore((unit * 255).round().to(torch.uint8)), space)
    if space.kind == "normalised":
        mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (space.mean, space.std))
        return Images(TensorStore((unit - mean) / std), space)
    return Images(TensorStore(unit), space)


def pictures(n: int = 6, channels: int = 3, size: tuple[int, int] = (8, 8)) -> torch.Tensor:
    grey = torch.randint(256, (n, channels, *size), generator=torch.Generator().manual_seed(0))
    return grey.float() / 255


def a_set(images: Images, test: Images, labels: np.ndarray | None = None) -> DistilledSet:
    labels = np.arange(len(test)) % 3 if labels is None else labels
    return replace(made_set((2, 2, 2), reference=False), images=images, test=Reference(test, labels))


@pytest.mark.parametrize("ours", ["uint8", "unit", "cifar10"])
@pytest.mark.parametrize("theirs", ["uint8", "unit", "cifar10", "imagenet"])
def test_exam_of__the_same_picture_is_the_same_pixels_whatever_either_file_stores(ours: str, theirs: str) -> None:
    unit = pictures()
    opened = a_set(stored_as(unit, PROFILES[ours]), stored_as(unit, PROFILES[theirs]))
    exam = exam_of(opened)
    torch.testing.assert_close(exam.images, lesson_images(opened), rtol=1e-5, atol=1e-5)
    assert exam.labels.tolist() == [0, 1, 2, 0, 1, 2] and exam.caveats == ()


def test_lesson_images__normalised_ones_stay_as_stored() -> None:
    images = stored_as(pictures(), CIFAR)
    assert torch.equal(lesson_images(a_set(images, images)), images.store.tensor)
    ids = np.array([4, 1, 1])
    assert torch.equal(lesson_images(a_set(images, images), ids), images.store.tensor[ids])


def test_lesson_images__bytes_are_centred() -> None:
    images = stored_as(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(6, 1, 2, 2).clone(), PROFILES["uint8"])
    assert lesson_images(a_set(images, images)).unique().tolist() == [-2.0, 2.0]


def test_exam_of__a_test_split_of_another_size_is_resized_and_said() -> None:
    flat = torch.linspace(0.1, 0.9, 6).view(6, 1, 1, 1).expand(6, 3, 20, 12).clone()
    opened = a_set(stored_as(pictures(), PROFILES["unit"]), stored_as(flat, PROFILES["unit"]))
    exam = exam_of(opened)
    torch.testing.assert_close(exam.images, ((flat[..., :8, :8] - 0.5) / 0.25))
    assert exam.caveats == ("6 of 6 test images were resized to the set's 8x8 pixels.",)


def test_exam_of__more_than_fits_is_drawn_evenly_always_the_same_and_said(monkeypatch) -> None:
    monkeypatch.setattr(material, "MOST_ASKED", 9)
    unit = pictures(60)
    labels = np.repeat([0, 1, 2], (50, 7, 3))
    opened = a_set(stored_as(unit[:6], PROFILES["unit"]), stored_as(unit, PROFILES["unit"]), labels)
    exam = exam_of(opened)
    assert np.bincount(exam.labels).tolist() == [3, 3, 3]
    assert exam.caveats == ("The exam asks 9 of the 60 test images, drawn evenly over the classes.",)
    assert torch.equal(exam.images, exam_of(opened).images)
    wanted = {tuple(row.tolist()) for row in ((unit - 0.5) / 0.25).flatten(1)[labels == 2]}
    assert {tuple(row.tolist()) for row in exam.images[exam.labels == 2].flatten(1)} == wanted


def test_exam_of__large_images_are_fewer(monkeypatch) -> None:
    monkeypatch.setattr(material, "MOST_EXAM_BYTES", 4 * 4 * 3 * 8 * 8)
    opened = a_set(stored_as(pictures(), PROFILES["unit"]), stored_as(pictures(30), PROFILES["unit"]))
    assert len(exam_of(opened)) == 4


def test_exam_of__the_demo_set() -> None:
    opened = open_set(DEMO)
    exam, lesson = exam_of(opened), lesson_images(opened)
    assert exam.images.shape == (1500, 1, 28, 28) and lesson.shape == (200, 1, 28, 28)
    assert np.bincount(exam.labels).tolist() == [150] * 10
    assert float(exam.images.mean().abs()) < 0.05 and abs(float(exam.images.std()) - 1) < 0.05, "Fashion-MNIST's own"
    assert may_mirror(opened)


@pytest.mark.parametrize(
    ("name", "allowed"), [("CIFAR10_x", True), ("mnist_x", False), ("SVHN", False), ("something", False), ("CIFAR100", True)]
)
def test_may_mirror__only_what_is_known_to_stay_what_it_is(name: str, allowed: bool) -> None:
    made = made_set()
    assert may_mirror(replace(made, provenance=replace(made.provenance, path=Path("/sets") / name))) is allowed


# --- what cannot be done ---


def refused(opened: DistilledSet, words: str) -> None:
    with pytest.raises(ImpossibleRequest, match=words) as raised:
        lesson_images(opened)
        exam_of(opened)
    assert str(raised.value).count(". ") == 0 and str(raised.value).endswith(".")


def test_material__says_what_is_missing() -> None:
    unit = stored_as(pictures(), PROFILES["unit"])
    refused(replace(a_set(unit, unit), test=None), "no test split")
    refused(replace(a_set(unit, unit), images=None), "holds no images")


@pytest.mark.parametrize("kind", ["zca", "unknown"])
def test_material__pixels_that_nothing_leads_to(kind: str) -> None:
    unit, other = stored_as(pictures(), PROFILES["unit"]), stored_as(pictures(), PROFILES[kind])
    refused(a_set(other, unit), "ZCA-whitened" if kind == "zca" else "in an unknown space")
    refused(a_set(unit, other), "of the test split")


def test_material__another_number_of_channels() -> None:
    unit, grey = stored_as(pictures(), PROFILES["unit"]), stored_as(pictures(channels=1), PROFILES["unit"])
    refused(a_set(unit, grey), "test images have 1 channels and the set's 3")


def test_lesson_images__more_than_memory_holds(monkeypatch) -> None:
    monkeypatch.setattr(material, "free_bytes", lambda device: 100)
    unit = stored_as(pictures(), PROFILES["unit"])
    refused(a_set(unit, unit), "more than a quarter of what is free")
