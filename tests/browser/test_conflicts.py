"""A reviewer settles conflicts between annotators in the browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from data.decisions import Decision
from data.workspace import Workspace
from tests.browser.steps import app, made

pytestmark = pytest.mark.browser
WAIT_MS = 90_000


def test_conflicts__are_settled_one_by_one_and_taken_back(page: Page, tmp_path):
    path = made(tmp_path)
    with Workspace.open(tmp_path / "workspace") as workspace:
        set_id = workspace.add_set(path)
        labels = workspace.load(set_id).labels
        classes = workspace.load(set_id).num_classes
        other = [int((labels[i] + 1) % classes) for i in range(3)]
        workspace.decide_many(set_id, [Decision(i, "keep", annotator="ada") for i in range(3)])
        workspace.decide_many(set_id, [Decision(i, "relabel", label=other[i], annotator="bob") for i in range(3)])
    with app(tmp_path) as server:
        page.goto(f"{server.address}/agreement")
        page.get_by_role("button", name="Run it now").click()
        expect(page.get_by_text("0 of 3 conflicts settled")).to_be_visible(timeout=WAIT_MS)
        page.get_by_label("Your name").fill("rev")
        page.get_by_label("Your name").press("Enter")
        for number, button in enumerate(("Both, half and half", "Neither: prune", re.compile(r"\(given\)")), 1):
            page.get_by_role("button", name=button).click()
            expect(page.get_by_text(f"{number} of 3 conflicts settled")).to_be_visible()
        expect(page.get_by_text("Every conflict is settled.")).to_be_visible()
        page.get_by_role("button", name="Undo").first.click()
        expect(page.get_by_text("2 of 3 conflicts settled")).to_be_visible()
        page.reload()
        expect(page.get_by_text("2 of 3 conflicts settled")).to_be_visible(timeout=WAIT_MS)
    with Workspace.open(tmp_path / "workspace") as workspace:
        mine = [d for d in workspace.decisions(set_id) if d.annotator == "rev"]
        settled = [d.sample_id for d in mine]
        assert [d.action for d in mine] == ["soften", "prune", "keep", "undo"]
        assert set(settled[:3]) == {0, 1, 2} and settled[3] == settled[2], "each once, and the last taken back"
        soft = workspace.states(set_id)[settled[0]].soft_label
        assert [soft[c] for c in (int(labels[settled[0]]), other[settled[0]])] == [0.5, 0.5]
