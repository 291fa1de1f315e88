"""One sample's tournament in words: which samples first, and what each judge said in both orders."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.critic.votes import preferences
from app.critic_sample import INCONSISTENT, answers_about, cycle_words, first_asked, rounds, sample_words
from data.pair_answers import NOTHING, SAID
from tests.app.critic_findings import ANSWERS, NAMES, answers, critic_findings

FOUND = critic_findings()


def test_first_asked__cycles_then_the_least_sure_and_never_what_was_not_asked():
    assert first_asked(FOUND.per_sample) == [6, 12, 8, 11, 10, 7, 5, 9]
    assert first_asked(FOUND.per_sample, most=2) == [6, 12]


def test_sample_words__begin_with_the_number_that_is_typed():
    rows = FOUND.per_sample.set_index("sample_id", drop=False)
    assert sample_words(rows.loc[6], NAMES) == "6 · 1, best 2 (97%), cycle"
    assert sample_words(rows.loc[7], NAMES) == "7 · 2 stands (98%)"
    assert sample_words(rows.loc[9], NAMES) == "9 · 4, best something else (99%)"


def test_cycle_words__end_where_they_begin():
    assert cycle_words(FOUND.tables["cycles"], 6, NAMES) == ["1 > 2 > 4 > 1"]
    assert cycle_words(FOUND.tables["cycles"], 7, NAMES) == []


def test_rounds__both_orders_stand_in_one_row_with_what_they_count_as():
    table = rounds(answers_about(ANSWERS.frame(), 6), NAMES)
    assert table["judge"].tolist() == ["prototypes", "model", "model", "people"]
    assert table["by"].tolist() == ["", "tiny", "tiny", "ann, bob"]
    assert table["question"].tolist() == ["1 or 2?", "1 or 2?", "1 or 4?", "1 or something else?"]
    assert table["answer"].tolist() == ["2 (90% sure)", "1", "both fit", "1"]
    assert table["in_the_other_order"].tolist() == ["2 (80% sure)", "2", "no answer", "1"]
    assert table["counts_as"].tolist() == ["2", INCONSISTENT, "no answer", "1"]
    assert table["reason"].tolist() == ["", "the *first* <b>fits</b> / so does this", "no answer in time", ""]


def test_rounds__the_same_twice_is_no_inconsistency():
    assert rounds(answers_about(ANSWERS.frame(), 7), NAMES)["counts_as"].tolist() == ["tie: neither fits"]


def test_rounds__one_order_alone_says_that_the_other_was_not_asked():
    (row,) = rounds(answers_about(ANSWERS.frame(), 8), NAMES).to_dict("records")
    assert (row["answer"], row["in_the_other_order"], row["counts_as"]) == ("3 (50% sure)", "not asked", "3")


def test_rounds__of_a_sample_that_nobody_answered_about_are_none():
    assert not len(rounds(answers_about(ANSWERS.frame(), 3), NAMES))


def test_rounds__two_models_of_one_judge_are_not_held_against_each_other():
    said = answers([(0, 1, 2, "model", "left", 1.0, "", "a"), (0, 2, 1, "model", "left", 1.0, "", "b")])
    assert rounds(said, NAMES)["in_the_other_order"].tolist() == ["not asked", "not asked"]


LABELS = st.sampled_from([(1, 2), (2, 1), (NOTHING, 1), (1, NOTHING)])
WHO = st.sampled_from([("model", "a"), ("model", "b"), ("people", "ann"), ("people", "bob")])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(LABELS, WHO, st.sampled_from(SAID)), min_size=1, max_size=20))
def test_rounds__agree_with_what_the_votes_make_of_them(asked):
    said = answers([(0, *pair, judge, word, np.nan, "", who) for pair, (judge, who), word in asked])
    table = rounds(said, NAMES)
    whole = np.where(table["in_the_other_order"] == "not asked", 0.5, 1.0)
    votes = preferences(said)
    assert whole.sum() == votes.answered.sum() + votes.unanswered.sum()
    assert whole[(table["counts_as"] == "no answer").to_numpy()].sum() == votes.unanswered.sum()
    assert whole[table["counts_as"].str.startswith("tie").to_numpy()].sum() == votes.tied.sum()
