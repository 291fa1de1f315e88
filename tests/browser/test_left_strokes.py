"""What was on its way when a page was left: saved on the next one, once, in order, and by whom it belongs to alone."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from data.pair_answers import PEOPLE
from data.workspace import Workspace
from tests.browser.annotators import prepare
from tests.browser.conftest import Server
from tests.browser.steps import app, choose, go_to, log_of, settled, tiles
from tests.browser.test_components import expect_log

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BURST_MS = 60
ACTIONS = ("keep", "keep", "skip", "keep", "keep")
N = 40
_NOTE_PLACES = """window.places = [];
const set = Storage.prototype.setItem;
Storage.prototype.setItem = function (name, value) {
    if (name.startsWith('stillroom/') && !places.includes(name)) places.push(name);
    set.call(this, name, value);
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path / "app", N)
    return tmp_path / "app"


def decision(sample: int, action: str = "keep", **more: object) -> dict:
    return {"action": action, "sample_id": sample, **more}


def answer(sample: int, said: str = "left") -> dict:
    return {"sample_id": sample, "left": 0, "right": 1, "said": said, "author": "Ann"}


def leave(page: Page, kind: str, scope: str, *events: dict) -> None:
    """As a card does that is left, in an earlier load of the page."""
    token = uuid.uuid4().hex
    entries = [{"token": token, "seq": i, "at": f"2026-01-01T00:00:00.{i:06d}Z", **event} for i, event in enumerate(events)]
    page.evaluate(
        "([place, text]) => sessionStorage.setItem(place, text)", [f"stillroom/{kind}/{scope}", json.dumps(entries)]
    )


def kept(page: Page) -> list[str]:
    """The places at which something waits."""
    return page.evaluate("Object.keys(sessionStorage).filter(place => place.startsWith('stillroom/')).sort()")


def all_taken(page: Page) -> None:
    """Nothing waits any more."""
    page.wait_for_function("() => !Object.keys(sessionStorage).some(place => place.startsWith('stillroom/'))")


def said_here(page: Page):
    return page.locator(".left")


def set_of(page: Page) -> str:
    page.wait_for_url("**set=*")
    return parse_qs(urlparse(page.url).query)["set"][0]


@pytest.mark.parametrize("way", ["click", "Enter"])
def test_another_page_is_opened_in_a_burst__all_of_it_is_there_at_once(page: Page, folder: Path, way: str):
    with app(folder) as server:
        page.goto(f"{server.address}/decide?by=Ann")
        choose(page, "Queue", "Everything undecided, in stored order")
        expect(page.locator('.card[data-sample="0"]')).to_be_visible()
        settled(page)
        link = page.get_by_test_id("stSidebarNav").get_by_role("link", name="Audit", exact=True)
        link.scroll_into_view_if_needed()
        for action in ACTIONS:
            page.keyboard.press(action[0])
            page.wait_for_timeout(BURST_MS)
        if way == "click":
            link.click()
        else:
            link.focus()
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Audit", exact=True)).to_be_visible()
        expect(page.get_by_text("1 to 5 of 5 entries, newest first")).to_be_visible()
        all_taken(page)
    log = log_of(folder)
    assert [(entry.action, entry.sample_id) for entry in log] == list(zip(ACTIONS, range(len(ACTIONS)), strict=True))
    assert {entry.annotator for entry in log} == {"Ann"}


def test_a_reload_elsewhere__saves_what_every_kind_of_card_left_in_any_set(page: Page, folder: Path):
    edit = {"base": None, "set": [[0, 0.5], [1, 0.5]]}
    with app(folder) as server:
        page.goto(f"{server.address}/browse")
        scope = set_of(page)
        settled(page)
        leave(page, "decisions", scope, decision(0), decision(1, "skip"), decision(2), decision(2, "undo"))
        leave(page, "labels", f"{scope}/grid label", decision(4, "soften", soft=edit), decision(5))
        leave(page, "answers", scope, answer(6), answer(7, "both"))
        page.reload()
        settled(page)
        all_taken(page)
        settled(page)
    said = [(entry.action, entry.sample_id) for entry in log_of(folder)]
    assert [one for one in said if one[1] < 4] == [("keep", 0), ("skip", 1), ("keep", 2), ("undo", 2)]
    assert [one for one in said if one[1] >= 4] == [("soften", 4), ("keep", 5)]
    with Workspace.open(folder / "workspace") as workspace:
        assert workspace.answers(scope, PEOPLE).said.tolist() == ["left", "both"]


