"""Parts of a page that run by the clock cost nobody a click, and nothing falls off the page that is drawn with them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_rerun_page__a_click_that_waits_in_the_same_go_counts(page: Page, component_server: Server):
    """While the slow button is answered, the clock and the second button wait together; the first of them wants the page to
    run anew."""
    page.goto(f"{component_server.address}/fragments_page")
    for time in range(1, 4):
        page.get_by_role("button", name="Slow").click()
        page.wait_for_timeout(700)
        page.get_by_role("button", name="Press").click()
        expect(page.get_by_text(f"slow {time}, pressed {time}")).to_be_visible()
        expect(page.get_by_text(f"the page shows {time}")).to_be_visible()
