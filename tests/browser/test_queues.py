"""Shared queues in a real browser: two people, who never do the same, or both do all and see nothing of each other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from data.queues import QueuePlan
from data.workspace import Workspace
from tests.browser.conftest import Server
from tests.browser.steps import app, choose, go_to, heard, log_of
from tests.data.workspaces import write_set

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOWN = '.card[data-sample]:not([data-sample=""])'
LABELS = re.compile(rb'"(?:given|label)": ?\d')
"""A class in what is sent of a card."""
PATIENCE_MS = 60_000


def prepared(folder: Path, size: int, **rules) -> Path:
    """A set of ``size`` samples with one shared queue of all; returns its file."""
    path = write_set(folder / "set.npz", size)
    with Workspace.open(folder / "workspace") as workspace:
        set_id = workspace.add_set(path)
        workspace.queues.make(set_id, QueuePlan("Round 1", list(range(size)), **rules), "rev")
    return path


def open_as(page: Page, server: Server, name: str) -> None:
    page.goto(f"{server.address}/decide?by={name}")
    expect(page.get_by_role("heading", name="Decide", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def shown(page: Page) -> int:
    card = page.locator(SHOWN)
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    return int(card.get_attribute("data-sample"))


def decide(page: Page, key: str) -> int:
    """Press a key for the sample on the card; returns it once it is gone."""
    sample = shown(page)
    page.keyboard.press(key)
    expect(page.locator(f'.card[data-sample="{sample}"]')).to_have_count(0)
    return sample


def saved(page: Page) -> None:
    expect(page.get_by_text("all saved")).to_be_visible(timeout=PATIENCE_MS)


def test_with_one_person_a_sample_nobody_is_asked_what_another_has(new_page, tmp_path):
    path = prepared(tmp_path, 12)
    with app(tmp_path, path) as server:
        ann, bob = new_page(), new_page()
        open_as(ann, server, "Ann")
        expect(ann.get_by_role("combobox", name="Queue")).to_have_value(re.compile("Round 1: 12 left for you"))
        first = shown(ann)
        received = heard(bob)
        open_as(bob, server, "Bob")
        assert shown(bob) != first
        assert [frame for frame in received if LABELS.search(frame)]  # which a blind card is not sent, see below
        for _ in range(4):
            decide(ann, "1")
            decide(bob, "2")
        saved(ann)
        saved(bob)
        while ann.locator(SHOWN).count():
            decide(ann, "1")
            saved(ann)
        expect(ann.get_by_role("heading", name=re.compile("Others hold the rest|You are through"))).to_be_visible()
        expect(ann.get_by_text("You decided:")).to_be_visible()
        saved(ann)
    log = log_of(tmp_path)
    assert {entry.annotator for entry in log} == {"Ann", "Bob"} and len(log) >= 8
    assert max(Counter(entry.sample_id for entry in log).values()) == 1


def test_blind_with_two_people_both_are_asked_and_nothing_of_the_other_is_sent(new_page, tmp_path):
    path = prepared(tmp_path, 3, overlap=2, blind=True)
    with app(tmp_path, path) as server:
        ann, bob = new_page(), new_page()
        open_as(ann, server, "Annabella")
        assert [decide(ann, key) for key in "221"] == [0, 1, 2]
        saved(ann)
        expect(ann.get_by_role("heading", name="You are through")).to_be_visible()
        expect(ann.get_by_text("0 of 3 samples done (3 of 6 answers)")).to_be_visible()
        received = heard(bob)
        open_as(bob, server, "Bob")
        assert decide(bob, "0") == 0
        saved(bob)
        expect(bob.get_by_text("1 of 3 samples done (4 of 6 answers)")).to_be_visible()
        bob.get_by_text("Your decisions", exact=True).click()
        expect(bob.get_by_text("an image: chose")).to_be_visible()  # 0 is what it was given, of which Bob learns nothing
        expect(bob.get_by_text("kept")).to_have_count(0)
        assert not [frame for frame in received if LABELS.search(frame) or b"Annabella" in frame]
        for words in ("Everybody", "Annabella", "flagged"):
            expect(bob.get_by_text(words)).to_have_count(0)
        go_to(bob, "Audit")  # where a reviewer may see it: the search above can find something
        expect(bob.get_by_text("Annabella").first).to_be_attached()
        assert [frame for frame in received if b"Annabella" in frame]
    log = log_of(tmp_path)
    assert [(entry.annotator, entry.sample_id, entry.action) for entry in log if entry.annotator == "Bob"] == [
        ("Bob", 0, "keep")
    ]


def test_a_lease_that_ends_hands_over_and_the_late_decision_is_kept(new_page, tmp_path):
    path = prepared(tmp_path, 2, lease_seconds=20)
    with app(tmp_path, path) as server:
        ann, bob = new_page(), new_page()
        open_as(ann, server, "Ann")
        assert shown(ann) == 0
        open_as(bob, server, "Bob")
        expect(bob.get_by_role("heading", name="Others hold the rest")).to_be_visible()
        expect(bob.get_by_text("Look again then")).to_be_visible()
        for _ in range(30):
            if bob.locator(SHOWN).count():
                break
            bob.get_by_role("button", name="Look again").click()
            bob.wait_for_timeout(2_000)
        assert decide(bob, "1") == 0
        saved(bob)
        assert decide(ann, "0") == 0
        saved(ann)
        expect(ann.get_by_text("1 sample has more answers than asked for")).to_be_visible()
    assert [(entry.sample_id, entry.annotator) for entry in log_of(tmp_path)] == [(0, "Bob"), (0, "Ann")]


def test_finished_says_what_was_decided_and_any_of_it_can_be_opened_again(page, tmp_path):
    path = prepared(tmp_path, 3, blind=True)
    with app(tmp_path, path) as server:
        open_as(page, server, "Ann")
        assert [decide(page, key) for key in "2s1"] == [0, 1, 2]
        expect(page.get_by_role("heading", name="You are through")).to_be_visible()
        expect(page.get_by_text("You decided: 2 labelled, 1 skipped.")).to_be_visible()
        expect(page.get_by_role("link", name="Write the curated set")).to_be_visible()
        page.get_by_text("Your decisions", exact=True).click()
        expect(page.get_by_text("an image: chose").last).to_be_visible()
        page.get_by_role("button", name="Reopen").last.click()
        assert shown(page) == 0
        expect(page.get_by_text("You chose")).to_be_visible()
        page.get_by_role("heading", name="Decide", exact=True).click()  # no button takes the key
        decide(page, "1")
        saved(page)
        expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    log = [(entry.sample_id, entry.action, entry.label) for entry in log_of(tmp_path)]
    assert log == [(0, "relabel", 2), (1, "skip", None), (2, "relabel", 1), (0, "relabel", 1)]


def test_finished_leads_to_the_queue_that_has_something_left_and_the_menu_says_so(page, tmp_path):
    path = prepared(tmp_path, 6)
    with Workspace.open(tmp_path / "workspace") as workspace:
        set_id = workspace.sets()[0].id
        workspace.queues.make(set_id, QueuePlan("Second", [0, 1]), "rev")
        workspace.queues.make(set_id, QueuePlan("Third", [4, 5]), "rev")
    menu = page.get_by_role("combobox", name="Queue").first  # while it is drawn anew the one before is still there
    with app(tmp_path, path) as server:
        open_as(page, server, "Ann")
        choose(page, "Queue", "Second")
        assert [decide(page, key) for key in "2s"] == [0, 1]
        expect(page.get_by_text("What you skipped is not handed to you again")).to_be_visible()
        expect(menu).to_have_value("Second: 0 left for you")
        page.get_by_role("button", name="Go on with Third").click()
        expect(menu).to_have_value("Third: 2 left for you")
        assert shown(page) == 4


def test_finished_while_others_hold_the_rest_promises_no_images(new_page, tmp_path):
    path = prepared(tmp_path, 1)
    with app(tmp_path, path) as server:
        ann, bob = new_page(), new_page()
        open_as(ann, server, "Ann")
        assert shown(ann) == 0
        open_as(bob, server, "Bob")
        expect(bob.get_by_role("heading", name="Others hold the rest")).to_be_visible(timeout=PATIENCE_MS)
        expect(bob.locator(".empty")).to_have_text("Nothing is left for you in this queue just now.")


def test_a_queue_is_made_shown_closed_and_opened_again(page, tmp_path):
    path = write_set(tmp_path / "set.npz", 10)
    with app(tmp_path, path) as server:
        page.goto(f"{server.address}/queues?by=Rita")
        expect(page.get_by_text("There is no shared queue on this set yet")).to_be_visible(timeout=PATIENCE_MS)
        choose(page, "Samples", "Sample ids that you paste")
        ids = page.get_by_label("Sample ids, in the order")
        ids.fill("7, 3 99 5")
        ids.press("Control+Enter")
        expect(page.get_by_text("Left out, as this set has no such samples: 99")).to_be_visible()
        expect(page.get_by_text(re.compile("^3 samples, 3 answers"))).to_be_visible()
        title = page.get_by_role("textbox", name="Title")
        title.fill("By hand")
        title.press("Enter")
        page.get_by_role("button", name="Make the queue").click()
        expect(page.get_by_text("Nobody has begun.")).to_be_visible()
        expect(page.get_by_text("Made by Rita")).to_be_visible()
        page.get_by_test_id("stMain").get_by_role("link", name="Decide").click()
        assert [decide(page, "1"), shown(page)] == [7, 3]
        saved(page)
        go_to(page, "Queues")
        expect(page.get_by_text("1 of 3 samples done")).to_be_visible()
        page.get_by_test_id("stMain").get_by_role("button", name="Close", exact=True).click()
        expect(page.get_by_role("button", name="Open again")).to_be_visible()
        go_to(page, "Decide")
        expect(page.get_by_role("combobox", name="Queue")).not_to_have_value(re.compile("By hand"))
        go_to(page, "Queues")
        page.get_by_role("button", name="Open again").click()
        expect(page.get_by_test_id("stMain").get_by_role("button", name="Close", exact=True)).to_be_visible()
