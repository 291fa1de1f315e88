"""The components in a real browser: what people do reaches the server, once, and what the server says shows."""

from __future__ import annotations

import io
import re
import time
import uuid
from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.component_pages.pictures import images
from tests.browser.conftest import Server
from tests.browser.steps import saved

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KEYS = 40


def open_gallery(page: Page, server: Server, query: str = "n=100") -> None:
    page.goto(f"{server.address}/gallery_page?{query}")
    page.wait_for_selector("[data-rendered]")


def expect_output(page: Page, pattern: str) -> None:
    expect(page.locator("code")).to_have_text(re.compile(pattern, re.S))


def tile(page: Page, sample_id: int):
    return page.locator(f'.tile[data-id="{sample_id}"]')


def selected_in_browser(page: Page) -> list[int]:
    return page.locator('.tile[aria-selected="true"]').evaluate_all("tiles => tiles.map(t => Number(t.dataset.id))")


def test_gallery__hundred_tiles_from_one_picture_without_a_request(page: Page, component_server: Server):
    requested = []
    page.on("request", lambda request: requested.append(request.url) if request.resource_type == "image" else None)
    open_gallery(page, component_server)
    expect(page.locator(".tile")).to_have_count(100)
    pictures = page.locator(".picture").evaluate_all(
        "all => [...new Set(all.map(p => getComputedStyle(p).backgroundImage))]"
    )
    assert len(pictures) == 1 and pictures[0].startswith('url("data:image/png')
    assert [url for url in requested if url.startswith("http") and "favicon" not in url] == []


def test_gallery__each_tile_shows_its_own_image(page: Page, component_server: Server):
    """The pixels in the middle of a tile are those of its sample."""
    open_gallery(page, component_server, "n=100&size=96")
    for sample_id in (0, 9, 57, 99):
        shown = centre_pixel(tile(page, sample_id).locator(".picture").screenshot())
        expected = images(220).viewable([sample_id])[0][16, 16]
        assert max(abs(int(a) - int(b)) for a, b in zip(shown, expected, strict=True)) <= 2


def centre_pixel(png: bytes) -> tuple[int, int, int]:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return image.getpixel((int(image.width * 16.5 / 32), int(image.height * 16.5 / 32)))


def test_gallery__click_shift_click_and_ctrl_click(page: Page, component_server: Server):
    open_gallery(page, component_server)
    tile(page, 5).click()
    expect_output(page, r"selected=\[5\] focused=5 .*told=\['selected 1'\]")
    tile(page, 8).click(modifiers=["Shift"])
    expect_output(page, r"selected=\[5, 6, 7, 8\] focused=8")
    tile(page, 6).click(modifiers=["Control"])
    tile(page, 20).click(modifiers=["Control"])
    expect_output(page, r"selected=\[5, 7, 8, 20\] focused=20")
    tile(page, 2).click()
    expect_output(page, r"selected=\[2\] focused=2")


def test_gallery__keys(page: Page, component_server: Server):
    open_gallery(page, component_server)
    tile(page, 0).focus()
    columns = page.locator(".tile").evaluate_all("all => all.filter(t => t.offsetTop === all[0].offsetTop).length")
    for key in ("ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect_output(page, rf"selected=\[{columns + 1}\] focused={columns + 1}")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect_output(page, rf"selected=\[{columns + 1}, {columns + 2}, {columns + 3}\]")
    page.keyboard.press("Control+a")
    expect_output(page, r"selected=\[0, 1, .*98, 99\]")
    page.keyboard.press("Escape")
    expect_output(page, r"selected=\[\]")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect_output(page, r"focused=99 opened=99 .*'opened 99'")
    page.keyboard.press("ArrowDown")
    expect(tile(page, 99)).to_be_focused()


def test_gallery__double_click_opens_the_same_image_again(page: Page, component_server: Server):
    open_gallery(page, component_server)
    tile(page, 3).dblclick()
    expect_output(page, r"opened=3 .*'opened 3'")
    tile(page, 3).dblclick()
    expect_output(page, r"'opened 3'.*'opened 3'")


def test_gallery__clicks_are_never_undone_by_late_answers(page: Page, component_server: Server):
    """The page echoes the selection it was told, and each answer comes after the next click."""
    open_gallery(page, component_server)
    expected = list(range(0, 30, 2))
    for sample_id in expected:
        tile(page, sample_id).click(modifiers=["Control"])
        page.wait_for_timeout(130)
        assert selected_in_browser(page) == list(range(0, sample_id + 1, 2))
    expect_output(page, re.escape(f"selected={expected}"))
    page.wait_for_timeout(500)
    assert selected_in_browser(page) == expected


def test_gallery__the_server_can_replace_the_selection(page: Page, component_server: Server):
    open_gallery(page, component_server)
    tile(page, 1).click()
    expect_output(page, r"selected=\[1\]")
    page.get_by_role("button", name="lasso").click()
    expect_output(page, r"selected=\[20, 21, 22\]")
    assert selected_in_browser(page) == [20, 21, 22]
    tile(page, 21).click(modifiers=["Control"])
    expect_output(page, r"selected=\[20, 22\]")


def test_gallery__other_images_drop_what_is_no_longer_shown(page: Page, component_server: Server):
    open_gallery(page, component_server)
    tile(page, 4).click()
    tile(page, 30).click(modifiers=["Control"])
    expect_output(page, r"selected=\[4, 30\]")
    page.locator("label", has_text="other images").click()
    expect(tile(page, 105)).to_be_visible()
    expect_output(page, r"selected=\[30\]")
    assert selected_in_browser(page) == [30]


def test_gallery__says_what_a_tile_is_without_sight(page: Page, component_server: Server):
    open_gallery(page, component_server)
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options).to_have_count(100)
    expect(options.nth(5)).to_have_attribute("aria-label", "sample 5, horse, was dog, relabelled, score 0.35")
    expect(options.nth(4)).to_have_attribute("aria-label", "sample 4, deer, flagged, score 0.28")
    assert page.locator('.tile[tabindex="0"]').count() == 1


