"""Whoever does not want single keys to count everywhere (WCAG 2.1.4) says so once; they then count on the card alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.test_card import open_card, said, shown

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAUSED = "keys pause until the card is clicked"


def switch(page: Page) -> None:
    page.get_by_role("button", name="Show the keys").click()
    page.get_by_role("checkbox", name="Letters and digits count only after").click()
    page.get_by_role("button", name="Esc Close").click()


def leave_card(page: Page) -> None:
    page.mouse.click(5, 5)


def test_everywhere__until_it_is_switched(page: Page, component_server: Server):
    open_card(page, component_server)
    leave_card(page)
    page.keyboard.press("k")
    shown(page, 1)
    expect(page.get_by_text(PAUSED)).to_be_hidden()


def test_on_the_card_only__keys_count_there_and_the_card_says_where_they_do_not(page: Page, component_server: Server):
    open_card(page, component_server)
    switch(page)
    page.keyboard.press("k")
    shown(page, 1)
    leave_card(page)
    expect(page.get_by_text(PAUSED)).to_be_visible()
    for key in "ks3":
        page.keyboard.press(key)
    shown(page, 1)
    page.locator(".card .title").click()
    expect(page.get_by_text(PAUSED)).to_be_hidden()
    for key in ("l", "Escape", "s"):  # the box that has the focus goes, and the keys go on
        page.keyboard.press(key)
    said(page, "keep 0", "skip 1")


def test_on_the_card_only__tab_leads_there_and_it_is_remembered(page: Page, component_server: Server):
    open_card(page, component_server)
    switch(page)
    page.reload()
    shown(page, 0)
    expect(page.get_by_text(PAUSED)).to_be_visible()
    page.keyboard.press("k")
    page.get_by_role("button", name="S Skip").focus()
    expect(page.get_by_text(PAUSED)).to_be_hidden()
    page.keyboard.press("s")
    said(page, "skip 0")
    switch(page)
    leave_card(page)
    page.keyboard.press("k")
    said(page, "skip 0", "keep 1")
