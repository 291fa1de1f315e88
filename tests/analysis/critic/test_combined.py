"""The weighted vote against a loop that learns its weights anew for each sample, and on judges of known accuracy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from analysis.critic.combined import (
    COMBINED,
    AgainstBest,
    against_best,
    against_best_figure,
    combined,
    judges_table,
    matched_interval,
)
from analysis.critic.trust import rightness
from data.verdicts import NO_VERDICTS
from tests.analysis.critic.made_preferences import Row, preferences_of, simulated, verdicts_of
from tests.analysis.critic.test_trust import ROWS, SETTLED, brute_right, ordered

INDEPENDENT = {"a": 0.72, "b": 0.76, "c": 0.8, "d": 0.84, "chance": 0.5}


def by_loop(rows: list[Row], settled: dict[int, int]) -> dict[tuple[int, int, int], float | None]:
    """The sign of the weighted vote on each pair, weights learnt from the other samples' rows; None unanswered."""
    found: dict[tuple[int, int, int], float | None] = {}
    for pair in {row[:3] for row in rows}:
        score, answers = 0.0, 0
        for row in rows:
            if row[:3] != pair or not sum(row[4:7]):
                continue
            others = [brute_right(r, settled) for r in rows if r[3] == row[3] and r[0] != pair[0]]
            hits = [right for right in others if right is not None]
            accuracy = (sum(hits) + 3) / (len(hits) + 4)
            score += max(math.log(accuracy / (1 - accuracy)), 0) * ((row[4] > row[5]) - (row[4] < row[5]))
            answers += 1
        found[pair] = (0.0 if abs(score) < 1e-9 else math.copysign(1, score)) if answers else None
    return found


@settings(deadline=None)
@given(st.lists(ordered, max_size=25, unique_by=lambda row: row[:4]), st.dictionaries(st.integers(0, 8), st.integers(0, 4)))
def test_combined__is_the_vote_of_a_loop(rows: list[Row], settled: dict[int, int]) -> None:
    found = combined(preferences_of(rows), verdicts_of(settled))
    signs = np.where(found.unanswered > 0, np.nan, found.for_first - found.for_second)
    keys = zip(found.sample_id.tolist(), found.first.tolist(), found.second.tolist(), strict=True)
    told = {key: None if np.isnan(sign) else sign for key, sign in zip(keys, signs, strict=True)}
    assert told == by_loop(rows, settled)
    assert (found.answered + found.unanswered == 1).all() and set(found.judge) <= {COMBINED}


def test_combined__a_sample_does_not_vote_with_its_own_verdict() -> None:
    """With its own verdict the second judge would weigh more than the first, and be right."""
    rows: list[Row] = [(0, 5, 6, "first", 0, 1, 0, 0), (0, 5, 6, "second", 1, 0, 0, 0)]
    rows += [(1, 5, 6, "first", 1, 0, 0, 0), (1, 5, 6, "second", 0, 0, 1, 0)]
    voted = combined(preferences_of(rows), verdicts_of({0: 5, 1: 5}))
    assert rightness(voted, verdicts_of({0: 5, 1: 5}))[0] == 0.0


def test_combined__a_boastful_judge_does_not_outvote_a_modest_one_that_is_right_more_often() -> None:
    rows: list[Row] = []
    for i in range(40):
        modest, boastful = i % 10 > 0, i % 10 > 3
        rows.append((i, 5, 6, "modest", 0.55, 0.45, 0, 0) if modest else (i, 5, 6, "modest", 0.45, 0.55, 0, 0))
        rows.append((i, 5, 6, "boastful", float(boastful), float(not boastful), 0, 0))
    table = judges_table(preferences_of(rows), verdicts_of(dict.fromkeys(range(40), 5)))
    assert table["accuracy"].tolist() == [0.6, 0.9, 0.9]


def test_combined__beats_the_best_of_independent_judges() -> None:
    found = against_best(*simulated(INDEPENDENT, 600, 0))
    assert found is not None and found.judge == "d" and found.n == 600
    assert found.low > 0 and found.p < 0.01, found
    # Of four votes, the log-odds rule is right as often as the sum over all outcomes says.
    assert found.combined_accuracy == pytest.approx(_by_enumeration(), abs=3 * math.sqrt(0.9 * 0.1 / 600))


def _by_enumeration() -> float:
    """How often the optimal weighted vote of the independent judges is right, over all their outcomes."""
    chances = np.array([p for p in INDEPENDENT.values() if p != 0.5])
    outcomes = np.array(np.meshgrid(*[[0, 1]] * len(chances))).reshape(len(chances), -1).T
    probability = np.where(outcomes, chances, 1 - chances).prod(axis=1)
    score = (2 * outcomes - 1) @ np.log(chances / (1 - chances))
    return float(probability[score > 0].sum() + probability[score == 0].sum() / 2)


