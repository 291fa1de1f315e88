"""What augmentation does to an image, one kind at a time."""

from __future__ import annotations

import math

import pytest
import torch

from analysis.students.augmentation import Strength, augmented, drawn

NONE = Strength(turn=0, stretch=0, shift=0, contrast=0, light=0)
NUMBERS = ("turn", "wide", "high", "right", "down", "light", "contrast", "mirror")


def images(n: int = 4) -> torch.Tensor:
    return torch.rand(n, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def numbers(n: int = 4, **given: float) -> torch.Tensor:
    return torch.tensor([[given.get(name, 0.0)] * n for name in NUMBERS])


def test_augmented__nothing_drawn_changes_nothing() -> None:
    torch.testing.assert_close(augmented(images(), numbers()[:7], Strength()), images(), rtol=1e-5, atol=1e-5)


def test_augmented__turns_by_the_angle() -> None:
    turned = augmented(images(), numbers(turn=1.0), Strength(math.pi / 2, 0, 0, 0, 0))
    torch.testing.assert_close(turned, images().rot90(1, (2, 3)), rtol=1e-4, atol=1e-5)


def test_augmented__mirrors_left_and_right() -> None:
    strength = Strength(0, 0, 0, 0, 0, mirror=True)
    torch.testing.assert_close(augmented(images(), numbers(mirror=-1.0), strength), images().flip(3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(augmented(images(), numbers(mirror=1.0), strength), images(), rtol=1e-4, atol=1e-5)


def test_augmented__shifts_and_repeats_the_edge() -> None:
    shifted = augmented(images(), numbers(right=1.0), Strength(0, 0, 0.25, 0, 0))  # of a side from -1 to 1: one pixel of 8
    torch.testing.assert_close(shifted[..., :-1], images()[..., 1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shifted[..., -1], images()[..., -1], rtol=1e-4, atol=1e-5)


def test_augmented__light_and_contrast() -> None:
    lit = augmented(images(), numbers(light=1.0, contrast=-1.0), Strength(0, 0, 0, 0.5, 0.2))
    torch.testing.assert_close(lit.mean((1, 2, 3)), images().mean((1, 2, 3)) + 0.2)
    torch.testing.assert_close(lit.std((1, 2, 3)), images().std((1, 2, 3)) * 0.5)


def test_drawn__each_image_its_own_and_mirrored_half_of_the_time() -> None:
    draw = torch.Generator().manual_seed(1)
    assert drawn(5, Strength(), draw).shape == (7, 5)
    many = drawn(4000, Strength(mirror=True), draw)
    assert many.abs().max() <= 1 and len(many.unique()) > 25_000
    assert abs(float((many[7] < 0).float().mean()) - 0.5) < 0.04


def crop_numbers(n: int = 4, **given: float) -> torch.Tensor:
    moves = numbers(n)[:7]
    return torch.cat([moves, torch.tensor([[given.get(name, 0.0)] * n for name in ("area", "oblong", "right", "down")])])


def test_augmented__a_crop_of_a_quarter_in_a_corner_is_that_quarter_enlarged() -> None:
    strength = Strength(0, 0, 0, 0, 0, crop=0.25)
    cropped = augmented(images(), crop_numbers(area=-1.0, right=1.0, down=-1.0), strength)
    # Rows 0 to 3 and columns 4 to 7 to the double: inner places have four neighbours, all of that quarter.
    wanted = torch.nn.functional.interpolate(images()[:, :, :4, 4:], (8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(cropped[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1], rtol=1e-4, atol=1e-5)
    whole = augmented(images(), crop_numbers(area=1.0, oblong=1.0, right=1.0), strength)
    torch.testing.assert_close(whole, images(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smallest", [0.08, 0.5, 0.97])
def test_augmented__crops_lie_within_the_image_and_are_no_smaller_than_asked(smallest: float) -> None:
    """Images whose pixels say where they are: what the corners show is where the crop's edges are."""
    n, side = 2_000, 32
    place = (torch.arange(side) + 0.5) / side
    maps = torch.stack([place.expand(side, side), place[:, None].expand(side, side)])
    strength = Strength(0, 0, 0, 0, 0, crop=smallest)
    shown = augmented(maps.expand(n, 2, side, side), drawn(n, strength, torch.Generator().manual_seed(0)), strength)
    step = (shown[:, 0, 16, 17] - shown[:, 0, 16, 16]) * side, (shown[:, 1, 17, 16] - shown[:, 1, 16, 16]) * side
    area, ratio = step[0] * step[1], step[0] / step[1]
    assert area.min() > smallest - 1e-3 and area.max() < 1 + 1e-3 and max(each.max() for each in step) < 1 + 1e-3
    assert float(area.mean()) == pytest.approx((1 + smallest) / 2, abs=0.02), "uniform"
    assert float(ratio.log().mean()) == pytest.approx(0, abs=0.02) and ratio.max() < 4 / 3 + 1e-3
    middle = shown[:, 0, 16, 15:17].mean(dim=1)
    assert (middle - step[0] / 2).min() > -1e-3 and (middle + step[0] / 2).max() < 1 + 1e-3


def test_drawn__cropping_changes_no_other_draw() -> None:
    plain, cropped = (drawn(5, Strength(crop=crop), torch.Generator().manual_seed(1)) for crop in (1.0, 0.3))
    assert cropped.shape == (11, 5) and torch.equal(cropped[:7], plain)
