"""A newcomer's whole job without a mouse: open, look, select, prune, decide, undo, export."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import drawn
from tests.browser.keyboard import tab_to
from tests.browser.steps import app, made, tiles
from tests.data.sets import N

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BACK = "Shift+Tab"


def follow(page: Page, name: str) -> None:
    """To a page of the menu: back from wherever the focus is."""
    tab_to(page, name, BACK)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    drawn(page)


def select_and_prune(page: Page) -> None:
    expect(tiles(page)).to_have_count(N)
    tab_to(page, "sample 0")
    for key in ("ArrowRight", "Space", "ArrowRight", "Space"):
        page.keyboard.press(key)
    expect(page.get_by_text("2 selected").first).to_be_visible()
    expect(tiles(page).nth(2)).to_be_focused()
    expect(page.get_by_role("button", name="Prune", exact=True)).to_be_enabled()
    tab_to(page, "Prune", BACK)
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 × prune, saved.")).to_be_visible()


def decide_and_undo(page: Page) -> None:
    tab_to(page, "Queue")
    page.keyboard.press("ArrowDown")  # while a menu is closed, letters are the card's
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.type("Everything undecided, in stored")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{N - 2} left")).to_be_visible()
    tab_to(page, "K Keep")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(rf"^3 of {N} decided"))).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="all saved")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_text(re.compile(rf"^4 of {N} decided"))).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text(re.compile(rf"^3 of {N} decided"))).to_be_visible()


def export(page: Page, folder: Path) -> dict:
    tab_to(page, "Folder to write")
    page.keyboard.press("Control+a")
    page.keyboard.type(str(folder))
    page.keyboard.press("Tab")  # leaves the field, which is when Streamlit reads it
    tab_to(page, "Write")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Written to")).to_be_visible()
    return json.loads((folder / "manifest.json").read_text())


def test_whole_job__by_keys_alone(page: Page, tmp_path: Path):
    path = made(tmp_path)
    with app(tmp_path) as server:
        page.goto(server.address)
        expect(page.get_by_label("File or folder")).to_be_visible()
        drawn(page)
        tab_to(page, "File or folder")
        page.keyboard.type(str(path))
        tab_to(page, "Open")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="What next")).to_be_visible()
        follow(page, "Browse")
        select_and_prune(page)
        follow(page, "Decide")
        decide_and_undo(page)
        follow(page, "Export")
        manifest = export(page, tmp_path / "curated")
    assert manifest["counts"]["pruned"] == 2
