from __future__ import annotations

import numpy as np
import pytest

from analysis.context import Context
from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.given_judge import GivenJudge
from analysis.critic.hearing import Seat, hear
from analysis.critic.tournament import tournament
from analysis.critic.votes import preferences
from data.pair_answers import NO_ANSWERS, NOTHING, PEOPLE, PairAnswers
from data.verdicts import NO_VERDICTS, Verdicts
from tests.analysis.critic.judges import knowing

SETTLED_FROM, PRIOR = 0.95, 0.1


def made(n: int, classes: int = 4, alone: int = 0) -> tuple[Candidates, np.ndarray]:
    """``n`` samples of ``classes`` candidates each, the last ``alone`` of one; and the true class of each."""
    rng = np.random.default_rng(0)
    held = np.stack([rng.permutation(classes) for _ in range(n)])
    held[n - alone :, 1:] = NO_CLASS
    held[n - alone :, 1] = NOTHING
    truth = np.where(np.arange(n) < n - alone, held[np.arange(n), rng.integers(0, classes, n)], held[:, 0])
    support = np.where(held >= 0, 1 / classes, np.nan).astype(np.float32)
    return Candidates(np.arange(n), held, support, np.full(held.shape, "made", object)), truth


def asked_pairs(answers: PairAnswers, judge: str) -> int:
    return (answers.judge == judge).sum() // 2


def best(candidates: Candidates, answers: PairAnswers) -> np.ndarray:
    said = preferences(answers)
    found = tournament(candidates, said, dict.fromkeys(set(said.judge), 1.0), PRIOR)
    return candidates.classes[np.arange(len(candidates)), found.best]


@pytest.mark.parametrize("budget", [1, 7, 60, 10_000])
def test_hear__never_more_than_the_budget_and_each_pair_once(budget):
    candidates, truth = made(60, alone=5)
    judges = [knowing(truth, 0.9, "a", 1), knowing(truth, 0.9, "b", 2)]
    answers = hear(candidates, [Seat(judge, budget) for judge in judges], NO_VERDICTS, NO_ANSWERS, SETTLED_FROM, Context())
    for judge in judges:
        assert 0 < asked_pairs(answers, judge.name) <= budget
        assert len(set(judge.heard)) == len(judge.heard)
        assert {(s, r, left) for s, left, r in judge.heard} == set(judge.heard)


def test_hear__no_standings_once_the_budget_is_spent(monkeypatch):
    """Of a million samples they take minutes."""
    candidates, truth = made(60)
    judge = knowing(truth, 0.9, "a", 1)
    monkeypatch.setattr("analysis.critic.hearing.chances", None)
    answers = hear(candidates, [Seat(judge, 10)], NO_VERDICTS, NO_ANSWERS, SETTLED_FROM, Context())
    assert asked_pairs(answers, "a") == 10


def test_hear__finds_the_true_label_with_fewer_questions_than_all_against_all():
    candidates, truth = made(300)
    seats = [Seat(knowing(truth, 0.95, str(i), i), 10_000) for i in range(3)]
    answers = hear(candidates, seats, NO_VERDICTS, NO_ANSWERS, SETTLED_FROM, Context())
    assert (best(candidates, answers) == truth).mean() > 0.95
    assert asked_pairs(answers, "0") < 0.9 * 300 * 6


def test_hear__all_judges_open_with_the_same_pairs_so_that_they_can_be_compared():
    candidates, truth = made(50)
    seats = [Seat(knowing(truth, accuracy, str(i), i), 50) for i, accuracy in enumerate((0.99, 0.5))]
    answers = hear(candidates, seats, NO_VERDICTS, NO_ANSWERS, SETTLED_FROM, Context())
    first, second = (set(seat.judge.heard) for seat in seats)
    assert first == second and asked_pairs(answers, "0") == 50


def test_hear__what_people_settled_is_asked_even_with_a_small_budget():
    candidates, truth = made(100)
    judge = knowing(truth, 0.9, "a")
    hear(candidates, [Seat(judge, 10)], Verdicts(np.array([97, 99]), truth[[97, 99]]), NO_ANSWERS, SETTLED_FROM, Context())
    assert {97, 99} <= {sample for sample, _, _ in judge.heard}


def test_hear__peoples_answers_leave_less_to_ask():
    candidates, truth = made(40, classes=3)
    rows = [(s, int(a), int(b)) for s in range(40) for a in candidates.classes[s] for b in candidates.classes[s] if a != b]
    sample, left, right = (np.array(column) for column in zip(*rows, strict=True))
    said = np.where(truth[sample] == left, "left", np.where(truth[sample] == right, "right", "neither"))
    n = len(rows)
    people = PairAnswers(sample, left, right, [PEOPLE] * n, said, [np.nan] * n, [""] * n, ["me"] * n, [1.0] * n, [""] * n)
    counts = []
    for heard in (NO_ANSWERS, people):
        judge = knowing(truth, 0.9, "a")
        counts.append(asked_pairs(hear(candidates, [Seat(judge, 500)], NO_VERDICTS, heard, 0.8, Context()), "a"))
    assert counts[1] < counts[0]


def test_hear__progress_never_falls_and_ends_at_one():
    candidates, truth = made(30)
    seen = []
    seats = [Seat(knowing(truth, 0.7, str(i), i), 200, effort=effort) for i, effort in enumerate((1.0, 20.0))]
    context = Context(report=lambda fraction, message: seen.append(fraction))
    hear(candidates, seats, NO_VERDICTS, NO_ANSWERS, SETTLED_FROM, context)
    assert (np.diff(seen) >= -1e-9).all() and seen[-1] == 1.0 and seen[0] >= 0


def test_hear__what_a_judge_has_nothing_to_say_of_is_not_on_record():
    candidates, truth = made(40)
    for abstains in (True, False):
        seats = [
            Seat(GivenJudge(candidates.classes[:, 0]), 500, abstains=abstains),
            *(Seat(knowing(truth, 0.7, str(i), i), 500) for i in range(2)),
        ]
        answers = hear(candidates, seats, NO_VERDICTS, NO_ANSWERS, 1.0, Context())
        of_given = answers.take(answers.judge == "given label")
        assert (of_given.said == "none").any() == (not abstains) and (of_given.said != "none").sum() > 80
