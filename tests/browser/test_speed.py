"""What keeps pages quick whatever the size of the set; how quick they are, `python -m benchmarks.pages` says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from data.workspace import Workspace
from tests.browser.steps import app, go_to, tiles

pytestmark = pytest.mark.browser
A_PAGE, SIDE = 100, 224
PAGES = 3
# Where each tile's middle lies in the sheet behind it, and the colour there.
_COLOURS = """async gallery => {
    const pictures = [...gallery.querySelectorAll('.picture')].map(picture => getComputedStyle(picture));
    const sheets = new Set(pictures.map(style => style.backgroundImage));
    const sheet = new Image();
    sheet.src = pictures[0].backgroundImage.slice(5, -2);
    await sheet.decode();
    const canvas = new OffscreenCanvas(sheet.naturalWidth, sheet.naturalHeight);
    const pen = canvas.getContext('2d');
    pen.drawImage(sheet, 0, 0);
    const colours = pictures.map(style => {
        const [shownWidth, shownHeight] = style.backgroundSize.split(' ').map(parseFloat);
        const [left, top] = style.backgroundPosition.split(' ').map(parseFloat);
        const x = (parseFloat(style.width) / 2 - left) * sheet.naturalWidth / shownWidth;
        const y = (parseFloat(style.height) / 2 - top) * sheet.naturalHeight / shownHeight;
        return [...pen.getImageData(x, y, 1, 1).data].slice(0, 3);
    });
    return { sheets: sheets.size, colours };
}"""


def coloured_folder(root: Path) -> np.ndarray:
    """PAGES pages of JPEG files, each of one colour of its own; the colours (N, 3) in the order of sample ids."""
    colours = np.random.default_rng(0).integers(0, 256, (PAGES * A_PAGE, 3), dtype=np.uint8)
    for i, colour in enumerate(colours):
        place = root / f"new{i // 50:03d}"
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), tuple(colour.tolist())).save(place / f"class{i // 50:03d}_id{i % 50:03d}.jpg")
    return colours


@pytest.fixture
def colours(tmp_path: Path) -> np.ndarray:
    """The colours of a set that the workspace below ``tmp_path`` lists; nothing is being analysed."""
    made = coloured_folder(tmp_path / "set")
    with Workspace.open(tmp_path / "workspace") as workspace:
        workspace.add_set(tmp_path / "set")
    return made


def next_page(page: Page, first: int) -> None:
    page.get_by_role("button", name="chevron_right").click()
    expect(tiles(page).first).to_have_attribute("data-id", str(first))
    expect(tiles(page)).to_have_count(A_PAGE)


def test_page_of_100_thumbnails__costs_at_most_one_image_request(page, tmp_path, colours):
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        expect(tiles(page)).to_have_count(A_PAGE)
        asked = []
        page.on("request", lambda request: asked.append(request.url) if request.resource_type == "image" else None)
        for number in range(1, PAGES):
            asked.clear()
            next_page(page, number * A_PAGE)
            page.wait_for_load_state("networkidle")
            assert len([url for url in asked if not url.startswith(("data:", "blob:"))]) <= 1


def test_page_of_100_thumbnails__every_tile_shows_its_own_image(page, tmp_path, colours):
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        for number in range(PAGES):
            if number:
                next_page(page, number * A_PAGE)
            expect(tiles(page)).to_have_count(A_PAGE)
            shown = page.locator(".gallery").evaluate(_COLOURS)
            assert shown["sheets"] == 1
            expected = colours[number * A_PAGE : (number + 1) * A_PAGE].astype(int)
            assert np.abs(np.asarray(shown["colours"]) - expected).max() <= 4
