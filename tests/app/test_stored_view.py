"""What "as stored" honestly is, for every kind of pixels."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from app.stored_view import stored_view
from data.images import Images, TensorStore
from data.pixels import PROFILES


def made(pixels: torch.Tensor, profile: str) -> Images:
    return Images(TensorStore(pixels), PROFILES[profile])


def shown(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def test_stored_view__is_the_stored_bytes_whatever_the_contrast():
    pixels = torch.randint(60, 120, (2, 3, 8, 8), dtype=torch.uint8)
    view = stored_view(made(pixels, "uint8"), 1, "stretched")
    assert np.array_equal(shown(view.image), pixels[1].permute(1, 2, 0).numpy())
    assert "bytes of the file" in view.words


def test_stored_view__the_same_picture_is_not_sent_twice():
    assert stored_view(made(torch.rand(1, 3, 8, 8), "unit"), 0, "as trained").image == ""


def test_stored_view__says_how_much_a_screen_cannot_show():
    pixels = torch.full((1, 3, 10, 10), 0.5)
    assert "all of them can be shown" in stored_view(made(pixels, "unit"), 0, "as trained").words
    pixels[0, :, :5] = 1.5
    assert "50.0% lie outside" in stored_view(made(pixels, "unit"), 0, "as trained").words
    normalised = stored_view(made(torch.zeros(1, 3, 4, 4), "imagenet"), 0, "as trained").words
    assert "× std + mean (imagenet)" in normalised and "all of them can be shown" in normalised


@pytest.mark.parametrize(("profile", "word"), [("zca", "ZCA-whitened"), ("unknown", "unknown pixel space")])
def test_stored_view__where_values_have_no_colours_it_says_so(profile, word):
    words = stored_view(made(torch.randn(1, 3, 8, 8), profile), 0, "as trained").words
    assert word in words and "no colours of their own" in words


def test_stored_view__channels_that_are_not_shown_are_named():
    assert "channels 4 to 5 are not shown" in stored_view(made(torch.rand(1, 5, 4, 4), "unit"), 0, "as trained").words