def test_editor__what_it_left_is_saved_on_a_page_without_it(page: Page, folder: Path):
    """At the very place at which the editor of the grid keeps what it saves."""
    page.add_init_script(_NOTE_PLACES)
    with app(folder) as server:
        page.goto(f"{server.address}/browse")
        tiles(page).nth(4).click()
        page.get_by_role("button", name="Edit the soft label").click()
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        expect(page.get_by_text("History (1)")).to_be_visible()
        [place] = page.evaluate("places")
        go_to(page, "Export")
        _, kind, scope = place.split("/", 2)
        leave(page, kind, scope, decision(5))
        page.reload()
        all_taken(page)
    assert [(entry.action, entry.sample_id) for entry in log_of(folder)] == [("soften", 4), ("keep", 5)]


def test_on_the_card_s_own_page__nothing_comes_twice(page: Page, folder: Path):
    with app(folder) as server:
        page.goto(f"{server.address}/decide?by=Ann")
        scope = set_of(page)
        settled(page)
        leave(page, "decisions", scope, *(decision(i) for i in range(3)))
        page.reload()
        expect(page.locator(".saved")).to_have_text("all saved")
        choose(page, "Queue", "Everything undecided, in stored order")
        expect(page.locator('.card[data-sample="3"]')).to_be_visible()
        page.keyboard.press("k")
        expect(page.get_by_text(f"4 of {N} decided")).to_be_visible()
        go_to(page, "Browse")
        settled(page)
    assert [entry.sample_id for entry in log_of(folder)] == [0, 1, 2, 3]


def test_what_belongs_to_nobody_here__is_left_where_it_is(page: Page, component_server: Server):
    run = uuid.uuid4().hex
    page.goto(f"{component_server.address}/left_page?run={run}")
    expect_log(page, ["nothing yet"])
    leave(page, "decisions", f"{run} somebody else", decision(0))
    leave(page, "guesses", run, decision(1))
    leave(page, "decisions", run, decision(2))
    page.reload()
    expect_log(page, ["keep 2"])
    assert kept(page) == [f"stillroom/decisions/{run} somebody else", f"stillroom/guesses/{run}"]


def test_what_cannot_be_saved__stays_says_why_and_is_offered_again(page: Page, component_server: Server):
    run = uuid.uuid4().hex
    page.goto(f"{component_server.address}/left_page?run={run}")
    page.locator("label", has_text="broken").click()
    expect(page.get_by_role("checkbox", name="broken")).to_be_checked()
    settled(page)
    leave(page, "decisions", run, decision(0), decision(1))
    expect(said_here(page)).to_have_text("2 waiting to be saved: the disk is full; free some space.")
    leave(page, "answers", run, answer(2))
    page.wait_for_timeout(1_000)
    assert len(kept(page)) == 2
    page.locator("label", has_text="broken").click()
    expect(page.locator("code")).to_have_text("keep 0\nkeep 1\nleft of 2")
    expect(said_here(page)).to_have_text("")
    all_taken(page)


def test_broken_storage__is_no_stroke(page: Page, component_server: Server):
    run = uuid.uuid4().hex
    page.goto(f"{component_server.address}/left_page?run={run}")
    page.evaluate(f"sessionStorage.setItem('stillroom/decisions/{run}', 'no JSON at all')")
    leave(page, "answers", run, answer(2))
    expect_log(page, ["left of 2"])
    expect(said_here(page)).to_have_text("")
