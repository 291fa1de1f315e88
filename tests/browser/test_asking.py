"""Asking for what is worth most, in a real browser: decide by keyboard, see what it found, learn meanwhile, lose nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from data.workspace import Workspace
from tests.browser.conftest import Server
from tests.browser.steps import app, choose, export_here, go_to

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CLASSES, A_CLASS, SIDE = 4, 15, 16
ANALYSED_MS = 240_000
BATCH = 6
CARD = re.compile(r"sample (\d+)")


def flipped(folder: Path) -> tuple[Path, np.ndarray]:
    """A set of plain pictures of which every tenth has a wrong label, and what each is really of."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(CLASSES), A_CLASS)
    pictures = rng.uniform(0.1, 0.9, (CLASSES, 3, SIDE, SIDE))[truth] + 0.05 * rng.standard_normal(
        (len(truth), 3, SIDE, SIDE)
    )
    labels = np.where(np.arange(len(truth)) % 10 == 3, (truth + 1) % CLASSES, truth)
    np.savez(folder / "flipped.npz", images=pictures.clip(0, 1).astype(np.float32), labels=labels)
    return folder / "flipped.npz", truth


def card(page: Page) -> int:
    """The sample on the card."""
    return int(CARD.search(page.get_by_text(CARD).first.inner_text()).group(1))


def decide_next(page: Page, truth: np.ndarray) -> int:
    """Press the class that the picture on the card is really of; returns the sample once the next card shows."""
    sample = card(page)
    page.keyboard.press(str(truth[sample]))
    expect(page.get_by_text(re.compile(rf"^sample {sample}$"))).to_have_count(0)
    return sample


def analysed(page: Page, server: Server) -> None:
    """On the Decide page, when nothing is under way any more: findings that arrive put a queue into another order."""
    page.goto(server.address)
    go_to(page, "Label errors")
    expect(page.get_by_text("The worst, worst first")).to_be_visible(timeout=ANALYSED_MS)
    expect(page.get_by_text("Running", exact=True)).to_have_count(0, timeout=ANALYSED_MS)
    page.wait_for_timeout(2_000)  # between two runs the list may be empty for a moment
    expect(page.get_by_text("Running", exact=True)).to_have_count(0, timeout=ANALYSED_MS)
    go_to(page, "Decide")


def test_asking__decides_learns_and_draws_what_was_found(page, tmp_path):
    path, truth = flipped(tmp_path)
    with app(tmp_path, path) as server:
        analysed(page, server)
        choose(page, "Queue", "Probably wrong, most telling first")
        expect(page.get_by_text("about which the evidence is divided")).to_be_visible()
        page.get_by_test_id("stMain").get_by_role("button", name="More").click()
        page.get_by_role("spinbutton", name="Learn after").fill(str(BATCH))
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"learns from your decisions after {BATCH} more")).to_be_visible()
        page.get_by_role("heading", name="Decide", exact=True).click()  # the number no longer takes the keys

        decided = [decide_next(page, truth) for _ in range(BATCH - 1)]
        expect(page.get_by_text("5 decisions found")).to_be_visible()
        decided.append(decide_next(page, truth))
        in_hand = card(page)
        expect(page.get_by_text(re.compile(f"^{BATCH} decisions found"))).to_be_visible()
        expect(page.get_by_text("Running", exact=True)).to_be_visible()
        assert card(page) == in_hand, "the card in hand stays while the order is worked out anew"
        decided += [decide_next(page, truth) for _ in range(3)]  # nobody waits for what is learnt
        in_hand = card(page)
        expect(page.get_by_text("Running", exact=True)).to_have_count(0, timeout=ANALYSED_MS)
        expect(page.get_by_text("The order has learnt from your decisions")).to_be_visible()
        assert card(page) == in_hand, "the card in hand stays when the run has ended"
        expect(page.get_by_text("In random order about")).to_be_visible()
        page.get_by_text("Wrong labels found per decision", exact=True).click()
        expect(page.locator(".js-plotly-plot").get_by_text("random order, expected")).to_be_visible()

        manifest = export_here(page, tmp_path / "curated")
    with Workspace.open(tmp_path / "workspace") as workspace:
        runs = workspace.runs(workspace.sets()[0].id, "combined_evidence")
    assert [run.status for run in runs] == ["done", "done"], "once when the set was opened, once after the batch"
    assert len(set(decided)) == len(decided) == BATCH + 3
    log = [json.loads(line) for line in (tmp_path / "curated" / "decisions.jsonl").read_text().splitlines()]
    assert [entry["sample_id"] for entry in log] == decided, "every decision is in the log, once, in the order made"
    wrong = sum(truth[i] != label for i, label in zip(decided, _given(path)[decided], strict=True))
    assert wrong >= 4 and manifest["counts"]["relabelled"] == wrong


def _given(path: Path) -> np.ndarray:
    return np.load(path)["labels"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_asking__quota_and_minutes_end_where_they_say(new_page, tmp_path, scheme):
    page = new_page(color_scheme=scheme)
    path, truth = flipped(tmp_path)
    with app(tmp_path, path) as server:
        analysed(page, server)
        choose(page, "Queue", "The same number from every class")
        page.get_by_role("spinbutton", name="For each class").fill("1")
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"{CLASSES} left")).to_be_visible()
        page.get_by_role("heading", name="Decide", exact=True).click()
        given = _given(path)
        assert {int(given[decide_next(page, truth)]) for _ in range(CLASSES - 1)} | {int(given[card(page)])} == set(
            range(CLASSES)
        )
        choose(page, "Queue", "As many errors as fit into your time")
        page.get_by_role("spinbutton", name="Minutes").fill("1")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 min 0 s left, at 5 s a decision, assumed until 5 of yours are timed")).to_be_visible()
        expect(page.get_by_text("12 left")).to_be_visible()