def test_gallery__nothing_to_show(page: Page, component_server: Server):
    page.goto(f"{component_server.address}/gallery_page?n=0")
    expect(page.get_by_text("No image matches these filters.")).to_be_visible()


def test_bars__values_by_class_and_source(page: Page, component_server: Server):
    page.goto(f"{component_server.address}/bars_page")
    table = page.locator("table.bars").first
    expect(table.get_by_role("columnheader")).to_have_count(3)
    dog = table.locator("tbody tr").first
    expect(dog.get_by_role("rowheader")).to_have_text("dogsuggested")
    expect(dog.get_by_role("cell")).to_have_text(["0.04", "0.92", "1.00"])
    widths = dog.locator(".bar").evaluate_all(
        "bars => bars.map(b => b.getBoundingClientRect().width / b.parentElement.getBoundingClientRect().width)"
    )
    assert widths == pytest.approx([0.0395, 0.9183, 0.9982], abs=0.003)
    expect(table.locator("tr.given .name")).to_have_text("cat")
    expect(table.locator("tr.other th")).to_have_text("2 other classes")
    expect(page.get_by_text("This set has no soft labels.")).to_be_visible()


def open_card(page: Page, server: Server, **options: object) -> str:
    """A card over a log of its own; returns the query that shows the same log again."""
    query = "&".join(f"{name}={value}" for name, value in {"run": uuid.uuid4().hex, **options}.items())
    page.goto(f"{server.address}/card_page?{query}")
    expect(page.locator(".card")).to_be_visible()
    return query


def log_of(page: Page) -> list[str]:
    return page.locator("code").inner_text().splitlines()


def expect_log(page: Page, lines: list[str]) -> None:
    expect(page.locator("code")).to_have_text("\n".join(lines))


@pytest.mark.parametrize("spacing_ms", [0, 20, 60])
def test_card__forty_fast_keys_arrive_once_and_in_order(page: Page, component_server: Server, spacing_ms: int):
    open_card(page, component_server, window=50)
    actions = {"k": "keep", "s": "skip"}
    expected = []
    for i in range(KEYS):
        key = "ks"[i % 3 == 0]
        page.keyboard.press(key)
        expected.append(f"{actions[key]} {i}")
        page.wait_for_timeout(spacing_ms)
    expect_log(page, expected)
    saved(page)
    page.wait_for_timeout(500)
    assert log_of(page) == expected


def test_card__a_short_window_decides_only_what_was_shown(page: Page, component_server: Server):
    """Where keys outrun the images, those without an image do nothing; none is decided unseen or twice."""
    open_card(page, component_server, window=3, n=30)
    for _ in range(KEYS):
        page.keyboard.press("k")
        page.wait_for_timeout(10)
    saved(page)
    page.wait_for_timeout(1000)
    log = log_of(page)
    assert log == [f"keep {i}" for i in range(len(log))] and len(log) >= 3


def test_card__the_next_image_shows_before_the_server_answers(page: Page, component_server: Server):
    open_card(page, component_server, slow=1.5)
    expect(page.locator('.card[data-sample="0"]')).to_be_visible()
    began = time.monotonic()
    page.keyboard.press("k")
    expect(page.locator('.card[data-sample="1"]')).to_be_visible()
    expect(page.locator(".saved")).to_have_text("1 waiting to be saved")
    assert time.monotonic() - began < 1
    expect_log(page, ["keep 0"])
    saved(page)


def test_card__every_key_does_what_it_says(page: Page, component_server: Server):
    open_card(page, component_server)
    page.keyboard.press("a")  # sample 0 is given class 0 and suggested class 2
    page.keyboard.press("a")  # sample 1 has no suggestion: nothing happens
    page.keyboard.press("7")
    page.keyboard.press("u")  # sample 2 is pruned
    page.keyboard.press("p")
    page.keyboard.press("4")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    page.keyboard.press("p")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.keyboard.press("6")  # its own label: a keep
    expect_log(page, ["relabel 0 2", "relabel 1 7", "restore 2", "prune 3 duplicate", "prune 4", "skip 5", "keep 6"])


