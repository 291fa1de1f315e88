"""From answers to preferences, against a plain loop over the rules."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.critic.votes import preferences
from data.pair_answers import NO_ANSWERS, NOTHING, PEOPLE, SAID, PairAnswers, together

NO_CONFIDENCE = float("nan")
Row = tuple[int, int, int, str, str, str, float]
"""sample, left, right, judge, author, said, confidence."""

rows = st.tuples(
    st.integers(0, 2),
    st.sampled_from([(NOTHING, 4), (4, NOTHING), (4, 7), (7, 4), (7, 9)]),
    st.sampled_from([PEOPLE, "committee"]),
    st.sampled_from(["ana", "ben"]),
    st.sampled_from(SAID),
    st.sampled_from([NO_CONFIDENCE, 0.0, 0.25, 0.9, 1.0]),
).map(lambda row: (row[0], *row[1], *row[2:]))


def answers_of(asked: Sequence[Row]) -> PairAnswers:
    n = len(asked)
    sample, left, right, judge, author, said, confidence = zip(*asked, strict=True) if n else [[]] * 7
    nothing = np.full(n, "", object)
    return PairAnswers(sample, left, right, judge, said, confidence, nothing, author, np.full(n, np.nan), nothing)


def by_loop(asked: Sequence[Row]) -> dict[tuple[int, int, int, str], list[float]]:
    """for the first, for the second, tied, unanswered: of each sample, pair and judge."""
    queues: dict[tuple, dict[bool, list[Row]]] = defaultdict(lambda: {False: [], True: []})
    for row in asked:
        sample, left, right, judge, author = row[:5]
        who = "anybody" if judge == PEOPLE else author
        queues[sample, min(left, right), max(left, right), judge, who][left > right].append(row)
    counts: dict[tuple[int, int, int, str], list[float]] = defaultdict(lambda: [0.0] * 4)
    for (*pair, _), both in queues.items():
        for k in range(max(map(len, both.values()))):
            of_round = [answers[k] for answers in both.values() if k < len(answers)]
            for place, part in enumerate(_round(of_round, pair[1], pair[2])):
                counts[tuple(pair)][place] += part * len(of_round) / 2
    return counts


def _round(answers: list[Row], first: int, second: int) -> tuple[float, float, float, float]:
    said = [{"left": row[1], "right": row[2]}.get(row[5], row[5]) for row in answers]
    c = np.mean([1.0 if np.isnan(row[6]) else row[6] for row in answers])
    if "none" in said:
        return 0, 0, 0, 1
    if set(said) == {first}:
        return c, 1 - c, 0, 0
    if set(said) == {second}:
        return 1 - c, c, 0, 0
    return 0, 0, 1, 0


@settings(max_examples=200, deadline=None)
@given(st.lists(rows, max_size=40))
def test_preferences__equal_a_loop_over_the_rules(asked: list[Row]) -> None:
    found = preferences(answers_of(asked))
    keys = list(zip(found.sample_id.tolist(), found.first.tolist(), found.second.tolist(), found.judge, strict=True))
    counted = np.stack([found.for_first, found.for_second, found.tied, found.unanswered], axis=1)
    expected = by_loop(asked)
    assert keys == sorted(expected)
    assert counted.dtype == np.float64
    np.testing.assert_allclose(counted, np.array([expected[key] for key in keys]).reshape(-1, 4), atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, max_size=40))
def test_preferences__every_answer_is_half_a_round_of_something(asked: list[Row]) -> None:
    found = preferences(answers_of(asked))
    assert found.answered.sum() + found.unanswered.sum() == pytest.approx(len(asked) / 2)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, max_size=40))
def test_preferences__do_not_depend_on_how_judges_answers_are_mixed(asked: list[Row]) -> None:
    by_judge = [[row for row in asked if row[3] == judge] for judge in (PEOPLE, "committee")]
    one, other = (answers_of(part) for part in by_judge)
    here, there = preferences(together([one, other])), preferences(together([other, one]))
    for name in here.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (("left", "right"), (1, 0, 0, 0)),
        (("right", "left"), (0, 1, 0, 0)),
        (("left", "left"), (0, 0, 1, 0)),
        (("right", "right"), (0, 0, 1, 0)),
        (("both", "both"), (0, 0, 1, 0)),
        (("neither", "both"), (0, 0, 1, 0)),
        (("left", "neither"), (0, 0, 1, 0)),
        (("both", "left"), (0, 0, 1, 0)),
        (("left", "none"), (0, 0, 0, 1)),
        (("none", "both"), (0, 0, 0, 1)),
        (("left",), (0.5, 0, 0, 0)),
        (("right",), (0, 0.5, 0, 0)),
        (("neither",), (0, 0, 0.5, 0)),
        (("none",), (0, 0, 0, 0.5)),
    ],
)
def test_preferences__each_rule_of_a_round(said: tuple[str, ...], counts: tuple[float, ...]) -> None:
    orders = ((3, 8), (8, 3))
    asked = [(5, *order, "committee", "", answer, NO_CONFIDENCE) for order, answer in zip(orders, said, strict=False)]
    found = preferences(answers_of(asked))
    assert (found.sample_id[0], found.first[0], found.second[0], found.judge[0]) == (5, 3, 8, "committee")
    assert (found.for_first[0], found.for_second[0], found.tied[0], found.unanswered[0]) == counts


def test_preferences__confidence_is_shared_between_the_two() -> None:
    asked = [(0, 3, 8, "clip", "", "left", 0.9), (0, 8, 3, "clip", "", "right", 0.7), (1, 8, 3, "clip", "", "left", 0.6)]
    found = preferences(answers_of(asked))
    np.testing.assert_allclose(found.for_first, [0.8, 0.2])
    np.testing.assert_allclose(found.for_second, [0.2, 0.3])


def test_preferences__two_people_make_a_round_and_two_models_do_not() -> None:
    def put_by(judge: str) -> list[Row]:
        return [(0, 3, 8, judge, "one", "left", NO_CONFIDENCE), (0, 8, 3, judge, "two", "left", NO_CONFIDENCE)]

    people, models = (preferences(answers_of(put_by(judge))) for judge in (PEOPLE, "endpoint"))
    assert (people.tied[0], people.for_first[0], people.for_second[0]) == (1, 0, 0)
    assert (models.tied[0], models.for_first[0], models.for_second[0]) == (0, 0.5, 0.5)


def test_preferences__nothing_comes_first() -> None:
    found = preferences(answers_of([(0, 3, NOTHING, "clip", "", "left", NO_CONFIDENCE)]))
    assert (found.first[0], found.second[0], found.for_second[0]) == (NOTHING, 3, 0.5)


def test_preferences__of_no_answers() -> None:
    found = preferences(NO_ANSWERS)
    assert len(found) == 0 and found.answered.dtype == np.float64 and len(found.agreement) == 0


def test_agreement__share_of_rounds_that_say_what_most_say() -> None:
    said = ["left", "right"] * 3 + ["right", "left"] + ["left", "left"] + ["none", "none"]
    asked = [
        (0, *order, "clip", "", answer, NO_CONFIDENCE) for order, answer in zip([(3, 8), (8, 3)] * 6, said, strict=True)
    ]
    found = preferences(answers_of([*asked, (1, 3, 8, "clip", "", "none", NO_CONFIDENCE)]))
    assert found.agreement[0] == pytest.approx(3 / 5)
    assert np.isnan(found.agreement[1])


def test_preferences__a_million_answers_in_seconds() -> None:
    n = 1_000_000
    rng = np.random.default_rng(0)
    left = rng.integers(0, 10, n)
    text, none = np.full(n, "", object), np.full(n, np.nan)
    judge, said = (rng.choice(np.array(values, object), n) for values in ([PEOPLE, "clip"], SAID))
    asked = PairAnswers(
        rng.integers(0, 100_000, n), left, (left + rng.integers(1, 10, n)) % 10, judge, said, none, text, text, none, text
    )
    began = time.process_time()
    assert len(preferences(asked)) > 100_000
    assert time.process_time() - began < 6  # measured: 1.3 s
