"""Trust against brute-force counting, closed forms, and judges whose accuracy is known because they were made with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.critic.trust import (
    FEWEST_CHECKED,
    Classes,
    checked,
    independent,
    rightness,
    trust,
    trust_by_class,
    trust_by_group,
    vote_worth,
    weights,
)
from analysis.intervals import wilson
from data.pair_answers import NOTHING
from data.verdicts import NO_VERDICTS
from tests.analysis.critic.made_preferences import Row, preferences_of, simulated, verdicts_of

ROWS: list[Row] = [
    (0, 1, 2, "a", 1, 0, 0, 0),  # right
    (0, 1, 2, "b", 0, 0, 1, 0),  # tie
    (1, 1, 2, "a", 1, 0, 0, 0),  # wrong: people say 2
    (1, 1, 2, "b", 0, 0, 0, 1),  # no answer
    (2, 0, 3, "a", 1.4, 1.6, 1, 2),  # right, though hardly sure
    (3, 1, 2, "a", 1, 0, 0, 0),  # people say 7: cannot be checked
    (9, 1, 2, "b", 1, 0, 0, 0),  # nobody settled it
]
SETTLED = {0: 1, 1: 2, 2: 3, 3: 7, 4: 0}


def brute_right(row: Row, settled: dict[int, int]) -> float | None:
    sample, first, second, _, for_first, for_second, tied, _ = row
    answered = for_first + for_second + tied
    if not answered or first == NOTHING or settled.get(sample) not in (first, second):
        return None
    lead = (for_first - for_second) * (1 if settled[sample] == first else -1)
    return 1.0 if lead > 0 else 0.5 if lead == 0 else 0.0


def test_trust__by_hand() -> None:
    table = trust(preferences_of(ROWS), verdicts_of(SETTLED)).set_index("judge")
    assert table.loc["a", ["asked", "answered", "ties", "no_answer", "n"]].tolist() == [4, 4, 0, 0, 3]
    assert table.loc["b", ["asked", "answered", "ties", "no_answer", "n"]].tolist() == [3, 2, 1, 1, 1]
    assert table.loc["a", "right"] == 2 and table.loc["b", "right"] == 0.5
    assert table.loc["a", "accuracy"] == pytest.approx(2 / 3)
    bounds = [float(bound) for bound in wilson(2, 3)]
    assert table.loc["a", ["accuracy_low", "accuracy_high"]].tolist() == pytest.approx(bounds)


def test_rightness__how_sure_a_judge_is_does_not_make_it_righter() -> None:
    rows: list[Row] = [(0, 1, 2, "a", c, 1 - c, 0, 0) for c in (1.0, 0.51, 0.5 + 1e-12, 0.49)]
    np.testing.assert_array_equal(rightness(preferences_of(rows), verdicts_of({0: 1})), [1, 1, 0.5, 0])


def test_rightness__a_label_against_something_else_checks_nobody() -> None:
    """Verdicts name a class, so that who always says "it fits" could never be wrong."""
    rows: list[Row] = [(0, NOTHING, 1, "says yes", 0, 1, 0, 0), (0, NOTHING, 1, "says no", 1, 0, 0, 0)]
    assert np.isnan(rightness(preferences_of(rows), verdicts_of({0: 1}))).all()


def test_trust__without_verdicts_every_judge_still_has_its_row() -> None:
    table = trust(preferences_of(ROWS), NO_VERDICTS)
    assert table["judge"].tolist() == ["a", "b"] and table["n"].tolist() == [0, 0]
    assert table[["accuracy", "accuracy_low", "accuracy_high"]].isna().all(axis=None)


def test_trust__without_answers_is_an_empty_table() -> None:
    table = trust(preferences_of([]), verdicts_of(SETTLED))
    assert len(table) == 0 and "accuracy_low" in table and weights(table) == {}


rounds = st.integers(0, 3).map(float)
labels = st.integers(NOTHING, 3)
pairs = st.tuples(st.integers(0, 6), labels, labels, st.sampled_from("abc"), rounds, rounds, rounds, rounds)
ordered = pairs.filter(lambda row: row[1] < row[2])


@given(st.lists(ordered, max_size=30), st.dictionaries(st.integers(0, 8), st.integers(0, 4)))
def test_trust__counts_as_a_loop_does(rows: list[Row], settled: dict[int, int]) -> None:
    preferences, verdicts = preferences_of(rows), verdicts_of(settled)
    by_hand = [brute_right(row, settled) for row in rows]
    np.testing.assert_allclose(rightness(preferences, verdicts), [np.nan if r is None else r for r in by_hand])
    table = trust(preferences, verdicts)
    assert table["judge"].tolist() == sorted({row[3] for row in rows})
    for record in table.to_dict("records"):
        own = [(row, right) for row, right in zip(rows, by_hand, strict=True) if row[3] == record["judge"]]
        hits = [right for _, right in own if right is not None]
        assert record["asked"] == len(own) and record["n"] == len(hits)
        assert record["right"] == pytest.approx(sum(hits))
        assert record["no_answer"] == sum(1 for row, _ in own if not sum(row[4:7]))
        assert record["answered"] + record["no_answer"] == record["asked"]
        assert record["ties"] == sum(1 for row, _ in own if sum(row[4:7]) and row[4] == row[5])
        votes = [max(row[4:7]) / sum(row[4:7]) for row, _ in own if sum(row[4:7])]
        assert record["agreement"] == pytest.approx(np.mean(votes) if votes else math.nan, nan_ok=True)
        if hits:
            assert 0 <= record["accuracy_low"] <= record["accuracy"] + 1e-12 <= record["accuracy_high"] + 2e-12 <= 1 + 2e-12


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40))
def test_independent__is_kishs_count_in_a_loop(cells: list[tuple[int, int]]) -> None:
    group, sample = (np.array([cell[k] for cell in cells], np.int64) for k in (0, 1))
    found = independent(group, sample, 4)
    for g in range(4):
        sizes = [sum(1 for cell in cells if cell == (g, s)) for s in range(6)]
        expected = sum(sizes) ** 2 / sum(m * m for m in sizes) if any(sizes) else 0
        assert found[g] == pytest.approx(expected)


@pytest.mark.parametrize("others, spread", [(1, 0.0), (4, 1.0), (4, 0.0)])
@pytest.mark.parametrize("accuracy", [0.6, 0.9])
def test_trust__intervals_cover(accuracy: float, others: int, spread: float) -> None:
    covered = 0
    for seed in range(300):
        table = trust(*simulated({"a": accuracy}, 30, seed, others, spread))
        covered += table["accuracy_low"][0] <= accuracy <= table["accuracy_high"][0]
    assert covered / 300 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 300)
    if others == 1 or spread == 1:  # elsewhere pairs of one sample are independent after all: wider than need be
        assert covered / 300 <= 0.995


@given(st.floats(0, 50), st.floats(0, 50))
def test_vote_worth__is_the_shrunk_log_odds(right: float, wrong: float) -> None:
    shrunk = (right + 3) / (right + wrong + 4)
    assert vote_worth(right, right + wrong) == pytest.approx(max(math.log(shrunk / (1 - shrunk)), 0.0), abs=1e-9)


def test_vote_worth__of_a_judge_nobody_checked_and_of_one_at_chance() -> None:
    assert vote_worth(0, 0) == pytest.approx(math.log(3))
    assert vote_worth(500, 1004) == 0 and vote_worth(0, 50) == 0
    assert vote_worth(9, 10) > vote_worth(0, 0) > vote_worth(12, 20) > 0


def test_weights__rank_judges_by_what_they_are_worth() -> None:
    chances = {"chance": 0.5, "fair": 0.7, "good": 0.9}
    found = weights(trust(*simulated(chances, 400, 3)))
    assert found["chance"] < 0.25 and found["chance"] < found["fair"] < found["good"]
    for judge in ("fair", "good"):
        assert found[judge] == pytest.approx(math.log(chances[judge] / (1 - chances[judge])), abs=0.35)


def test_trust_by_class__has_rows_only_for_what_was_checked() -> None:
    labels_given, names = np.array([1, 1, 3, 1, 0]), tuple("vwxyz")
    classes = Classes(labels_given, names, np.array([5, 4, 3, 2, 1]))
    table = trust_by_class(checked(preferences_of(ROWS), verdicts_of(SETTLED)), classes)
    held = table[["judge", "class_id", "class_name", "right", "n"]].to_numpy().tolist()
    assert held == [["a", 1, "w", 1.0, 2], ["a", 3, "y", 1.0, 1], ["b", 1, "w", 0.5, 1]]
    assert table["accuracy"].isna().all(), "fewer than five pairs are no accuracy"
    assert (table["accuracy_low"] >= 0).all() and (table["accuracy_high"] <= 1).all()


def test_trust_by_class__parts_add_up_to_the_whole() -> None:
    preferences, verdicts = simulated({"a": 0.8, "b": 0.6}, 60, 1, others=2)
    classes = Classes(np.arange(60) % 4, tuple("wxyz"), np.array([100, 50, 20, 10]))
    whole = trust(preferences, verdicts).set_index("judge")
    found = checked(preferences, verdicts)
    for part in (trust_by_class(found, classes), trust_by_group(found, classes)):
        assert part.groupby("judge")["right"].sum().to_dict() == whole["right"].to_dict()
        assert part.groupby("judge")["n"].sum().to_dict() == whole["n"].to_dict()
        assert (part["n"] >= FEWEST_CHECKED).all() and part["accuracy"].notna().all()


def test_trust_by_group__goes_by_counts() -> None:
    preferences, verdicts = simulated({"a": 1.0}, 30, 0)
    classes = Classes(np.arange(30) % 3, tuple("xyz"), np.array([10, 1000, 100]))
    table = trust_by_group(checked(preferences, verdicts), classes)
    assert table["group"].tolist() == ["head", "medium", "tail"] and table["classes"].tolist() == [1, 1, 1]
    alone = trust_by_group(checked(preferences.take(preferences.sample_id % 3 == 1), verdicts), classes)
    assert alone["group"].tolist() == ["head"] and alone["n"].tolist() == [10]


def test_trust_by_class__many_classes_and_answers_are_quick() -> None:
    n, rng = 100_000, np.random.default_rng(0)
    rows = preferences_of([(0, 0, 1, "a", 1.0, 0.0, 0.0, 0.0)]).take(np.zeros(n, np.int64))
    object.__setattr__(rows, "sample_id", rng.permutation(n))
    verdicts = verdicts_of(dict.fromkeys(range(n), 1))
    classes = Classes(rng.integers(0, 10_000, n), tuple(map(str, range(10_000))), np.ones(10_000))
    found = checked(rows, verdicts)
    assert len(trust_by_class(found, classes)) == len(np.unique(classes.given))
    assert trust_by_group(found, classes)["n"].sum() == n
