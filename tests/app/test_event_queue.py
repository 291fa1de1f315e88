"""The acknowledged queue against a model of a browser on a bad line."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.components.event_queue import MOST_TOKENS, Event, Ledger, fresh, parse


def event(seq: int, token: str = "tab", sample_id: int | None = None, action: str = "keep") -> Event:
    return Event(token, seq, action, seq if sample_id is None else sample_id)  # type: ignore[arg-type]


def numbers(events: list[Event]) -> list[int]:
    return [e.seq for e in events]


def test_fresh__first_message():
    assert numbers(fresh([event(0), event(1)], {})) == [0, 1]


def test_fresh__leaves_out_what_is_acknowledged():
    assert numbers(fresh([event(0), event(1), event(2)], {"tab": 1})) == [2]


def test_fresh__everything_acknowledged():
    assert fresh([event(0), event(1)], {"tab": 1}) == []


def test_fresh__reordered_and_repeated():
    assert numbers(fresh([event(2), event(1), event(2), event(1)], {"tab": 0})) == [1, 2]


def test_fresh__waits_behind_a_gap():
    assert numbers(fresh([event(1), event(3), event(4)], {"tab": 0})) == [1]


def test_fresh__unknown_token_starts_at_its_lowest_number():
    assert numbers(fresh([event(18), event(17)], {"another": 40})) == [17, 18]


def test_fresh__tokens_do_not_mix():
    found = fresh([event(0, "a"), event(0, "b"), event(1, "a")], {"b": 0})
    assert [(e.token, e.seq) for e in found] == [("a", 0), ("a", 1)]


@given(seed=st.integers(0, 10_000), total=st.integers(1, 40), reloads=st.integers(0, 3))
def test_ledger__every_event_once_in_order_whatever_the_line_does(seed: int, total: int, reloads: int):
    """The browser sends all unacknowledged events, shuffled and repeated; messages and acknowledgements get lost."""
    chance = random.Random(seed)
    ledger, committed, made = Ledger(), [], []
    waiting: list[Event] = []
    reload_at = {chance.randrange(total) for _ in range(reloads)}
    token, seq = "load-0", 0
    for number in range(total):
        if number in reload_at:  # storage survives a reload, the numbering does not
            token, seq = f"load-{number + 1}", 0
        waiting.append(event(seq, token, sample_id=number))
        made.append(number)
        seq += 1
        waiting = _exchange(chance, ledger, waiting, committed) if chance.random() < 0.7 else waiting
    while waiting:
        waiting = _exchange(chance, ledger, waiting, committed)
    assert committed == made


def _exchange(chance: random.Random, ledger: Ledger, waiting: list[Event], committed: list[int]) -> list[Event]:
    # Events of different page loads are sent in the order in which they were made; those of one may come anyhow.
    message = list(waiting)
    if len({e.token for e in message}) == 1:
        message += chance.sample(waiting, k=min(3, len(waiting)))
        chance.shuffle(message)
    ledger.settle(message, lambda new: committed.extend(e.sample_id for e in new))
    if chance.random() < 0.4:  # the answer is lost
        return waiting
    known = ledger.acknowledged(message)
    return [e for e in waiting if e.seq > known.get(e.token, -1)]


def test_ledger__nothing_acknowledged_when_the_commit_fails():
    ledger, committed = Ledger(), []

    def fail(new: list[Event]) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        ledger.settle([event(0)], fail)
    assert ledger.acknowledged([event(0)]) == {}
    ledger.settle([event(0), event(1)], committed.extend)
    assert numbers(committed) == [0, 1]


def test_ledger__two_tabs_sharing_stored_events_commit_them_once():
    ledger, committed = Ledger(), []
    ledger.settle([event(5), event(6)], committed.extend)
    assert ledger.settle([event(5), event(6), event(0, "copy")], committed.extend) == [event(0, "copy")]
    assert len(committed) == 3


def test_ledger__does_not_call_commit_for_nothing():
    ledger = Ledger()
    ledger.settle([event(0)], lambda new: None)
    ledger.settle([event(0)], lambda new: pytest.fail("nothing was new"))


def test_ledger__bounded():
    ledger = Ledger()
    everyone = [event(0, f"tab {i}") for i in range(MOST_TOKENS + 5)]
    ledger.settle(everyone, lambda new: None)
    assert len(ledger.acknowledged(everyone)) == MOST_TOKENS


GOOD = {"token": "t", "seq": 0, "action": "keep", "sample_id": 3, "seconds": 1.5, "at": "2025-01-01T00:00:00.000Z"}


def test_parse__reads_what_the_browser_sends():
    assert parse([GOOD]) == [Event("t", 0, "keep", 3, seconds=1.5, at="2025-01-01T00:00:00.000Z")]
    relabel = parse([{**GOOD, "action": "relabel", "label": 2}])[0].decision("ann", finding="label_errors")
    assert (relabel.action, relabel.label, relabel.annotator, relabel.finding) == ("relabel", 2, "ann", "label_errors")
    assert parse([{**GOOD, "action": "prune", "reason": "duplicate"}])[0].reason == "duplicate"


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "explode"},
        {"action": ["keep"]},
        {"seq": "0"},
        {"seq": True},
        {"seq": -1},
        {"sample_id": -1},
        {"sample_id": None},
        {"sample_id": 1.5},
        {"token": ""},
        {"token": "x" * 65},
        {"token": 7},
        {"action": "relabel"},
        {"label": 2},
        {"action": "soften"},
        {"action": "prune", "reason": "boredom"},
        {"action": "prune", "reason": ["duplicate"]},
    ],
)
def test_parse__leaves_out_what_no_browser_sends(wrong: dict):
    assert parse([{**GOOD, **wrong}, GOOD]) == parse([GOOD])


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(GOOD)), inner, max_size=6),
        max_leaves=12,
    )
)
def test_parse__never_raises(raw: object):
    for found in parse(raw):
        found.decision()