def test_combined__of_judges_that_know_nothing_does_not_flatter_itself() -> None:
    """In-sample weights would favour whichever judges were lucky."""
    accuracies = []
    for seed in range(60):
        table = judges_table(*simulated(dict.fromkeys("abcdefgh", 0.5), 40, seed))
        accuracies.append(table["accuracy"].iloc[-1])
    assert np.mean(accuracies) <= 0.5 + 3 * 0.5 / math.sqrt(40 * 60)


def test_judges_table__holds_all_columns_and_the_combination_last() -> None:
    table = judges_table(preferences_of(ROWS), verdicts_of(SETTLED))
    columns = "judge asked answered ties no_answer agreement accuracy accuracy_low accuracy_high right n weight"
    assert table.columns.tolist() == columns.split()
    assert table["judge"].tolist() == ["a", "b", COMBINED]
    assert table["weight"].notna().tolist() == [True, True, False]
    assert table["asked"].iloc[-1] == 5, "each pair once, whoever was asked about it"


def test_judges_table__without_verdicts_or_answers() -> None:
    unchecked = judges_table(preferences_of(ROWS), NO_VERDICTS)
    assert unchecked["weight"].iloc[0] == pytest.approx(math.log(3)) and unchecked["n"].sum() == 0
    assert not len(judges_table(preferences_of([]), NO_VERDICTS))


def test_against_best__of_one_judge_is_no_difference_and_still_uncertain() -> None:
    found = against_best(*simulated({"a": 0.9}, 50, 0))
    assert found is not None and found.difference == 0 and found.p == 1
    assert found.low < -0.01 and found.high > 0.01


def test_against_best__nothing_to_check() -> None:
    assert against_best(preferences_of(ROWS), NO_VERDICTS) is None
    assert against_best(preferences_of([]), NO_VERDICTS) is None
    figure = against_best_figure(None)
    assert figure.value is None and "no judge" in figure.basis


def test_against_best__compares_only_what_the_best_judge_answered() -> None:
    preferences, verdicts = simulated({"best": 1.0, "other": 0.7}, 80, 2)
    kept = preferences.take((preferences.judge != "best") | (preferences.sample_id < 30))
    found = against_best(kept, verdicts)
    assert found is not None and (found.judge, found.n, found.samples) == ("best", 30, 30)
    figure = against_best_figure(found)
    assert figure.value == found.difference and figure.n == 30 and figure.low == found.low


def test_against_best__sign_test_is_over_samples() -> None:
    preferences, verdicts = simulated(INDEPENDENT, 60, 5, others=3, spread=1.0)
    found = against_best(preferences, verdicts)
    assert found is not None
    right = {judge: rightness(preferences.take(preferences.judge == judge), verdicts) for judge in (found.judge,)}
    voted = combined(preferences, verdicts)
    ours = {(int(i), int(o)): r for i, o, r in zip(voted.sample_id, voted.second, rightness(voted, verdicts), strict=True)}
    own = preferences.take(preferences.judge == found.judge)
    gain: dict[int, float] = {}
    for i, other, r in zip(own.sample_id, own.second, right[found.judge], strict=True):
        gain[int(i)] = gain.get(int(i), 0) + ours[int(i), int(other)] - r
    wins, losses = sum(g > 0 for g in gain.values()), sum(g < 0 for g in gain.values())
    assert found.p == pytest.approx(binomtest(wins, wins + losses).pvalue)
    assert (found.n, found.samples) == (180, 60)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_matched_interval__is_wald_on_half_an_observation_more_a_cell(b: int, c: int, same: int) -> None:
    n = b + c + same
    values = np.repeat([1.0, -1.0, 0.0], [2 * b + 1, 2 * c + 1, 2 * same + 2])
    half = norm.ppf(0.975) * values.std() / math.sqrt(n + 2)
    low, high = matched_interval(b, c, n)
    assert low == pytest.approx(max(values.mean() - half, -1)) and high == pytest.approx(min(values.mean() + half, 1))


def test_matched_interval__covers() -> None:
    rng = np.random.default_rng(0)
    for better, worse, n in ((0.15, 0.05, 40), (0.02, 0.02, 100), (0.3, 0.1, 25)):
        draws = rng.multinomial(n, [better, worse, 1 - better - worse], size=2_000)
        bounds = np.array([matched_interval(b, c, n) for b, c, _ in draws])
        covered = ((bounds[:, 0] <= better - worse) & (better - worse <= bounds[:, 1])).mean()
        assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 2_000)


def test_against_best__pairs_of_one_sample_count_as_one() -> None:
    def found(pairs: int) -> AgainstBest | None:
        right = {"a": 5, "b": 4, "c": 3}
        rows = [
            (i, 5, 6 + k, judge, float(i * 7 % 10 >= 9 - n), float(i * 7 % 10 < 9 - n), 0, 0)
            for judge, n in right.items()
            for i in range(40)
            for k in range(pairs)
        ]
        return against_best(preferences_of(rows), verdicts_of(dict.fromkeys(range(40), 5)))

    once, often = found(1), found(4)
    assert (once.n, often.n, often.samples) == (40, 160, 40)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
