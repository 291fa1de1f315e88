"""The Audit page in a real Chromium: the log filtered and opened, decisions brought in, taken back, and fetched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from data.decisions import Decision, read_jsonl
from data.workspace import Workspace
from tests.browser.steps import app, choose, go_to, log_of
from tests.data.workspaces import write_set

pytestmark = pytest.mark.browser
N = 40
SETTLED_MS = 1_500  # other entries are another table, and the one before goes only once it is drawn
ROWS = "sample_id,label,annotator,at\n5,class 1,dee@example.org,2026-03-01T10:00:00Z\n6,class 1,dee@example.org,\n"


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    """The folder of a workspace with 240 entries of three annotators."""
    with Workspace.open(tmp_path / "workspace") as workspace:
        set_id = workspace.add_set(write_set(tmp_path / "set.npz", N))
        for who, action, count in (("ann", "keep", 120), ("bea", "prune", 80), ("cy", "skip", 38)):
            workspace.decide_many(set_id, [Decision(i % N, action, annotator=who, seconds=1.5) for i in range(count)])
        workspace.decide(set_id, Decision(7, "relabel", label=0, annotator="ann", reason="wrong label", finding="map"))
        workspace.undo(set_id, "ann")
    return tmp_path


def open_audit(page: Page, address: str) -> None:
    page.goto(address)
    go_to(page, "Audit")


def view(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).click()


def upload(page: Page, content: str, name: str = "elsewhere.csv") -> None:
    field = page.get_by_test_id("stFileUploaderDropzoneInput")
    field.set_input_files([{"name": name, "mimeType": "text/csv", "buffer": content.encode()}])


def test_nothing_decided__says_what_to_do_and_takes_a_file(page, tmp_path):
    with app(tmp_path, write_set(tmp_path / "set.npz", N)) as server:
        open_audit(page, server.address)
        expect(page.get_by_text("Nothing has been decided about this set yet")).to_be_visible()
        upload(page, ROWS)
        page.get_by_role("button", name="Import 2 decisions").click()
        expect(page.get_by_text("1 to 2 of 2 entries")).to_be_visible()


def test_log__is_paged_filtered_and_opens_the_sample(page, decided):
    with app(decided) as server:
        open_audit(page, server.address)
        expect(page.get_by_text("1 to 100 of 240 entries, newest first")).to_be_visible()
        page.get_by_role("button", name="Older").or_(
            page.locator('[class*="st-key-audit"][class*="Older"] button')
        ).first.click()
        expect(page.get_by_text("101 to 200 of 240 entries")).to_be_visible()
        choose(page, "Annotator", "ann")
        expect(page.get_by_text("1 to 100 of 122 entries")).to_be_visible()
        choose(page, "Entry", "taken back")
        expect(page.get_by_text("1 to 1 of 1 entries")).to_be_visible()
        page.wait_for_timeout(SETTLED_MS)
        box = page.get_by_test_id("stDataFrame").bounding_box()
        page.mouse.click(box["x"] + 15, box["y"] + 55)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("Sample 7")).to_be_visible()
        expect(dialog.get_by_text("History (8)")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        view(page, "Totals")
        expect(page.get_by_text("From 1 entries, undos included.")).to_be_visible()


def test_import__shows_what_does_not_fit_stores_the_rest_once_and_takes_it_back(page, decided):
    before = len(log_of(decided))
    with app(decided) as server:
        open_audit(page, server.address)
        view(page, "Import decisions")
        upload(page, f"{ROWS}99,class 1,dee@example.org,\n")
        expect(page.get_by_role("alert").filter(has_text="row 4 (99)")).to_be_visible()
        expect(page.get_by_text("Annotators who have decided nothing here yet: dee@example.org")).to_be_visible()
        page.get_by_role("button", name="Import the 2 valid ones").click()
        expect(page.get_by_text("2 decisions, all stand")).to_be_visible()
        upload(page, ROWS)
        expect(page.get_by_text("There is nothing in it to import.")).to_be_visible()
        page.get_by_role("button", name="Take back").click()
        expect(page.get_by_text("2 decisions, 0 stand")).to_be_visible()
    added = log_of(decided)[before:]
    assert [(d.sample_id, d.action, d.annotator) for d in added] == [
        (5, "relabel", "dee@example.org"),
        (6, "keep", "dee@example.org"),
        (5, "undo", "local"),
        (6, "undo", "local"),
    ]
    assert {d.finding for d in added[:2]} == {"import: elsewhere.csv, by local"} and added[
        0
    ].at == "2026-03-01T10:00:00.000+00:00"


def test_broken_file__is_one_sentence_and_the_export_is_the_log(page, decided, tmp_path):
    expected = log_of(decided)
    with app(decided) as server:
        open_audit(page, server.address)
        view(page, "Import decisions")
        upload(page, "[" * 100_000, "deep.json")
        expect(page.get_by_role("alert").filter(has_text="deep.json is nested too deeply")).to_be_visible()
        view(page, "Export decisions")
        with page.expect_download() as fetched:
            page.get_by_role("button", name=re.compile("Download set-log.jsonl")).click()
        fetched.value.save_as(tmp_path / "fetched.jsonl")
    assert read_jsonl(tmp_path / "fetched.jsonl") == expected
