"""The label critic in a real browser: run it, adopt at a level, see it counted, take it back; a person's word stands."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from data.decisions import CRITIC
from data.demo import DEMO
from data.workspace import Workspace
from tests.browser.steps import app, go_to, settled, tiles

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FOUND_MS = 300_000
COUNTED = re.compile(r"of [\d,]+ asked samples have a best label of")
UNDO = re.compile(r"Undo the adoption$")


def test_critic__adopts_as_one_batch_takes_it_back_and_leaves_people_alone(page, tmp_path):
    with Workspace.open(tmp_path / "workspace") as workspace:
        set_id = workspace.add_set(DEMO)  # opened here, it starts no other analysis
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Label critic")
        expect(page.get_by_text("nothing leaves this machine")).to_be_visible()
        page.get_by_role("button", name=re.compile("Run it now$")).click()
        expect(page.get_by_role("heading", name="Adopt the best labels")).to_be_visible(timeout=FOUND_MS)
        a_tournament_is_found_by_its_number(page)
        to_the_lowest_level(page)
        relabelled = number(page, r"(\d+) would be relabelled")
        assert relabelled >= 2

        tiles(page).first.click()
        page.get_by_role("button", name="Keep", exact=True).first.click()
        expect(counted(page)).to_contain_text("1 left out, because people have decided on them")
        expect(counted(page)).to_contain_text(f"{relabelled - 1} would be relabelled")
        page.get_by_role("button", name=re.compile(f"Adopt {relabelled - 1} labels?$")).click()
        expect(counted(page)).to_contain_text(f"{relabelled - 1} adopted already")
        expect(page.get_by_role("button", name=re.compile("Adopt 0 labels$"))).to_be_disabled()
        expect(page.get_by_text(f"Takes back {relabelled - 1} relabelled")).to_be_visible()
        expect(page.get_by_text("learn from it above before you adopt")).to_be_visible()
        decided(page, f"{relabelled} of 200 decided", "1 kept", f"{relabelled - 1} relabelled")

        go_to(page, "Label critic")
        page.get_by_role("button", name=UNDO).click()
        expect(page.get_by_role("button", name=UNDO)).to_have_count(0)
        decided(page, "1 of 200 decided", "1 kept")
    with Workspace.open(tmp_path / "workspace") as workspace:
        log = workspace.decisions(set_id)
        (kept,) = [decision for decision in log if decision.annotator != CRITIC]
        adopted = [decision for decision in log if decision.action == "relabel"]
        assert kept.action == "keep" and len(adopted) == relabelled - 1 and len(log) == 1 + 2 * len(adopted)
        assert kept.sample_id not in {decision.sample_id for decision in adopted}
        assert len(workspace.answers(set_id)), "what judges answered is in the one table"


def a_tournament_is_found_by_its_number(page: Page) -> None:
    settled(page)
    second = re.search(r"sample (\d+)", tiles(page).nth(1).get_attribute("aria-label")).group(1)
    menu = page.get_by_role("combobox", name="Sample")
    menu.fill(second)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Sample {second}, given label")).to_be_visible()
    menu.fill("123456")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No judge was asked about sample 123456")).to_be_visible()


def to_the_lowest_level(page: Page) -> None:
    page.get_by_role("slider").first.focus()
    page.keyboard.press("Home")
    expect(counted(page)).to_contain_text("best label of 0.5 or more")
    expect(page.get_by_text("the least sure first; the number is")).to_be_visible()
    settled(page)  # at another level other images are shown


def counted(page: Page) -> Locator:
    """The last: while a page is drawn anew the one before may still be there."""
    return page.get_by_text(COUNTED).last


def number(page: Page, pattern: str) -> int:
    return int(re.search(pattern, counted(page).inner_text()).group(1))


def decided(page: Page, *words: str) -> None:
    """What the Decide page counts."""
    go_to(page, "Decide")
    for word in words:
        expect(page.get_by_text(re.compile(r"of 200 decided"))).to_contain_text(word)
