"""What augmentation does to an image, one kind at a time."""

from __future__ import annotations

import math

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
