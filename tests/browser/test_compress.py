"""From a plan to a pruned set and a combined one, in a real browser."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from data import open_set
from tests.browser.steps import app, go_to, tiles
from tests.data.sets import CLASSES, IPC, make

pytestmark = pytest.mark.browser
FOUND_MS = 120_000


def test_plan__pruned_undone_and_combined(page, tmp_path):
    path = make("datm", tmp_path / "set").path
    with app(tmp_path, path) as server:
        page.goto(server.address)
        go_to(page, "Prune and combine")
        expect(page.get_by_role("heading", name="Carry out the plan")).to_be_visible(timeout=FOUND_MS)
        expect(page.get_by_text("of the 6 images left out")).to_be_visible()
        expect(tiles(page)).to_have_count(6)

        page.get_by_role("button", name="Mark the 6 not kept as pruned").click()
        expect(page.get_by_text("will be pruned in one batch")).to_be_visible()
        page.get_by_role("button", name="Prune 6 images").click()
        expect(page.get_by_text("6 of the 6 images that the plan leaves out are pruned")).to_be_visible()
        page.get_by_role("button", name="Take back").click()
        expect(page.get_by_text("0 of the 6 images that the plan leaves out are pruned")).to_be_visible()

        out = tmp_path / "combined"
        page.get_by_label("Folder to write, new or empty").fill(str(out))
        page.get_by_role("button", name=re.compile("Write the combined set")).click()
        expect(page.get_by_text("Written to")).to_be_visible()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"] == {"before": CLASSES * IPC, "used": 6, "images": CLASSES}
    assert open_set(out).labels.tolist() == list(range(CLASSES))
