"""What is sent once."""

from __future__ import annotations

import pytest

from app.components.decision_card import CardItem, Suggestion, _told
from app.components.shipment import MOST_HELD, Shipment, held


def test_add__the_same_content_has_one_key_and_is_sent_once():
    shipment = Shipment()
    assert shipment.add("picture") == shipment.add("picture")
    assert shipment.add({"a": 1}) != shipment.add({"a": 2})
    assert len(shipment.values) == 3
    assert shipment.add("") == shipment.add(None) == shipment.add([]) == ""


def test_add__what_the_browser_holds_is_only_named():
    key = Shipment().add("picture")
    shipment = Shipment(held([key]))
    assert shipment.add("picture") == key and shipment.values == {}


@pytest.mark.parametrize("raw", [None, "0123456789abcdef", {"a": 1}, 7, ["a" * 16] * (MOST_HELD + 1)])
def test_held__nothing_where_a_browser_sends_something_else(raw):
    assert held(raw) == frozenset()


def test_held__leaves_out_what_is_no_key():
    assert held(["a" * 16, 3, None, "short", ["x"], {}]) == frozenset({"a" * 16})


def test_told__a_blind_item_tells_nothing_that_anybody_says():
    item = CardItem(
        7,
        "data:image",
        None,
        label=3,
        pruned=True,
        suggestion=Suggestion("relabel", 3),
        note="flagged",
        softened=True,
        bars={"rows": [1]},
        soft={"given": 2},
    )
    shipment = Shipment()
    told = _told(item, shipment)
    assert set(told) == {"id", "image", "stored", "stored_words", "given", "decided"}
    assert told["given"] is None and list(shipment.values.values()) == ["data:image"]