def test_card__undo_shows_the_image_again(page: Page, component_server: Server):
    open_card(page, component_server)
    for key in "kk":
        page.keyboard.press(key)
    expect_log(page, ["keep 0", "keep 1"])
    page.keyboard.press("z")
    expect(page.locator('.card[data-sample="1"]')).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator('.card[data-sample="0"]')).to_be_visible()
    page.keyboard.press("z")  # nothing is left to take back
    page.keyboard.press("p")
    page.keyboard.press("1")
    expect(page.locator('.card[data-sample="1"]')).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator('.card[data-sample="2"]')).to_be_visible()
    expect_log(page, ["keep 0", "keep 1", "undo 1", "undo 0", "prune 0 wrong label", "skip 1"])


def test_card__class_search_keeps_its_letters_to_itself(page: Page, component_server: Server):
    open_card(page, component_server, classes=100)
    page.keyboard.press("l")
    page.keyboard.type("truck 3")  # c, r and k mean something elsewhere
    expect(page.locator(".search li").first).to_have_text("39truck 39")
    page.keyboard.press("Enter")
    expect_log(page, ["relabel 0 39"])
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("57")
    page.keyboard.press("Enter")
    expect_log(page, ["relabel 0 39", "relabel 1 57"])


def test_card__typing_elsewhere_decides_nothing(page: Page, component_server: Server):
    open_card(page, component_server)
    box = page.get_by_label("elsewhere")
    box.click()
    page.keyboard.type("kapsuz123")
    expect(box).to_have_value("kapsuz123")
    expect(page.locator(".asleep")).to_be_visible()
    page.keyboard.press("Control+k")
    page.wait_for_timeout(300)
    assert log_of(page) == ["nothing yet"]
    page.locator(".card .title").click()
    expect(page.locator(".asleep")).to_be_hidden()
    page.keyboard.press("k")
    expect_log(page, ["keep 0"])


def test_card__a_held_key_decides_once(page: Page, component_server: Server):
    open_card(page, component_server)
    for _ in range(5):
        page.keyboard.down("k")  # without an up in between, the browser reports repeats
    page.keyboard.up("k")
    expect_log(page, ["keep 0"])
    expect(page.locator('.card[data-sample="1"]')).to_be_visible()


def test_card__buttons_do_the_same(page: Page, component_server: Server):
    open_card(page, component_server)
    page.get_by_role("button", name="Keep airplane").click()
    page.get_by_role("button", name="9 truck").click()
    page.get_by_role("button", name="Restore").click()  # in the place of Prune, where an image is pruned
    page.get_by_role("button", name="Prune").click()
    page.get_by_role("button", name="unrecognisable").click()
    page.get_by_role("button", name="Undo").click()
    expect_log(page, ["keep 0", "relabel 1 9", "restore 2", "prune 3 unrecognisable", "undo 3"])


def test_card__a_reload_replays_what_was_not_saved(page: Page, component_server: Server):
    query = open_card(page, component_server)
    page.keyboard.press("k")
    expect_log(page, ["keep 0"])
    saved(page)
    page.locator("label", has_text="broken").click()
    page.wait_for_timeout(500)
    page.keyboard.press("k")
    page.keyboard.press("s")
    expect(page.locator(".saved")).to_have_text("2 waiting to be saved: the disk is full; free some space.")
    page.goto(f"{component_server.address}/card_page?{query}")  # a new session, in which the disk is not full
    expect_log(page, ["keep 0", "keep 1", "skip 2"])
    saved(page)
    page.goto(f"{component_server.address}/card_page?{query}")
    expect(page.locator('.card[data-sample="3"]')).to_be_visible()
    page.wait_for_timeout(500)
    assert log_of(page) == ["keep 0", "keep 1", "skip 2"]


def test_card__another_set_does_not_get_the_waiting_decisions(page: Page, component_server: Server):
    open_card(page, component_server)
    page.locator("label", has_text="broken").click()
    page.wait_for_timeout(500)
    page.keyboard.press("k")
    expect(page.locator(".saved")).to_contain_text("1 waiting")
    open_card(page, component_server)
    saved(page)
    page.wait_for_timeout(500)
    assert log_of(page) == ["nothing yet"]


def test_card__nothing_left(page: Page, component_server: Server):
    open_card(page, component_server, n=1)
    page.keyboard.press("k")
    expect(page.get_by_text("Nothing is left to decide here.")).to_be_visible()
    page.keyboard.press("k")
    expect_log(page, ["keep 0"])


def test_components__draw_without_errors_in_both_themes(new_page: Callable[..., Page], component_server: Server):
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        errors: list[str] = []
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        for name, marker in (("gallery_page", "[data-rendered]"), ("bars_page", ".bars"), ("card_page", ".card")):
            page.goto(f"{component_server.address}/{name}")
            page.wait_for_selector(marker)
        assert errors == []
