"""What people are asked as a judge: the pairs, their order and sides, what is left, and what is written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.critic.judge import Questions
from app.compare_queue import (
    BLOCK,
    Pairs,
    answers_of,
    commit_answers,
    example_ids,
    given_and_suggested,
    latest_pairs,
    likeliest_two,
    questions,
    seconds_an_answer,
    shown_examples,
    waiting,
)
from app.components.event_queue import PairEvent
from data.pair_answers import NO_ANSWERS, NOTHING, PEOPLE, PairAnswers, together
from tests.app.compared import add_critic, candidates
from tests.app.workspaces import opened
from tests.data.workspaces import CLASSES, add_run

N = 20
AT = "2026-01-01T00:00:00.000Z"


def pairs(n: int, classes: int = 7) -> Pairs:
    """``n`` samples with a pair each, in no order of their labels; every fifth has one candidate."""
    sample = np.arange(n)[::-1].copy()
    first = sample * 3 % classes
    second = np.where(sample % 5 == 0, NOTHING, (first + 1 + sample % (classes - 1)) % classes)
    return Pairs(sample, first, second, np.full(n, np.nan), "critic")


def rows(asked: Questions) -> list[tuple[int, int, int]]:
    return list(zip(asked.sample_id.tolist(), asked.left.tolist(), asked.right.tolist(), strict=True))


def answered(asked: list[tuple[int, int, int]], said: str = "left") -> PairAnswers:
    n = len(asked)
    sample, left, right = (np.array([row[i] for row in asked], np.int64) for i in range(3))
    words = [np.full(n, text, object) for text in (PEOPLE, said, "", "ann", AT)]
    judge, saying, reason, author, at = words
    return PairAnswers(sample, left, right, judge, saying, np.full(n, np.nan), reason, author, np.full(n, 2.0), at)


def event(seq: int, sample: int, left: int, right: int, said: str = "left", **more) -> PairEvent:
    return PairEvent("tab", seq, sample, left, right, said, author="ann", **{"at": f"{AT[:-4]}{seq:03d}Z", **more})


def test_likeliest_two__least_certain_sample_first():
    table = candidates([(4, [(0, 0.2), (1, 0.5), (2, 0.3)]), (9, [(3, 0.9), (1, 0.1)]), (7, [(2, 0.45), (0, 0.55)])])
    assert likeliest_two(table).to_numpy().tolist() == [[4, 1, 2], [7, 0, 2], [9, 3, 1]]


def test_likeliest_two__one_candidate_is_asked_against_something_else():
    table = candidates([(0, [(3, 1.0)]), (1, [(2, 0.3), (NOTHING, 0.7)]), (2, [(-2, 0.0), (1, 0.4)]), (3, [(NOTHING, 1.0)])])
    assert likeliest_two(table).to_numpy().tolist() == [[2, 1, NOTHING], [1, 2, NOTHING], [0, 3, NOTHING]]


def test_likeliest_two__of_nothing_is_nothing():
    assert len(likeliest_two(candidates([]))) == 0


@given(st.dictionaries(st.integers(0, 50), st.lists(st.floats(0, 1), min_size=2, max_size=6), max_size=12))
def test_likeliest_two__against_a_loop(found: dict[int, list[float]]):
    table = candidates([(sample, list(enumerate(p))) for sample, p in found.items()])
    two = likeliest_two(table)
    for sample, first, second in two.to_numpy().tolist():
        p = found[sample]
        assert [p[first], p[second]] == sorted(p, reverse=True)[:2] and first != second
    assert sorted(two["sample_id"]) == sorted(found)
    best = [max(found[sample]) for sample in two["sample_id"]]
    assert best == sorted(best)


def test_given_and_suggested__only_where_they_differ_least_certain_first():
    table = pd.DataFrame(
        {
            "sample_id": [0, 1, 2, 3],
            "given_label": [0, 1, 2, 3],
            "suggested_label": [1, 1, 0, -1],
            "p_given": [0.9, 0.9, 0.4, np.nan],
            "p_suggested": [0.1, 0.1, 0.5, np.nan],
        }
    )
    assert given_and_suggested(table).to_numpy().tolist() == [[2, 2, 0], [0, 0, 1]]


@given(n=st.integers(0, 90), who=st.text(max_size=5))
def test_questions__every_pair_in_both_orders_and_the_second_comes_later(n: int, who: str):
    who = who.encode("utf-8", "replace").decode()
    asked = rows(questions(pairs(n), who, twice=True))
    once = rows(questions(pairs(n), who, twice=False))
    assert len(asked) == 2 * n == len(set(asked)) and len(once) == n
    place = {row: i for i, row in enumerate(asked)}
    for i, (sample, left, right) in enumerate(once):
        first, second = place[sample, left, right], place[sample, right, left]
        block = min(BLOCK, n - i // BLOCK * BLOCK)
        assert second - first == block, "the same pair again after its block"
    assert [row[0] for row in once] == pairs(n).sample_id.tolist()
    assert all(right == NOTHING for _, left, right in once if NOTHING in (left, right))


def test_questions__the_side_depends_on_person_sample_and_pair_only():
    some = pairs(60)
    turned = Pairs(some.sample_id[::-1], some.second[::-1], some.first[::-1], some.score, "suggestions")
    ours = {row for row in rows(questions(some, "ann", False)) if NOTHING not in row}
    assert ours == {row for row in rows(questions(turned, "ann", False)) if NOTHING not in row}
    assert ours != {row for row in rows(questions(some, "ben", False)) if NOTHING not in row}


def test_questions__either_side_is_as_likely():
    n = 2_000
    same = Pairs(np.arange(n), np.zeros(n, np.int64), np.ones(n, np.int64), np.full(n, np.nan), "critic")
    left = int((questions(same, "ann", False).left == 0).sum())
    assert abs(left - n / 2) < 4 * np.sqrt(n / 4)


def test_waiting__answered_is_not_asked_again_in_that_order():
    asked = questions(pairs(6), "ann", True)
    left = waiting(asked, answered(rows(asked)[:2]), True)
    assert rows(left.questions) == rows(asked)[2:]
    assert (left.answered, left.skipped, left.total) == (2, 0, 12)


def test_waiting__asked_once_either_order_settles_the_pair():
    asked = questions(pairs(6), "ann", False)
    turned = [(sample, right, left) for sample, left, right in rows(asked)]
    left = waiting(asked, answered(turned[:4]), False)
    assert rows(left.questions) == rows(asked)[4:] and left.answered == 4


def test_waiting__other_pairs_of_the_sample_settle_nothing():
    asked = questions(pairs(3), "ann", False)
    others = [(sample, left + 10, right) for sample, left, right in rows(asked)]
    assert len(waiting(asked, answered(others), False).questions) == 3
    assert len(waiting(asked, NO_ANSWERS, False).questions) == 3


def test_waiting__skips_come_back_when_asked_for():
    asked = questions(pairs(3), "ann", False)
    skips = answered(rows(asked)[:2], "none")
    left = waiting(asked, skips, False)
    assert (len(left.questions), left.answered, left.skipped) == (1, 0, 2)
    assert len(waiting(asked, skips, False, since=1).questions) == 2
    again = waiting(asked, skips, False, since=2)
    assert (rows(again.questions), again.skipped) == (rows(asked), 0)


def test_waiting__a_skip_puts_both_orders_aside_but_takes_no_answer_back():
    asked = questions(pairs(3), "ann", True)
    first, second, third, *others = rows(asked)
    left = waiting(asked, answered([first], "none"), True)
    assert rows(left.questions) == [second, third, *others[1:]] and left.skipped == 2
    left = waiting(asked, together([answered([first]), answered([others[0]], "none")]), True)
    assert (rows(left.questions), left.answered, left.skipped) == ([second, third, *others[1:]], 1, 1)


def test_seconds_an_answer__the_median_of_enough():
    some = answered([(i, 0, 1) for i in range(9)])
    assert seconds_an_answer(some) == 2.0
    assert seconds_an_answer(some.take(np.arange(4))) is None
    assert seconds_an_answer(answered([(i, 0, 1) for i in range(9)], "none")) is None


def test_shown_examples__never_the_sample_itself_nor_one_fewer_on_its_side():
    examples = {0: (5, 6, 7, 8), 1: (9, 10, 11, 12), 2: (5,)}
    assert shown_examples(examples, 6, 0, 1, 3) == ([0, 2, 3], [0, 1, 2])
    assert shown_examples(examples, 99, 0, 1, 3) == ([0, 1, 2], [0, 1, 2])
    assert shown_examples(examples, 5, 0, 2, 3) == ([], []), "one side would be empty: it would tell whose label it has"
    assert shown_examples(examples, 5, 0, NOTHING, 3) == ([1, 2, 3], [])


def test_example_ids__those_doubted_least_first():
    labels, score = np.array([0, 1, 0, 0, 0]), np.array([0.2, 1.0, np.nan, 0.9, 0.5])
    assert example_ids(labels, score, 0, 3) == (2, 3, 4)
    assert example_ids(labels, None, 0, 2) == (0, 2)
    assert example_ids(labels, score, 7, 2) == ()


@pytest.fixture
def there(tmp_path):
    with opened(tmp_path, N) as (services, set_id):
        yield services.workspace, set_id


def test_latest_pairs__the_critic_before_the_suggestions_before_nothing(there):
    workspace, set_id = there
    assert latest_pairs(set_id) is None
    labels = np.arange(N) % CLASSES
    columns = {"given_label": labels, "suggested_label": (labels + 1) % CLASSES, "p_given": np.linspace(1, 0.6, N)}
    run = add_run(workspace, set_id, "suggestions", {**columns, "p_suggested": np.full(N, 0.2)})
    (run.folder / "summary.json").write_text('{"figures": [], "caveats": [], "headline": null, "matrices": {}}')
    pd.DataFrame({"class_id": [], "class_name": [], "n": []}).to_parquet(run.folder / "per_class.parquet")
    found = latest_pairs(set_id)
    assert (found.source, found.sample_id[0], len(found)) == ("suggestions", N - 1, N)
    add_critic(workspace, set_id, candidates([(3, [(3, 0.5), (1, 0.4)])]))
    found = latest_pairs(set_id)
    assert (found.source, found.sample_id.tolist(), found.score[3]) == ("critic", [3], 0.5)
    add_critic(workspace, set_id, candidates([(8, [(3, 0.5), (1, 0.4)])]), "another")
    assert latest_pairs(set_id).sample_id.tolist() == [8]


def test_commit_answers__rows_of_the_judge_people_in_order(there):
    workspace, set_id = there
    commit_answers(set_id, [event(0, 3, 1, 2, seconds=1.5), event(1, 2, 4, NOTHING, "right"), event(2, 2, 1, 0, "none")])
    found = workspace.answers(set_id, PEOPLE)
    assert rows(Questions(found.sample_id, found.left, found.right)) == [(3, 1, 2), (2, 4, NOTHING), (2, 1, 0)]
    assert found.said.tolist() == ["left", "right", "none"]
    assert set(found.author) == {"ann"} and found.seconds[0] == 1.5 and np.isnan(found.seconds[1:]).all()
    assert len(answers_of(set_id, "ann")) == 3 and len(answers_of(set_id, "ben")) == 0


def test_commit_answers__what_an_earlier_process_wrote_is_left_out(there):
    workspace, set_id = there
    one, two = event(0, 3, 1, 2), event(1, 4, 1, 2)
    commit_answers(set_id, [one])
    commit_answers(set_id, [one, two, two])
    assert workspace.answers(set_id).sample_id.tolist() == [3, 4]
    commit_answers(set_id, [event(2, 3, 1, 2, "right")])  # the same question again, later: another answer
    assert workspace.answers(set_id).said.tolist() == ["left", "left", "right"]


def test_commit_answers__what_the_set_does_not_have_is_left_out(there):
    workspace, set_id = there
    bad = [event(0, N, 0, 1), event(1, 0, CLASSES, 1), event(2, 0, 0, 2**62), event(3, 2**62, 0, 1)]
    commit_answers(set_id, [*bad, event(4, 1, 0, 1)])
    assert workspace.answers(set_id).sample_id.tolist() == [1]
    commit_answers(set_id, bad)
    assert len(workspace.answers(set_id)) == 1
