"""What a card shows of a sample, and how many of them a browser has ahead."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from app import cards as module
from app.cards import FULL_AHEAD, LEAST_AHEAD, MOST_AHEAD, cards, suggest
from app.components.decision_card import CardItem
from app.near_images import KIND
from data.decisions import Decision
from data.distilled_set import GIVEN
from data.errors import UnreadableInput
from data.soft_labels import DenseSoftLabels
from tests.app.workspaces import opened

NAMES = ("cat", "dog", "frog")


def test_suggest__nothing_without_a_flag():
    assert suggest(None, {"label_errors": {"flag": False, "suggested_label": 1}}, 0, NAMES) is None


def test_suggest__the_queues_own_finding_first():
    evidence = {
        "diversity": {"flag": True, "nearest_id": 7},
        "label_errors": {"flag": True, "suggested_label": 2, "p_suggested": 0.9},
    }
    assert suggest("label_errors", evidence, 0, NAMES).label == 2
    twin = suggest("diversity", evidence, 0, NAMES)
    assert (twin.action, twin.reason) == ("prune", "duplicate") and "sample 7" in twin.evidence


@pytest.mark.parametrize("label", [-1, 0])
def test_suggest__never_the_label_it_has_nor_none(label):
    assert suggest(None, {"label_errors": {"flag": True, "suggested_label": label}}, 0, NAMES) is None


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """(services, set id, the set) of 60 samples whose labels count 0 to 4 and again."""
    with opened(tmp_path_factory.mktemp("cards"), n=60) as (services, set_id):
        distilled_set = services.workspace.load(set_id)
        cards(set_id, distilled_set, [0], None, "as trained")
        services.tasks.wait(f"{KIND} {set_id}", KIND, 60)
        yield services, set_id, distilled_set


def made(workspace, ids, **options):
    _, set_id, distilled_set = workspace
    return cards(set_id, distilled_set, ids, None, "as trained", **options)


def test_cards__as_many_as_fit_the_bytes_and_a_few_at_least(workspace, monkeypatch):
    assert [item.id for item in made(workspace, range(60))] == list(range(MOST_AHEAD))
    whole = made(workspace, range(10))
    monkeypatch.setattr(module, "BYTES_AHEAD", sum(len(item.image) + len(item.stored) for item in whole[:8]) - 1)
    assert len(made(workspace, range(60))) == 8
    monkeypatch.setattr(module, "BYTES_AHEAD", 0)
    assert len(made(workspace, range(60))) == LEAST_AHEAD


def test_cards__the_same_picture_weighs_once(workspace, monkeypatch):
    once = [CardItem(id=i, image=f"{i}" * 100, stored=f"{i}" * 100, given=0) for i in range(9)]
    twice = [replace(item, stored="-" * 100) for item in once]
    monkeypatch.setattr(module, "BYTES_AHEAD", 799)
    assert [len(module._within_bytes(items)) for items in (once, twice)] == [8, LEAST_AHEAD]


def test_cards__only_the_first_come_with_everything(workspace):
    items = made(workspace, range(20))
    assert [bool(item.soft) and bool(item.near) for item in items] == [place < FULL_AHEAD for place in range(20)]
    assert all(item.image and item.given == item.id % 5 for item in items)
    (candidate,) = [one for one in items[3].near if one.why == "given"]
    assert candidate.strips[0].caption == "nearest by pixels"
    assert {int(name.split()[1]) % 5 for name in candidate.strips[0].names} == {3}
    assert "sample 3" not in candidate.strips[0].names


def test_cards__blind_ones_know_nothing_but_the_image(workspace):
    services, set_id, _ = workspace
    services.workspace.decide(set_id, Decision(7, "relabel", label=1, annotator="somebody"))
    (item,) = made(workspace, [7], blind=True, decided={7: "You decided: class 1"})
    assert (item.given, item.label, item.suggestion, item.bars, item.soft, item.near) == (None, None, None, None, None, ())
    assert item.note == "" and item.image and item.decided == "You decided: class 1"
    (seen,) = made(workspace, [7])
    assert (seen.given, seen.label, seen.near[0].why) == (2, 1, "relabelled")


def test_cards__labels_that_were_away_for_a_while_are_read_once_they_are_back(workspace):
    class Away(DenseSoftLabels):
        def probabilities(self, ids, temperature=1.0):
            if away:
                raise UnreadableInput("the file is away.")
            return super().probabilities(ids, temperature)

    _, set_id, distilled_set = workspace
    source = Away(torch.eye(60)[:, :5], "probabilities")
    soft = replace(distilled_set, label_sources={GIVEN: source})
    for away in (True, False):
        (item,) = cards(set_id, soft, [50], None, "as trained")
        assert (item.bars["rows"] == [], item.soft is None) == (away, away) and item.image


def test_cards__a_softened_label_is_said(workspace):
    services, set_id, _ = workspace
    services.workspace.decide(set_id, Decision(9, "soften", soft_label=(0.5, 0.5, 0.0, 0.0, 0.0), annotator="somebody"))
    assert [item.softened for item in made(workspace, [8, 9])] == [False, True]
