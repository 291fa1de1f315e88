"""Notes read as sentences."""

from __future__ import annotations

import pytest

from app.notes import as_sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cut into 10 rows of 10 tiles.", "Cut into 10 rows of 10 tiles."),
        ("the file holds 5 repeats", "The file holds 5 repeats."),
        ("labels_best.pt is not beside it", "labels_best.pt is not beside it."),
        ("7 of 100 classes have fewer than 5 images", "7 of 100 classes have fewer than 5 images."),
        ("GLaD's result files hold noise", "GLaD's result files hold noise."),
    ],
)
def test_as_sentence__capital_and_full_stop_but_no_changed_name(text, sentence):
    assert as_sentence(text) == sentence
