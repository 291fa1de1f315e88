"""The pages in a real browser, where something once went wrong: what is drawn, and what a click on it does."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import Page, expect

from tests.browser.steps import app, choose, go_to, made, open_path, tiles
from tests.data.sets import CLASSES, IPC, N

pytestmark = pytest.mark.browser
MAPPED_MS = 90_000


def lasso(page: Page) -> None:
    """Around everything on the first chart."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.01)]
    for place, (across, down) in enumerate(corners):
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down, steps=4)
        if place == 0:
            page.mouse.down()
    page.mouse.up()


@pytest.mark.slow
def test_browse__a_lasso_on_the_map_is_understood(page, tmp_path):
    with app(tmp_path, made(tmp_path)) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        page.get_by_text("Select on the map").click(timeout=MAPPED_MS)
        expect(page.locator(".js-plotly-plot .nsewdrag").first).to_be_visible()
        lasso(page)
        expect(page.get_by_text(f"{N} samples in the lasso.")).to_be_visible()
        expect(tiles(page)).to_have_count(N)


def test_analysis__a_click_on_a_class_filters_the_gallery(page, tmp_path):
    with app(tmp_path, made(tmp_path)) as server:
        page.goto(server.address)
        go_to(page, "Within-class diversity")
        expect(page.get_by_text(f"{N} of {N} samples")).to_be_visible(timeout=MAPPED_MS)
        choose(page, "Per class", "n")
        page.wait_for_timeout(1500)  # the chart is drawn anew, with a movement
        bars = page.locator(".js-plotly-plot .nsewdrag").first
        bars.scroll_into_view_if_needed()
        box = bars.bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.5 / CLASSES, box["y"] + box["height"] - 2)
        expect(page.get_by_text(f"{IPC} of {IPC} samples in the selected classes")).to_be_visible()
        expect(tiles(page)).to_have_count(IPC)


@pytest.mark.parametrize("width", [1100, 1440])
def test_browse__no_button_is_cut_short(new_page, tmp_path, width):
    page = new_page(viewport={"width": width, "height": 900})
    with app(tmp_path, made(tmp_path)) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        expect(tiles(page).first).to_be_visible()
        for name in ("More", "Keep", "Prune", "Restore", "Undo"):
            words = (
                page.get_by_test_id("stMain")
                .get_by_role("button", name=re.compile(rf"{name}\b"))
                .get_by_text(name, exact=True)
            )
            assert words.evaluate("e => e.scrollWidth <= e.clientWidth + 1"), name


def test_sets__a_set_whose_files_are_gone_can_be_taken_off_the_list(page, tmp_path):
    path = made(tmp_path)
    with app(tmp_path, path) as server:
        path.unlink()
        page.goto(server.address)
        expect(page.get_by_role("alert").filter(has_text=path.name)).to_be_visible()
        page.get_by_role("button", name="Forget this set").click()
        expect(page.get_by_role("button", name="Open the demo set")).to_be_visible()


def test_sets__two_of_the_same_name_are_told_apart(page, tmp_path):
    paths = [tmp_path / name / "images_best.pt" for name in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        torch.save(torch.randn(4, 3, 8, 8), path)
        torch.save(torch.arange(4), path.with_name("labels_best.pt"))
    with app(tmp_path, *paths) as server:
        page.goto(server.address)
        choose(page, "Set", "first/images_best")
        expect(page.get_by_role("code").filter(has_text=str(paths[0]))).to_be_visible()


def test_sets__says_what_to_do_next(page, tmp_path):
    with app(tmp_path) as server:
        page.goto(server.address)
        open_path(page, made(tmp_path))
        page.get_by_test_id("stMain").get_by_role("link", name="Decide").click()
        expect(page.get_by_role("heading", name="Decide", exact=True)).to_be_visible()


def test_sets__file_names_are_shown_as_they_are(page, tmp_path):
    with app(tmp_path) as server:
        page.goto(server.address)
        expect(page.get_by_text("(res_*.pt)")).to_be_visible()  # as Markdown, two stars would make the rest italic


def test_analysis__rare_parameters_wait_under_more(page, tmp_path):
    with app(tmp_path, made(tmp_path)) as server:
        page.goto(server.address)
        links = page.get_by_test_id("stSidebarNav").get_by_role("link")
        expect(links.filter(has_text="New classes")).to_be_visible()
        names = links.all_inner_texts()
        assert "Label errors" in names[2], "what most people look for stands first"
        go_to(page, "Label errors")
        expect(page.get_by_text(re.compile("^Computed in"))).to_be_visible()  # and nothing moves between two clicks
        page.get_by_text("Parameters", exact=True).click()
        expect(page.get_by_text("Ranking", exact=True)).to_be_visible()
        expect(page.get_by_text("ELR weight", exact=True)).not_to_be_visible()
        page.get_by_text(re.compile(r"^More \(\d+\)$")).click()
        expect(page.get_by_text("ELR weight", exact=True)).to_be_visible()
