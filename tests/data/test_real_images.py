"""Real images that lie elsewhere, brought to a set's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data.distilled_set import DistilledSet, Provenance, numbered_classes
from data.errors import UnreadableInput
from data.images import Images, TensorStore
from data.pixels import PROFILES
from data.real_images import real_images


def opened(names: tuple[str, ...], labels: list[int], with_images: bool = True) -> DistilledSet:
    """Image i holds i everywhere."""
    pixels = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    images = Images(TensorStore(pixels), PROFILES["uint8"]) if with_images else None
    return DistilledSet(
        "real", np.array(labels), names, Provenance(Path("real.npz"), "npz", "-", (Path("real.npz"),)), images
    )


def test_real_images__by_name_whatever_their_order() -> None:
    found = real_images(opened(("boot", "bag"), [0, 1, 1]), ("bag", "boot"), "reference")
    assert found.reference.labels.tolist() == [1, 0, 0] and found.files == (Path("real.npz"),)
    assert not any("number" in warning for warning in found.warnings)


def test_real_images__other_classes_are_left_out_and_counted() -> None:
    found = real_images(opened(("boot", "hat", "bag"), [0, 1, 2, 1]), ("bag", "boot", "coat"), "test")
    assert found.reference.labels.tolist() == [1, 0]
    assert found.reference.images.stored([0, 1])[:, 0, 0, 0].tolist() == [0, 2], "the images stay with their labels"
    assert any("2 of 4 images are of classes that the set does not have" in warning for warning in found.warnings)
    assert any("1 of the set's 3 classes have no image there" in warning for warning in found.warnings)


@pytest.mark.parametrize("theirs", [numbered_classes(3), ("0", "1", "2"), ("00", "01", "02")])
def test_real_images__by_number_with_a_warning(theirs: tuple[str, ...]) -> None:
    found = real_images(opened(theirs, [2, 0, 1]), ("bag", "boot", "coat"), "test")
    assert found.reference.labels.tolist() == [2, 0, 1]
    assert "test real.npz: classes were matched by number, not by name" in found.warnings


def test_real_images__folders_of_numbers_mean_their_numbers() -> None:
    """ "10" sorts before "2", and is class 10 all the same."""
    names = tuple(sorted(map(str, range(11))))
    found = real_images(opened(names, list(range(11))), numbered_classes(11), "test")
    assert found.reference.labels.tolist() == [int(name) for name in names]


def test_real_images__the_same_digits_need_no_warning() -> None:
    digits = tuple("0123456789")
    found = real_images(opened(digits, list(range(10))), digits, "test")
    assert found.reference.labels.tolist() == list(range(10)) and len(found.warnings) == 1


@pytest.mark.parametrize(
    ("theirs", "ours", "sentence"),
    [
        (("hat",), ("bag", "boot"), "shares no class name with the set"),
        (numbered_classes(3), ("bag", "boot"), "their numbers cannot be matched"),
        (("0", "7"), numbered_classes(3), "numbers 2 classes up to 7 and the set 3 up to 2"),
    ],
)
def test_real_images__classes_that_cannot_be_matched(theirs, ours, sentence) -> None:
    with pytest.raises(UnreadableInput, match=sentence):
        real_images(opened(theirs, [0]), ours, "reference")


def test_real_images__no_images_or_none_of_the_classes() -> None:
    with pytest.raises(UnreadableInput, match=r"the test real\.npz holds labels only"):
        real_images(opened(("bag", "boot"), [0, 1], with_images=False), ("bag", "boot"), "test")
    with pytest.raises(UnreadableInput, match=r"holds no image of the set's classes"):
        real_images(opened(("bag", "hat"), [1]), ("bag", "boot"), "test")
