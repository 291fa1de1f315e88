"""How students learn, as forms ask for it and as findings tell it."""

from __future__ import annotations

from dataclasses import replace

from analysis.students.options import cropped, schooled
from analysis.students.task import Schooling


def test_cropped__only_where_there_is_augmentation_for_crops_to_be_part_of() -> None:
    plain = Schooling(augment=False)
    assert cropped(plain, 0.3) == plain, "so that the same students are not trained again under another name"
    assert cropped(Schooling(), 0.3) == replace(Schooling(), crop=0.3)


def test_schooled__crops_are_said_where_there_are_any() -> None:
    assert schooled(Schooling(seeds=(0,))) == "1 seed, ConvNet-3, 32 wide, 200 steps, augmented"
    assert schooled(Schooling(crop=0.08)).endswith("augmented with random crops of 8% of the image or more")
    assert "crops" not in schooled(Schooling(crop=0.08, augment=False))
