"""A chart that grows while a run is under way, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST_MS = 60_000
"""The first page of a server imports torch, and the browser fetches Vega."""
GROWN = 8

# Notes, at each frame from now on, whether the chart is in sight.
WATCH = """() => {
  const chart = document.querySelector('[data-testid="stVegaLiteChart"]');
  chart.dataset.first = 'yes';
  window.missing = 0;
  const look = () => {
    const drawn = document.querySelector('[data-first] canvas, [data-first] svg');
    if (!drawn || !drawn.getBoundingClientRect().height) window.missing += 1;
    requestAnimationFrame(look);
  };
  look();
}"""


def test_drafts__the_chart_grows_without_being_drawn_anew(page: Page, component_server: Server):
    page.goto(f"{component_server.address}/drafts_page")
    chart = page.get_by_test_id("stVegaLiteChart")
    expect(chart.locator("canvas, svg").first).to_be_visible(timeout=FIRST_MS)
    expect(page.locator("code")).to_be_visible()
    before, steps = chart.screenshot(), int(page.locator("code").inner_text().split()[1])
    page.evaluate(WATCH)
    page.wait_for_function(f"Number(document.querySelector('code').innerText.split(' ')[1]) >= {steps + GROWN}")
    page.wait_for_timeout(1_000)
    assert page.locator("[data-first]").count() == 1, "the same element"
    assert page.evaluate("window.missing") == 0, "in sight at every frame"
    assert chart.screenshot() != before, "with what came in the meantime"
    expect(page.get_by_text("Learning curve, until now")).to_be_visible()
