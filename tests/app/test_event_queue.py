"""The acknowledged queue against a model of a browser on a bad line."""

from __future__ import annotations

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.components.event_queue import (
    MOST_AUTHOR_LENGTH,
    MOST_ENTRIES,
    MOST_SECONDS,
    MOST_TOKENS,
    TURNS,
    Event,
    Ledger,
    PairEvent,
    fresh,
    parse,
)
from app.components.soft_edit import MOST_BASE_LENGTH, MOST_EDITED, SoftEdit
from data.pair_answers import NOTHING

WAIT_SECONDS = 30


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


def test_fresh__what_is_missing_was_settled_by_another_process():
    """A browser that was sent to another process meanwhile comes back with what that one has not acknowledged."""
    assert numbers(fresh([event(9), event(8)], {"tab": 3})) == [8, 9]


def test_fresh__what_cannot_be_read_does_not_hold_back_what_follows():
    entries = [{**GOOD, "seq": 4}, {**GOOD, "seq": 5, "action": "explode"}, {**GOOD, "seq": 6}]
    assert numbers(fresh(parse(entries), {"t": 3})) == [4, 6]


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


def test_ledger__nobody_waits_for_anothers_commit():
    """Sixteen sessions that waited for one lock spent a second and more of every rerun on it."""
    ledger = Ledger()
    other = next(
        one for one in (event(0, f"other {i}") for i in range(TURNS)) if hash(one.token) % TURNS != hash("tab") % TURNS
    )

    def slow(new: list[Event]) -> None:
        with ThreadPoolExecutor() as pool:
            settled = pool.submit(ledger.settle, [other], lambda new: None)
            asked = pool.submit(ledger.acknowledged, [event(0)])
            assert asked.result(WAIT_SECONDS) == {}
            assert settled.result(WAIT_SECONDS) == [other]

    ledger.settle([event(0)], slow)
    assert ledger.acknowledged([event(0)]) == {"tab": 0}


def test_ledger__two_connections_with_the_same_events_take_turns():
    ledger, committed = Ledger(), []

    def commit(new: list[Event]) -> None:
        time.sleep(0.02)
        committed.extend(new)

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(ledger.settle, [event(0), event(1)], commit) for _ in range(8)]
    assert all(one.exception() is None for one in done) and numbers(committed) == [0, 1]


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
    assert [parse([{**GOOD, "finding": said}])[0].finding for said in (None, "", "critic")] == [None, "", "critic"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "explode"},
        {"action": ["keep"]},
        {"finding": 3},
        {"finding": "x" * 201},
        {"finding": "\ud800"},
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
        {"soft": {"set": [[0, 1.0]], "base": None}},
        {"action": "relabel", "label": 2, "soft": {"set": [[0, 1.0]], "base": None}},
        {"action": "prune", "reason": "boredom"},
        {"action": "prune", "reason": ["duplicate"]},
    ],
)
def test_parse__leaves_out_what_no_browser_sends(wrong: dict):
    assert parse([{**GOOD, **wrong}, GOOD]) == parse([GOOD])


SOFT = {"set": [[3, 0.25], [0, 0.5]], "base": "teacher"}


def soften(soft: object) -> list[Event]:
    return parse([{**GOOD, "action": "soften", "soft": soft}])


def test_parse__reads_an_edit_of_a_soft_label():
    [found] = soften(SOFT)
    assert found.soft == SoftEdit((3, 0), (0.25, 0.5), "teacher")
    assert found.decision("ann", soft_label=(0.5, 0.125, 0.125, 0.25)).soft_label == (0.5, 0.125, 0.125, 0.25)
    [whole] = soften({"set": [[7, 1]]})
    assert whole.soft == SoftEdit((7,), (1.0,), None)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "soft",
        {},
        {"set": []},
        {"set": {"3": 0.5}},
        {"set": [[3, 0.5, 1]]},
        {"set": [3, 0.5]},
        {"set": [[3.0, 0.5]]},
        {"set": [[True, 0.5]]},
        {"set": [[-1, 0.5]]},
        {"set": [[2**63, 0.5]]},
        {"set": [[3, -0.1]]},
        {"set": [[3, math.nan]]},
        {"set": [[3, math.inf]]},
        {"set": [[3, "0.5"]]},
        {"set": [[3, True]]},
        {"set": [[3, 10**400]]},
        {"set": [[3, 0.25], [3, 0.25]]},
        {"set": [[3, 0.75], [0, 0.3]]},
        {"set": [[i, 0.0] for i in range(MOST_EDITED + 1)]},
        {**SOFT, "base": 3},
        {**SOFT, "base": "x" * (MOST_BASE_LENGTH + 1)},
        {**SOFT, "base": "\ud800"},
    ],
)
def test_parse__leaves_out_edits_that_no_browser_sends(wrong: object):
    assert soften(wrong) == []


