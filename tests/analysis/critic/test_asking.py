from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.context import Cancelled, Context
from analysis.critic.asking import ask
from analysis.critic.judge import LEFT, NONE, Questions, prefer
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING
from tests.analysis.critic.judges import Listening

PAIRS = Questions(np.array([3, 1, 3]), np.array([0, 2, 1]), np.array([1, NOTHING, 2]))


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_ask__every_pair_in_both_orders_as_often_as_wanted(repeats, batch):
    judge = Listening(repeats=repeats, batch=batch)
    found = ask(judge, PAIRS, Context())
    wanted = {}
    for sample, left, right in zip(PAIRS.sample_id.tolist(), PAIRS.left.tolist(), PAIRS.right.tolist(), strict=True):
        wanted |= {(sample, left, right): repeats, (sample, right, left): repeats}
    assert Counter(judge.heard) == wanted == Counter(_keys(found))
    assert set(found.judge) == {judge.name} and set(found.author) == {judge.author} and (found.seconds >= 0).all()


def test_ask__the_answer_stands_beside_its_own_question():
    found = ask(Listening(batch=2, says=lambda sample, left, right: "left" if left > right else "right"), PAIRS, Context())
    assert [said == "left" for said in found.said] == (found.left > found.right).tolist()


def test_ask__no_pairs():
    assert len(ask(Listening(), PAIRS.take(np.array([], int)), Context())) == 0


@given(st.integers(0, 12), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_ask__goes_on_where_it_broke_off(tmp_path_factory, survives, repeats, batch):
    journal = tmp_path_factory.mktemp("journal") / "a.jsonl"
    first = Listening(repeats=repeats, batch=batch, survives=survives)
    total = 2 * repeats * len(PAIRS)
    try:
        ask(first, PAIRS, Context(), journal)
        assert survives >= total
    except ImpossibleRequest:
        assert survives < total
    second = Listening(repeats=repeats, batch=batch)
    found = ask(second, PAIRS, Context(), journal)
    whole = Counter(_keys(ask(Listening(repeats=repeats), PAIRS, Context())))
    assert Counter(_keys(found)) == whole
    assert len(second.heard) == total - len(first.answered)
    third = Listening(repeats=repeats)
    ask(third, PAIRS, Context(), journal)
    assert not third.heard


def test_ask__what_got_no_answer_is_asked_again(tmp_path):
    journal = tmp_path / "a.jsonl"
    silent = Listening(says=lambda sample, left, right: NONE if sample == 1 else LEFT)
    assert (ask(silent, PAIRS, Context(), journal).said == NONE).sum() == 2
    again = Listening()
    found = ask(again, PAIRS, Context(), journal)
    assert {sample for sample, _, _ in again.heard} == {1} and len(again.heard) == 2
    assert len(found) == 6 and not (found.said == NONE).any()


def test_ask__stops_where_told_and_keeps_what_was_answered(tmp_path):
    journal, judge = tmp_path / "a.jsonl", Listening(batch=1)

    def stop(fraction: float, message: str) -> None:
        if len(judge.heard) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        ask(judge, PAIRS, Context(report=stop), journal)
    again = Listening()
    ask(again, PAIRS, Context(), journal)
    assert len(again.heard) == 4


def test_prefer__no_answer_where_neither_is_possible():
    found = prefer(np.array([0.0, 0.6, 0.2, np.nan, 0.3]), np.array([0.0, 0.2, 0.2, 0.5, 0.9]))
    assert found.said.tolist() == ["none", "left", "both", "none", "right"]
    np.testing.assert_allclose(found.confidence, [np.nan, 0.75, 0.5, np.nan, 0.75])


def _keys(found) -> list[tuple[int, int, int]]:
    return list(zip(found.sample_id.tolist(), found.left.tolist(), found.right.tolist(), strict=True))
