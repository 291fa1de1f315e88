"""The Compare page in a real Chromium: every answer is in the table, once, in order, on the side where it was shown."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.compare_queue import BLOCK
from data.pair_answers import NOTHING, PEOPLE, PairAnswers
from data.workspace import Workspace
from tests.app.compared import add_critic, candidates
from tests.browser.component_pages.pictures import images
from tests.browser.steps import app, go_to, saved

pytestmark = pytest.mark.browser
N, CLASSES = 24, 4
FAST_MS = 20
SAID = {"ArrowLeft": "left", "1": "left", "ArrowRight": "right", "2": "right", "b": "both", "n": "neither", "s": "none"}
KEYS = ["ArrowLeft", "2", "b", "ArrowRight", "1", "n"] * 5


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    """The folder of a workspace whose set has 24 doubtful labels, the last one with a single candidate."""
    pixels = np.stack(images(N).viewable(range(N))).transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.savez(tmp_path / "set.npz", images=pixels, labels=np.arange(N) % CLASSES)
    two = [(i, [(i % CLASSES, 0.4 + i / 100), ((i + 1) % CLASSES, 0.3)]) for i in range(N - 1)]
    with Workspace.open(tmp_path / "workspace") as workspace:
        add_critic(workspace, workspace.add_set(tmp_path / "set.npz"), candidates([*two, (N - 1, [(3, 1.0)])]))
    return tmp_path


def open_compare(page: Page, address: str) -> None:
    page.goto(address)
    go_to(page, "Compare")
    expect(page.locator(".card.pair")).to_be_visible()


def question(page: Page) -> tuple[int, int, int]:
    """(sample, left, right) on the card."""
    expect(page.locator('.card.pair[data-question*="/"]')).to_be_visible()
    return tuple(map(int, page.locator(".card.pair").get_attribute("data-question").split("/")))


def answers(folder: Path) -> PairAnswers:
    with Workspace.open(folder / "workspace") as workspace:
        return workspace.answers(workspace.sets()[0].id, PEOPLE)


def asked(rows: PairAnswers) -> list[tuple[int, int, int]]:
    return list(zip(rows.sample_id.tolist(), rows.left.tolist(), rows.right.tolist(), strict=True))


def test_fast_keys__thirty_rows_once_in_order_with_a_reload_between(page, compared):
    with app(compared) as server:
        open_compare(page, server.address)
        question(page)
        for key in KEYS[:15]:
            page.keyboard.press(key)
            page.wait_for_timeout(FAST_MS)
        following = question(page)
        page.reload()
        expect(page.get_by_text(f"15 of {2 * N} answered")).to_be_visible()
        assert question(page) == following, "a reload asks the same, on the same sides"
        for key in KEYS[15:]:
            page.keyboard.press(key)
            page.wait_for_timeout(FAST_MS)
        saved(page)
        expect(page.get_by_text(f"{len(KEYS)} of {2 * N} answered")).to_be_visible()
    rows = answers(compared)
    assert rows.said.tolist() == [SAID[key] for key in KEYS]
    expected = [*range(BLOCK), *range(len(KEYS) - BLOCK)]
    assert rows.sample_id.tolist() == expected, "least certain first; a block of pairs, then the same again"
    first, second = asked(rows)[: len(KEYS) - BLOCK], asked(rows)[BLOCK:]
    assert second == [(sample, right, left) for sample, left, right in first]
    assert {frozenset(pair) for _, *pair in asked(rows)} <= {frozenset((i, (i + 1) % CLASSES)) for i in range(CLASSES)}
    assert set(rows.author) == {"local"} and len(set(asked(rows))) == len(KEYS)


@pytest.mark.slow
def test_every_key_and_button__says_what_it_shows(page, compared):
    with app(compared) as server:
        open_compare(page, server.address)
        shown = []
        for key in SAID:
            shown.append(question(page))
            page.keyboard.press(key)
        sides = page.locator(".choice")
        for place in (0, 1):
            shown.append(question(page))
            name = f"class {shown[-1][place + 1]} fits"
            expect(sides.nth(place)).to_have_attribute("aria-label", name)
            sides.nth(place).click()
        for name in ("Both fit", "Neither fits", "Skip"):
            shown.append(question(page))
            page.get_by_role("button", name=name).click()
        saved(page)
    rows = answers(compared)
    assert rows.said.tolist() == [*SAID.values(), "left", "right", "both", "neither", "none"]
    assert asked(rows) == shown


@pytest.mark.slow
def test_typing_a_name__answers_nothing_and_the_name_survives_a_reload(page, compared):
    with app(compared) as server:
        open_compare(page, server.address)
        name = page.get_by_label("Your name")
        name.click()
        page.keyboard.type("Ben 12 sn")
        expect(page.locator(".asleep")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("by=Ben"))
        page.locator(".ask").click()
        before = question(page)
        page.keyboard.press("b")
        saved(page)
        page.reload()
        expect(page.get_by_label("Your name")).to_have_value("Ben 12 sn")
        expect(page.get_by_text(f"1 of {2 * N} answered")).to_be_visible()
    rows = answers(compared)
    assert (asked(rows), rows.author.tolist(), rows.said.tolist()) == ([before], ["Ben 12 sn"], ["both"])


@pytest.mark.slow
def test_everything_answered__single_label_check_skips_and_what_next(page, compared):
    with app(compared) as server:
        open_compare(page, server.address)
        page.get_by_role("button", name="More").click()
        page.locator("label", has_text="Ask each pair twice").click()
        page.keyboard.press("Escape")
        expect(page.locator('[role="dialog"]')).to_have_count(0)  # keys count only where nothing covers the card
        expect(page.get_by_text(f"0 of {N} answered")).to_be_visible()
        for _ in range(N - 1):
            question(page)
            page.keyboard.press("ArrowLeft")
        assert question(page) == (N - 1, 3, NOTHING)
        expect(page.get_by_role("heading", name="Does “class 3” fit?")).to_be_visible()
        expect(page.get_by_role("button", name="Both fit")).to_be_disabled()
        page.keyboard.press("b")
        page.keyboard.press("s")
        expect(page.get_by_text("All answered but 1 that you skipped.")).to_be_visible()
        page.get_by_role("button", name="Ask the skipped ones again").click()
        assert question(page) == (N - 1, 3, NOTHING)
        page.get_by_role("button", name="something else").click()
        expect(page.get_by_text("All answered. Thank you!")).to_be_visible()
        expect(page.get_by_text("Run the label critic again, so that it counts these answers")).to_be_visible()
    assert answers(compared).said.tolist() == ["left"] * (N - 1) + ["none", "right"]


def test_nothing_on_the_page_tells_which_label_is_given(page, compared):
    """Neither words nor markup name the given label, a source, or the sample: its number tells its class in a sorted set."""
    with app(compared) as server:
        open_compare(page, server.address)
        question(page)
        text = page.get_by_test_id("stMain").inner_text()
        html = page.locator(".card.pair").evaluate("card => card.outerHTML")
    for word in ("given", "suggest", "sample", "origin", "critic"):
        assert word not in text.lower() and word not in html.lower()
    assert html.count('class="tile"') == 6, "as many examples on either side"