PAIR = {"token": "t", "seq": 4, "sample_id": 3, "left": 1, "right": NOTHING, "said": "neither", "author": "ann"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers() | st.sampled_from(["left", "t", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*{**GOOD, **PAIR, **SOFT}, "soft"]), inner, max_size=9)
    ),
    max_leaves=12,
)


def test_parse__reads_so_many_of_a_message():
    found = parse([{**GOOD, "seq": seq} for seq in range(MOST_ENTRIES + 5)])
    assert numbers(found) == list(range(MOST_ENTRIES))


@given(ANYTHING)
def test_parse__never_raises(raw: object):
    for found in parse(raw):
        found.decision(soft_label=None if found.soft is None else (1.0,))


@given(ANYTHING)
def test_parse__never_raises_on_edits(wrong: object):
    for raw in (
        wrong,
        {"set": wrong},
        {**SOFT, "base": wrong},
        {"set": [wrong]},
        {"set": [[0, wrong]]},
        {"set": [[wrong, 0.5]]},
    ):
        for found in soften(raw):
            assert sum(found.soft.values) <= 1 + 1e-5 and min(found.soft.values) >= 0


@given(st.dictionaries(st.sampled_from([*PAIR, "seconds", "at"]), ANYTHING))
def test_parse__never_raises_on_answers(wrong: dict):
    for found in parse([{**PAIR, **wrong}], PairEvent):
        assert found.left != found.right and found.sample_id >= 0 and min(found.left, found.right) >= NOTHING
        assert found.author.encode() is not None and found.at.encode() is not None


def test_parse__reads_an_answer():
    full = {**PAIR, "seconds": 2, "at": GOOD["at"]}
    (found,) = parse([full], PairEvent)
    assert found == PairEvent("t", 4, 3, 1, NOTHING, "neither", author="ann", seconds=2.0, at=GOOD["at"])
    assert parse([{**PAIR, "said": "none"}], PairEvent)[0].seconds is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": "maybe"},
        {"said": ["left"]},
        {"left": NOTHING},
        {"right": 1},
        {"left": -2},
        {"left": 1.0},
        {"left": True},
        {"right": "0"},
        {"right": 2**63},
        {"sample_id": NOTHING},
        {"sample_id": 2**63},
        {"sample_id": None},
        {"author": 3},
        {"author": "x" * (MOST_AUTHOR_LENGTH + 1)},
        {"author": "\ud800"},
        {"seq": -1},
        {"token": ""},
    ],
)
def test_parse__leaves_out_answers_that_no_browser_sends(wrong: dict):
    assert parse([{**PAIR, **wrong}, PAIR], PairEvent) == parse([PAIR], PairEvent)


@pytest.mark.parametrize("seconds", [1e308, MOST_SECONDS + 1, float("inf"), float("nan"), -1, 10**400, True, "5"])
def test_parse__a_time_taken_that_says_nothing_is_not_kept(seconds: object):
    """A few of 1e308 would make everybody's pace, and with it the hours saved, infinite."""
    assert parse([{**PAIR, "seconds": seconds}], PairEvent)[0].seconds is None
    assert parse([{**GOOD, "seconds": seconds}])[0].seconds is None


@pytest.mark.parametrize("at", ["yesterday", "\ud800", 5, "x" * 10_000])
def test_parse__a_time_that_is_none_is_not_kept(at: object):
    assert parse([{**PAIR, "at": at}], PairEvent)[0].at == parse([{**GOOD, "at": at}])[0].at == ""


def test_ledger__answers_are_settled_as_decisions_are():
    ledger, committed = Ledger(), []
    sent = parse([{**PAIR, "seq": seq} for seq in (5, 4, 7)], PairEvent)
    ledger.settle(sent, committed.extend)
    assert (numbers(committed), ledger.acknowledged(sent)) == ([4, 5, 7], {"t": 7})
