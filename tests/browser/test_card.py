"""The decision card in a real browser, with all that the app puts on it."""

from __future__ import annotations

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.steps import saved

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# What a key leaves on the card in the very task in which it is pressed, before anything is waited for.
_PRESSED = """(card, key) => {
    document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    const image = card.querySelector('.frame img');
    return { sample: card.dataset.sample, alt: image.alt, isDecoded: image.complete && image.naturalWidth > 0 };
}"""
_IN_ONE_TASK = """keys => keys.forEach(key => {
    let focused = document.activeElement;
    while (focused.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    focused.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, composed: true, cancelable: true }));
})"""


def open_card(page: Page, server: Server, **options: object) -> str:
    """A card over events of its own; returns its address."""
    query = "&".join(f"{name}={value}" for name, value in {"run": uuid.uuid4().hex, **options}.items())
    address = f"{server.address}/full_card_page?{query}"
    page.goto(address)
    shown(page, 0)
    return address


def shown(page: Page, sample_id: int) -> None:
    expect(page.locator(f'.card[data-sample="{sample_id}"]')).to_be_visible()


def said(page: Page, *lines: str) -> None:
    expect(page.locator("code")).to_have_text("\n".join(lines))


def press(page: Page, keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_next_image__is_on_the_card_in_the_task_of_the_keystroke(page: Page, component_server: Server):
    open_card(page, component_server, px=64)
    card = page.locator(".card")
    page.wait_for_function("card => card.querySelectorAll('.strip img').length === 8", arg=card.element_handle())
    for following in range(1, 8):
        assert card.evaluate(_PRESSED, "s") == {"sample": str(following), "alt": f"sample {following}", "isDecoded": True}
    said(page, *(f"skip {i}" for i in range(7)))


def test_burst__of_forty_keys_finds_every_image_there(page: Page, component_server: Server):
    open_card(page, component_server, n=60)
    card = page.locator(".card")
    for following in range(1, 40):
        assert card.evaluate(_PRESSED, "k")["sample"] == str(following)
    said(page, *(f"keep {i}" for i in range(39)))


def test_pictures__are_sent_once(page: Page, component_server: Server):
    received: list[int] = []

    def count(payload: str | bytes) -> None:
        received.append((payload.encode() if isinstance(payload, str) else payload).count(b"data:image/"))

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    open_card(page, component_server, window=20)
    first = sum(received)
    assert first > 20
    received.clear()
    page.keyboard.press("k")
    said(page, "keep 0")
    saved(page)
    # The card that came to the end of the window, and the near images of the one that came to its front.
    assert 0 < sum(received) <= 8


def test_both__half_each_of_what_stands_and_what_is_suggested(page: Page, component_server: Server):
    open_card(page, component_server)
    page.keyboard.press("b")  # sample 0: airplane, and bird is suggested
    shown(page, 1)
    page.keyboard.press("b")  # sample 1: automobile, nothing is suggested
    page.keyboard.type("tru")
    expect(page.locator(".search li").first).to_have_text("9truck")
    page.keyboard.press("Enter")
    said(page, "soften 0 ambiguous {0: 0.5, 2: 0.5}", "soften 1 ambiguous {1: 0.5, 9: 0.5}")
    press(page, "zz")
    shown(page, 0)


def test_flip__shows_the_stored_pixels_while_held_or_until_pressed_again(page: Page, component_server: Server):
    open_card(page, component_server, contrast="2.5 std")
    page.keyboard.press("s")  # sample 0 is black and white: it cannot be stretched
    shown(page, 1)
    image = page.locator(".card .frame img")
    contrasted = image.get_attribute("src")
    page.keyboard.press("f")
    expect(image).not_to_have_attribute("src", contrasted)
    expect(page.locator(".under .words")).to_contain_text("Stored pixels: the file's values, 0 to 1")
    page.keyboard.press("f")
    expect(image).to_have_attribute("src", contrasted)
    page.keyboard.down("f")
    expect(image).not_to_have_attribute("src", contrasted)
    page.wait_for_timeout(500)  # held
    page.keyboard.up("f")
    expect(image).to_have_attribute("src", contrasted)


def test_flip__says_where_it_is_the_same_picture(page: Page, component_server: Server):
    open_card(page, component_server)
    page.keyboard.press("f")
    expect(page.locator(".under .words")).to_contain_text("Already what you see")


def test_scaling__is_remembered_in_this_browser(page: Page, component_server: Server):
    address = open_card(page, component_server)
    frame = page.locator(".card .frame")
    expect(frame).to_have_class("frame")
    page.keyboard.press("x")
    expect(frame).to_have_class("frame smooth")
    page.goto(address)
    shown(page, 0)
    expect(frame).to_have_class("frame smooth")
    page.keyboard.press("f")
    expect(frame).to_have_class("frame")  # stored pixels are never smoothed
    page.keyboard.press("f")
    page.keyboard.press("x")
    expect(frame).to_have_class("frame")


def test_digit__begins_a_number_where_there_are_many_classes(page: Page, component_server: Server):
    open_card(page, component_server, classes=100)
    press(page, "42")
    box = page.get_by_role("combobox", name="Relabel as")
    expect(box).to_have_value("42")
    expect(page.locator(".search li").first).to_contain_text("42")
    page.keyboard.press("Control+Enter")
    expect(box).to_be_visible()
    page.keyboard.press("Enter")
    said(page, "relabel 0 42")


def test_help__covers_the_card_and_its_keys(page: Page, component_server: Server):
    open_card(page, component_server)
    table = page.get_by_label("What the keys do")
    page.keyboard.press("?")
    expect(table.get_by_role("row")).to_have_count(14)
    press(page, "kp1")
    page.keyboard.press("?")
    expect(table).to_be_hidden()
    page.keyboard.press("?")
    page.keyboard.press("Escape")
    expect(table).to_be_hidden()
    page.keyboard.press("k")
    said(page, "keep 0")


def test_keys__are_heard_after_a_click_on_anything(page: Page, component_server: Server):
    open_card(page, component_server)
    page.locator(".under .key").first.click()
    page.keyboard.press("k")
    shown(page, 1)
    page.locator(".labels").click()
    page.keyboard.press("s")
    shown(page, 2)
    page.get_by_role("button", name="Keep bird").click()
    page.keyboard.press("Control+Enter")  # the button has the focus
    page.keyboard.press("Meta+k")
    said(page, "keep 0", "skip 1", "keep 2")
    page.keyboard.press("s")
    said(page, "keep 0", "skip 1", "keep 2", "skip 3")


def test_keys__that_follow_a_search_before_the_browser_draws_again_are_the_card_s(page: Page, component_server: Server):
    """A hidden field keeps the focus until the next frame."""
    open_card(page, component_server, classes=100)
    for opening in "le":
        page.keyboard.press(opening)
        page.evaluate(_IN_ONE_TASK, ["Escape", "s"])
    said(page, "skip 0", "skip 1")


def test_edit__saves_one_soften_and_escape_saves_nothing(page: Page, component_server: Server):
    open_card(page, component_server)
    page.keyboard.press("e")
    editor = page.get_by_role("group", name="Edit the soft label")
    expect(editor).to_be_visible()
    expect(page.locator(".labels")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(editor).to_be_hidden()
    page.keyboard.press("e")
    expect(editor.get_by_role("slider").first).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    shown(page, 1)
    expect(page.locator("code")).to_have_text(re.compile(r"^soften 0 \{.*0: 0\.95"))


def test_blind__shows_and_sends_nothing_that_anybody_says(page: Page, component_server: Server):
    open_card(page, component_server, blind=1)
    card = page.locator(".card")
    expect(card.locator(".title")).to_have_text("Which class is it?")
    for part in (".suggestion", ".bars", ".candidate", ".key.given"):
        expect(card.locator(part)).to_have_count(0)
    for name in ("Keep", "Accept", "Both", "Edit"):
        expect(card.get_by_role("button", name=f"{name[0]} {name}")).to_be_disabled()
    press(page, "kabe")
    shown(page, 0)
    press(page, "0")  # its own label, which the browser does not know
    press(page, "s")
    press(page, "p2")
    said(page, "relabel 0 0", "skip 1", "prune 2 ambiguous")


def test_reopened__is_shown_at_once_with_what_was_decided(page: Page, component_server: Server):
    open_card(page, component_server, window=3)
    page.get_by_role("button", name="reopen 5").click()
    shown(page, 5)
    expect(page.locator(".decided")).to_have_text("You decided: relabelled to cat, 3 min ago")
    page.keyboard.press("Escape")
    shown(page, 0)
    page.keyboard.press("k")
    shown(page, 1)
    said(page, "keep 0")


def test_reopened__comes_back_when_it_was_left_and_is_asked_for_again(page: Page, component_server: Server):
    open_card(page, component_server, window=3)
    for _ in range(2):
        page.get_by_role("button", name="reopen 5").click()
        shown(page, 5)
        page.keyboard.press("Escape")
        shown(page, 0)
        expect(page.locator(".left")).to_have_text("60 left")


def test_reopened__left_undecided_comes_last_of_its_queue(page: Page, component_server: Server):
    open_card(page, component_server, n=7)
    page.get_by_role("button", name="reopen 5").click()
    shown(page, 5)
    page.keyboard.press("Escape")
    for sample in (0, 1, 2, 3, 4, 6):
        shown(page, sample)
        page.keyboard.press("s")
    shown(page, 5)


def test_reopened__is_scrolled_to(page: Page, component_server: Server):
    open_card(page, component_server, window=3)
    page.set_viewport_size({"width": 1000, "height": 260})
    button = page.get_by_role("button", name="reopen 5")
    button.focus()
    page.locator("code").scroll_into_view_if_needed()
    expect(page.locator(".picture")).not_to_be_in_viewport()
    page.keyboard.press("Enter")
    shown(page, 5)
    expect(page.locator(".picture")).to_be_in_viewport()


def test_buttons__stay_where_they_are_from_one_image_to_the_next(page: Page, component_server: Server):
    open_card(page, component_server)
    buttons = page.locator('.buttons[data-row="card"] .key:visible')
    place = "all => all.map((one) => [one.getBoundingClientRect().x, one.getBoundingClientRect().width])"
    first, texts = buttons.evaluate_all(place), set()
    for sample in range(6):
        shown(page, sample)
        assert buttons.evaluate_all(place) == first
        texts.add(buttons.first.inner_text())
        page.keyboard.press("s")
    assert len(texts) > 3  # of different lengths


def test_reopened__is_decided_before_the_others(page: Page, component_server: Server):
    open_card(page, component_server, window=3)
    page.get_by_role("button", name="reopen 5").click()
    shown(page, 5)
    page.keyboard.press("7")
    shown(page, 0)
    said(page, "relabel 5 7")


def test_candidates__have_near_images_of_the_set_and_real_ones(page: Page, component_server: Server):
    open_card(page, component_server)
    columns = page.locator(".candidate")
    expect(columns).to_have_count(3)
    expect(columns.first.locator(".head")).to_have_text("airplanegiven")
    expect(columns.nth(1).locator(".caption")).to_have_text(["nearest by pixels", "real images"])
    expect(columns.nth(1).locator(".tile")).to_have_count(8)
    expect(page.locator('.candidate .tile[title="sample 0"]')).to_have_count(0)
    drawn = columns.locator(".tile").evaluate_all("all => all.map(one => getComputedStyle(one).backgroundImage)")
    assert all(one.startswith('url("data:image/') for one in drawn)
    assert len(set(drawn)) == 4  # one sheet of the set, one of each class's real images


def test_many_sources__scroll_within_the_height_of_the_picture(page: Page, component_server: Server):
    open_card(page, component_server, classes=1000, sources=6, window=8)
    heights = page.locator(".shown").evaluate(
        "shown => [shown.querySelector('.picture'), shown.querySelector('.what')].map(one => one.offsetHeight)"
    )
    assert heights[0] == heights[1]
    expect(page.locator(".bars th.source")).to_have_count(6)
    bottom = page.locator('.buttons[data-row="card"]').bounding_box()
    assert bottom["y"] + bottom["height"] <= 900


def test_many_sources__are_at_their_top_again_with_the_next_image(page: Page, component_server: Server):
    open_card(page, component_server, classes=1000, sources=6, window=8)
    labels = page.locator(".labels")
    labels.hover()
    page.mouse.wheel(0, 400)
    page.wait_for_function("labels => labels.scrollTop > 0", arg=labels.element_handle())
    page.keyboard.press("s")
    shown(page, 1)
    page.wait_for_function("labels => labels.scrollTop === 0", arg=labels.element_handle())
