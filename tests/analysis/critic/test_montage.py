from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from analysis.critic.montage import MARGIN, MOST_EXAMPLES, SAMPLE_PX, TILE_PX, TITLE_PX, WIDTH, Row, fitted, montage, png


def _image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_montage__shows_the_sample_and_its_examples_pixel_by_pixel():
    sample, example = _image(32, 32), _image(16, 16, 1)
    page = np.asarray(montage(sample, [Row("A: cat", [example]), Row("B: dog", [])]))
    top = MARGIN + TITLE_PX
    large = np.kron(sample, np.ones((12, 12, 1), np.uint8))
    np.testing.assert_array_equal(page[top : top + SAMPLE_PX, MARGIN : MARGIN + SAMPLE_PX], large)
    left = SAMPLE_PX + 2 * MARGIN
    small = np.kron(example, np.ones((8, 8, 1), np.uint8))
    np.testing.assert_array_equal(page[top : top + TILE_PX, left : left + TILE_PX], small)


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (1, 5_000), (3_000, 2), (2_000, 3_000), (383, 385)])
@pytest.mark.parametrize("examples", [0, 1, MOST_EXAMPLES, MOST_EXAMPLES + 5])
def test_montage__is_bounded_whatever_the_sizes(size, examples):
    rows = [Row(letter, [_image(*size)] * examples) for letter in "AB"]
    page = montage(_image(*size), rows)
    assert page.width == WIDTH and page.height <= WIDTH
    assert (np.asarray(page)[:, WIDTH - MARGIN :] == 255).all(), "nothing runs out of the picture"


@pytest.mark.parametrize("title", ["", "A: " + "wide " * 100, "\x00\u202e\n\t", "A: 猫\U0001f431", "W" * 10_000])
def test_montage__any_title_stays_inside(title):
    page = np.asarray(montage(_image(8, 8), [Row(title, [])]))
    assert (page[:, WIDTH - MARGIN :] == 255).all()
    assert (page[MARGIN + TITLE_PX :, SAMPLE_PX + MARGIN :] == 255).all(), "one line"


def test_montage__titles_differ():
    pages = [np.asarray(montage(_image(8, 8), [Row(title, [])])) for title in ("A: cat", "A: dog")]
    assert (pages[0] != pages[1]).any()


def test_fitted__keeps_proportions():
    assert fitted(_image(20, 40), 100).size == (80, 40)
    assert fitted(_image(300, 600), 100).size == (100, 50)


def test_png__holds_the_picture_and_nothing_else():
    held = png(montage(_image(8, 8), []))
    read = Image.open(io.BytesIO(held))
    assert read.format == "PNG" and read.size[0] == WIDTH
    assert read.info == {}, "no metadata goes out with it"
