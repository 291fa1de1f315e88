"""A card that Streamlit takes out of the page and puts in again: no key is lost, nor what was begun."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import saved, settled

pytestmark = pytest.mark.browser
BETWEEN = """
  window.between = [];  // keys to press, one each time that the card has left one place and has no other yet
  window.taken = [];  // those of them that reach nothing else, such as a menu that has the focus
  const attach = Element.prototype.attachShadow;  // a component's new place begins with it
  Element.prototype.attachShadow = function (options) {
    const key = window.between.shift();
    if (key && !document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }))) {
      window.taken.push(key);
    }
    return attach.call(this, options);
  };
"""
SLOW_SECONDS = 4
REPEATED_MS = 5_000  # RETRY_MS of event_queue.js
NEVER_REPEATED = f"""
  const later = window.setTimeout;
  window.setTimeout = (act, ms, ...rest) => (ms === {REPEATED_MS} ? 0 : later(act, ms, ...rest));
"""


@pytest.fixture
def moving(page: Page, component_server) -> Page:
    """A card that changes its place with every rerun."""
    page.add_init_script(BETWEEN)
    page.goto(f"{component_server.address}/card_page?run={uuid.uuid4().hex}&moves=1")
    expect(page.locator('.card[data-sample="0"]')).to_be_visible()
    return page


def test_keys_between_two_places__each_counts_once_and_in_order(moving):
    moving.evaluate("between.push('s', 'k', 'p')")
    moving.keyboard.press("k")
    expect(moving.get_by_text("Prune, because")).to_be_visible()  # begun in the gap, and still so in the new place
    assert moving.evaluate("between.length") == 0
    assert moving.evaluate("taken") == ["s", "k", "p"]
    moving.keyboard.press("1")
    saved(moving)
    expect(moving.get_by_test_id("stCode")).to_have_text("\n".join(["keep 0", "skip 1", "keep 2", "prune 3 wrong label"]))
    moving.keyboard.press("z")
    expect(moving.locator('.card[data-sample="3"]')).to_be_visible()  # what can be undone has come along


def test_keys_between_two_places__what_means_nothing_to_the_card_is_left_to_others(moving):
    moving.evaluate("between.push('q', 'Enter', 's')")
    for _ in range(3):
        moving.keyboard.press("k")
        saved(moving)
    assert moving.evaluate("between.length") == 0
    assert moving.evaluate("taken") == ["s"]


def test_edit_that_waits__is_sent_when_the_label_editor_has_another_place(page: Page, component_server):
    page.add_init_script(NEVER_REPEATED)  # else it would be sent by itself after a while
    page.goto(f"{component_server.address}/label_page?run={uuid.uuid4().hex}")
    tick(page, "broken")
    page.get_by_role("button", name="Edit the soft label").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    status = page.get_by_role("status").filter(has_text="saved")
    expect(status).to_have_text("waiting to be saved: the disk is full; free some space.")
    tick(page, "broken")
    expect(page.locator("code")).to_have_text("saved=0")
    tick(page, "moved")
    expect(page.locator("code")).to_have_text("saved=1 sum=1.000000")
    expect(status).to_have_text("saved")


def tick(page: Page, name: str) -> None:
    """Tick a box, or take the tick away."""
    page.locator("label", has_text=name).click()
    settled(page)


@pytest.mark.parametrize("away", ["a click", "a key"])
def test_what_is_held_goes_out_when_somebody_turns_to_something_else(page: Page, component_server, away):
    """It might be a link to another page, where there is no card to send it."""
    with page.expect_websocket() as opened:
        page.goto(f"{component_server.address}/card_page?run={uuid.uuid4().hex}&slow={SLOW_SECONDS}")
    expect(page.locator('.card[data-sample="0"]')).to_be_visible()
    settled(page)
    with opened.value.expect_event("framesent"):
        page.keyboard.press("k")
    page.keyboard.press("s")
    with opened.value.expect_event("framesent"):
        page.get_by_test_id("stCode").click() if away == "a click" else page.keyboard.press("Tab")
    expect(page.get_by_test_id("stCode")).to_have_text("nothing yet")
    saved(page)
    expect(page.get_by_test_id("stCode")).to_have_text("keep 0\nskip 1")
