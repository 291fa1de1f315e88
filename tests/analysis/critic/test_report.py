"""The findings of the critic against hand-made answers: whose label is best, who was asked, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

import numpy as np
import pytest
from scipy.stats import binomtest

from analysis.critic import given_judge
from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.combined import COMBINED
from analysis.critic.report import FEWEST_CHECKED, Heard, report
from analysis.critic.savings import Pace
from analysis.critic.sharpness import FEWEST_SETTLED
from analysis.critic.trust import PRIOR_ACCURACY
from analysis.findings import Figure, Findings
from data.distilled_set import DistilledSet
from data.pair_answers import NO_ANSWERS, NOTHING, PEOPLE, PairAnswers, from_frame
from data.verdicts import NO_VERDICTS, Verdicts
from tests.analysis.critic.made_preferences import verdicts_of
from tests.analysis.made_sets import made_set

GIVEN = given_judge.NAME
PRIOR = 0.1
HOUR = Pace(3600.0, "an hour each")
COLUMNS = ["given_label", "suggested_label", "p_suggested", "p_given", "second_label", "p_second", "candidates", "rounds"]
JUDGES = [
    "judge",
    "asked",
    "answered",
    "ties",
    "no_answer",
    "agreement",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "right",
    "n",
]
TABLES = {"judges", "adopting", "cycles", "candidates", "answers"}

Said = tuple[str, int, int, int]
"""judge, sample, the label it prefers, the other."""


def answers_of(said: Sequence[Said]) -> PairAnswers:
    """Each asked in both orders."""
    rows = [row for judge, i, a, b in said for row in ((judge, i, a, b, "left"), (judge, i, b, a, "right"))]
    judge, sample, left, right, words = ([*column] for column in zip(*rows, strict=True)) if rows else [[]] * 5
    n = len(rows)
    return PairAnswers(sample, left, right, judge, words, [np.nan] * n, [""] * n, [""] * n, [1.0] * n, [""] * n)


def candidates_of(given: np.ndarray, rivals: dict[int, tuple[int, ...]]) -> Candidates:
    """All samples, those with ``rivals`` first; of the others the given label and NOTHING."""
    order = [*rivals, *(i for i in range(len(given)) if i not in rivals)]
    classes = np.full((len(given), 3), NO_CLASS)
    for row, i in enumerate(order):
        named = (given[i], *rivals.get(i, (NOTHING,)))
        classes[row, : len(named)] = named
    support = np.where(classes == NO_CLASS, np.nan, 0.5).astype(np.float32)
    return Candidates(np.array(order), classes, support, np.full(classes.shape, "made", object))


def heard_of(
    of: DistilledSet,
    rivals: dict[int, tuple[int, ...]],
    said: Sequence[Said],
    people: PairAnswers = NO_ANSWERS,
    settled: Verdicts = NO_VERDICTS,
    prior: float = PRIOR,
) -> Heard:
    return Heard(candidates_of(of.labels, rivals), answers_of(said), people, settled, prior)


def reported(of: DistilledSet, heard: Heard, adopt_from: float = 0.7) -> Findings:
    return report(of, heard, adopt_from, HOUR, ("told beforehand.",))


def figure(found: Findings, label: str) -> Figure:
    return next(figure for figure in found.summary if figure.label == label)


@pytest.fixture(scope="module")
def ordinary() -> DistilledSet:
    """Nine samples: 0 to 3 of class 0, 4 to 6 of class 1, 7 and 8 of class 2."""
    return made_set(n_per_class=(4, 3, 2))


def test_report__best_label_and_its_probability_in_closed_form(ordinary):
    found = reported(ordinary, heard_of(ordinary, {1: (2,)}, [("a", 1, 2, 0), ("b", 1, 2, 0), (GIVEN, 1, 0, 2)]))
    vote = np.log(PRIOR_ACCURACY / (1 - PRIOR_ACCURACY))
    p = (2 * vote + 2 * PRIOR) / (3 * vote + 4 * PRIOR)
    row = found.per_sample.loc[1]
    assert (row["suggested_label"], row["second_label"], row["candidates"], row["rounds"]) == (2, 0, 2, 3.0)
    np.testing.assert_allclose([row["p_suggested"], row["p_given"], row["score"]], [p, 1 - p, 1 - p])
    assert row["flag"] and not row["cycle"]


def test_report__columns_and_tables_as_documented(ordinary):
    found = reported(ordinary, heard_of(ordinary, {0: (1,), 5: (2, 0)}, [("a", 0, 1, 0), ("a", 5, 1, 2), ("b", 5, 1, 0)]))
    assert list(found.per_sample) == ["sample_id", "score", "flag", *COLUMNS, "cycle"]
    assert found.per_sample["cycle"].dtype == bool
    assert found.per_sample["given_label"].tolist() == ordinary.labels.tolist()
    assert set(found.tables) == TABLES  # nothing was checked, so no table of what was
    assert list(found.tables["judges"]) == [*JUDGES, "weight"]
    assert found.tables["judges"]["judge"].tolist() == ["a", "b", COMBINED]
    assert list(found.tables["candidates"]) == ["sample_id", "place", "label", "class_name", "p", "origins"]
    assert len(from_frame(found.tables["answers"])) == 6
    assert found.caveats[0] == "told beforehand."


def test_report__what_was_not_asked_says_nothing(ordinary):
    found = reported(ordinary, heard_of(ordinary, {1: (2,)}, [("a", 1, 2, 0)]))
    rest = found.per_sample.drop(index=1)
    assert rest[["score", "p_suggested", "p_given", "p_second"]].isna().all(axis=None) and not rest["flag"].any()
    assert (rest[["suggested_label", "second_label"]] == NOTHING).all(axis=None)
    assert (rest[["candidates", "rounds"]] == 0).all(axis=None)
    assert found.tables["candidates"]["sample_id"].unique().tolist() == [1]


def test_report__where_only_the_given_label_answered_nobody_looked(ordinary):
    said = [(GIVEN, i, int(ordinary.labels[i]), (int(ordinary.labels[i]) + 1) % 3) for i in range(9)]
    rivals = {i: ((int(ordinary.labels[i]) + 1) % 3,) for i in range(9)}
    found = reported(ordinary, heard_of(ordinary, rivals, [*said, ("a", 4, 1, 2)]), adopt_from=0.5)
    assert found.per_sample["score"].notna().tolist() == [i == 4 for i in range(9)]
    assert found.tables["candidates"]["sample_id"].unique().tolist() == [4]
    assert found.per_class["n_asked"].tolist() == [0, 1, 0]
    better = figure(found, "Labels with a better candidate")
    assert better.n == 1 and "1 of 9 samples that a judge besides the given label answered about (a)" in better.basis
    saved = figure(found, "Hours saved against review from scratch")
    assert (saved.value, saved.n) == (1.0, 1)


def test_report__the_given_label_alone_leaves_every_figure_without_a_value(ordinary):
    found = reported(ordinary, heard_of(ordinary, {0: (1,)}, [(GIVEN, 0, 0, 1)]))
    assert found.per_sample["score"].isna().all() and not len(found.tables["candidates"])
    assert all(told.value is None for told in found.summary)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_report__labels_that_beat_each_other_in_a_circle_leave_the_given_one(ordinary, order):
    """Rounding makes one of three equal probabilities the largest; which is no reason to doubt a label."""
    loop = list(pairwise([*order, order[0]]))
    said = [(judge, i, a, b) for i in range(9) for judge in ("a", "b") for a, b in loop]
    rivals = {i: tuple(c for c in range(3) if c != ordinary.labels[i]) for i in range(9)}
    found = reported(ordinary, heard_of(ordinary, rivals, said, prior=0.05), adopt_from=0.33)
    assert not found.per_sample["flag"].any() and found.per_sample["cycle"].all()
    assert found.per_sample["suggested_label"].tolist() == ordinary.labels.tolist()
    first = found.tables["candidates"].groupby("sample_id")["label"].first()
    assert first.tolist() == ordinary.labels.tolist()
    assert figure(found, "Labels the critic would change").value == 0
    circles = figure(found, "Answers that contradict any ranking")
    assert (circles.value, circles.n) == (9, 9) and len(found.tables["cycles"]) == 9


def test_report__flags_are_what_adopting_everything_would_change(ordinary):
    rng = np.random.default_rng(3)
    rivals = {i: tuple(c for c in range(3) if c != ordinary.labels[i]) for i in range(9)}
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
    said = [(judge, i, *pairs[rng.integers(6)]) for i in range(9) for judge in "abc"]
    found = reported(ordinary, heard_of(ordinary, rivals, said), adopt_from=0.01)
    assert 0 < found.per_sample["flag"].sum() < 9
    assert figure(found, "Labels the critic would change").value == found.per_sample["flag"].sum()


def test_report__candidates_are_ranked_and_sum_to_one_with_nothing_in_words(ordinary):
    rivals = {0: (1, 2), 7: (1,)}
    found = reported(
        ordinary, heard_of(ordinary, rivals, [("a", 0, 2, 1), ("a", 0, 2, 0), ("a", 7, 1, 2), ("a", 3, NOTHING, 0)])
    )
    table = found.tables["candidates"]
    assert table.groupby("sample_id").size().to_dict() == {0: 3, 3: 2, 7: 2}
    np.testing.assert_allclose(table.groupby("sample_id")["p"].sum(), 1)
    assert table.groupby("sample_id")["place"].apply(list).to_dict() == {0: [1, 2, 3], 3: [1, 2], 7: [1, 2]}
    assert (table.groupby("sample_id")["p"].diff().dropna() <= 0).all()
    of_3 = table[table["sample_id"] == 3]
    assert of_3["label"].tolist() == [NOTHING, 0] and of_3["class_name"].tolist() == ["something else", "class 0"]
    row = found.per_sample.loc[3]
    assert row["flag"] and row["suggested_label"] == NOTHING and row["candidates"] == 1


def test_report__by_class_the_share_of_asked_labels_that_are_doubted(ordinary):
    said = [("a", 0, 1, 0), ("a", 1, 0, 1), ("a", 2, 1, 0), ("a", 4, 1, 0)]
    found = reported(ordinary, heard_of(ordinary, {0: (1,), 1: (1,), 2: (1,), 4: (0,)}, said))
    assert found.per_class["n_asked"].tolist() == [3, 1, 0] and found.per_class["n_doubted"].tolist() == [2, 0, 0]
    oracle = binomtest(2, 3).proportion_ci(method="wilson")
    bounds = found.per_class.loc[0, ["doubted", "doubted_low", "doubted_high"]].astype(float)
    np.testing.assert_allclose(bounds, [2 / 3, oracle.low, oracle.high])
    assert np.isnan(found.per_class.loc[2, "doubted"])


def test_report__judges_are_held_against_people_and_the_better_one_counts_more(ordinary):
    said = [("good", i, 0, 1) for i in range(4)] + [("bad", i, 1, 0) for i in range(4)]
    heard = heard_of(ordinary, {i: (1,) for i in range(4)}, said, settled=verdicts_of(dict.fromkeys(range(3), 0)))
    found = reported(ordinary, heard)
    judges = found.tables["judges"].set_index("judge")
    assert judges.loc["good", ["right", "n", "accuracy"]].tolist() == [3, 3, 1]
    assert judges.loc["bad", ["right", "n", "accuracy"]].tolist() == [0, 3, 0]
    assert judges.loc["good", "weight"] > judges.loc["bad", "weight"] == 0
    assert np.isnan(judges.loc[COMBINED, "weight"]) and judges.index[-1] == COMBINED
    assert not found.per_sample["flag"].any()
    assert figure(found, "Pairwise accuracy, good").basis.startswith(
        "3 of 3 pairs of the label people settled on and another"
    )
    by_class = found.tables["judges by class"]
    assert set(by_class["judge"]) == {"good", "bad", COMBINED} and set(by_class["class_id"]) == {0}
    assert set(found.tables["judges by group"]["judge"]) == {"good", "bad", COMBINED}


def test_report__people_are_a_judge_whose_answers_are_not_written_again(ordinary):
    people = answers_of([(PEOPLE, 0, 2, 0)])
    found = reported(ordinary, heard_of(ordinary, {0: (2,), 1: (2,)}, [(GIVEN, 0, 0, 2), (GIVEN, 1, 0, 2)], people))
    assert set(found.tables["judges"]["judge"]) == {GIVEN, PEOPLE, COMBINED}
    assert set(found.tables["answers"]["judge"]) == {GIVEN}
    assert found.per_sample["score"].notna().tolist() == [True] + 8 * [False]  # people looked at this one
    assert any("People's 2 answers" in sentence for sentence in found.caveats)


def of_size(n: int, settled: int) -> Findings:
    big = made_set(n_per_class=(n, 1))
    said = [("a", i, 0, 1) for i in range(n)]
    heard = heard_of(big, {i: (1,) for i in range(n)}, said, settled=verdicts_of(dict.fromkeys(range(settled), 0)))
    return reported(big, heard)


@pytest.mark.parametrize(
    ("settled", "sentence"),
    [
        (0, "Nobody has settled a label that was held against another"),
        (FEWEST_CHECKED - 1, f"Only {FEWEST_CHECKED - 1} pairs could be checked"),
        (FEWEST_CHECKED, ""),
    ],
)
def test_report__says_how_little_the_weights_rest_on(settled, sentence):
    told = [text for text in of_size(30, settled).caveats if text.startswith(("Nobody has settled", "Only "))]
    assert [text.startswith(sentence) for text in told] == ([True] if sentence else [])


def test_report__probabilities_are_fitted_only_to_samples_that_a_judge_looked_at():
    big = made_set(n_per_class=(FEWEST_SETTLED + 10, 1))
    rivals = {i: (1,) for i in range(FEWEST_SETTLED + 10)}
    given = [(GIVEN, i, 0, 1) for i in rivals]
    settled = verdicts_of(dict.fromkeys(rivals, 0))
    few = heard_of(big, rivals, [*given, *(("a", i, 0, 1) for i in range(FEWEST_SETTLED - 1))], settled=settled)
    enough = heard_of(big, rivals, [*given, *(("a", i, 0, 1) for i in range(FEWEST_SETTLED))], settled=settled)
    assert (few.sharpness.n, enough.sharpness.n) == (0, FEWEST_SETTLED)
    assert enough.sharpness.power > 1 and any("raised to the power" in text for text in reported(big, enough).caveats)
