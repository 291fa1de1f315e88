"""One picture of a question: the image asked about, large, and beside it labelled rows of reference examples."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from analysis.critic.answer_form import LONGEST_NAME, bounded

SAMPLE_PX = 384
TILE_PX = 128
WIDTH = 1_024
MOST_EXAMPLES = 12
MARGIN, TITLE_PX, FONT_PX = 16, 28, 20
BACKGROUND, INK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True)
class Row:
    """A label's row: its title, which is untrusted text, and its examples, uint8 RGB (H, W, 3) each."""

    title: str
    examples: Sequence[np.ndarray]


def montage(sample: np.ndarray, rows: Sequence[Row]) -> Image.Image:
    """``sample``, uint8 RGB (H, W, 3), under the title IMAGE, and ``rows`` to its right.

    WIDTH pixels wide, and less high.
    """
    left = SAMPLE_PX + 2 * MARGIN
    row_px = TITLE_PX + TILE_PX + MARGIN
    page = Image.new("RGB", (WIDTH, MARGIN + max(TITLE_PX + SAMPLE_PX + MARGIN, row_px * len(rows))), BACKGROUND)
    _write(page, (MARGIN, MARGIN), "IMAGE", SAMPLE_PX)
    _place(page, sample, (MARGIN, MARGIN + TITLE_PX), SAMPLE_PX)
    for place, row in enumerate(rows):
        _draw_row(page, row, (left, MARGIN + place * row_px), WIDTH - left - MARGIN)
    return page


def png(picture: Image.Image) -> bytes:
    """``picture`` as a PNG file, without any metadata."""
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


def fitted(image: np.ndarray, box: int) -> Image.Image:
    """``image``, uint8 RGB, with its longer side ``box`` pixels at most.

    A smaller one grows by a whole factor without smoothing, so that its pixels stay what they are.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    longer = max(picture.size)
    if longer <= box:
        factor = box // longer
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    size = tuple(max(1, round(side * box / longer)) for side in picture.size)
    return picture.resize(size, Image.Resampling.BOX)


def _draw_row(page: Image.Image, row: Row, at: tuple[int, int], width: int) -> None:
    _write(page, at, row.title, width)
    examples = row.examples[:MOST_EXAMPLES]
    gap = MARGIN // 4
    tile = min(TILE_PX, (width + gap) // max(len(examples), 1) - gap)
    for place, example in enumerate(examples):
        _place(page, example, (at[0] + place * (tile + gap), at[1] + TITLE_PX), tile)


def _place(page: Image.Image, image: np.ndarray, at: tuple[int, int], box: int) -> None:
    page.paste(fitted(image, box), at)


def _write(page: Image.Image, at: tuple[int, int], text: str, width: int) -> None:
    """``text`` as one line, cut where it would leave ``width`` pixels."""
    line, font = bounded(text, LONGEST_NAME), _font()
    while font.getlength(line) > width:
        line = f"{line[:-2]}…"
    ImageDraw.Draw(page).text(at, line, fill=INK, font=font)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(FONT_PX)
