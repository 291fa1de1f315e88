"""Answers as numbered votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.consensus.votes import UNDECIDED, UNSIGNED, numbered
from data.errors import ImpossibleRequest
from tests.analysis.consensus.crowds import said, votes_of


def test_numbered__known_labels_are_no_votes():
    answers = said([(1, "ada", 0), (1, "rev", 2), (4, "bob", 1), (5, "rev", 0)])
    votes, gold = numbered(answers, "rev", 6, 3)
    assert votes.annotators == ("ada", "bob") and votes.samples.tolist() == [1, 4]
    assert gold.ids.tolist() == [1, 5] and gold.of(np.array([0, 1, 4, 5])).tolist() == [UNDECIDED, 2, UNDECIDED, 0]
    assert numbered(answers, "", 6, 3)[1].of(np.array([1])).tolist() == [UNDECIDED]


def test_numbered__a_softened_answer_counts_as_its_likeliest_class_unless_two_tie():
    votes = votes_of([(0, "ada", [0.5, 0.5, 0.0]), (0, "bob", [0.2, 0.7, 0.1]), (0, "", 2)])
    by_name = dict(zip((votes.annotators[a] for a in votes.annotator), votes.label.tolist(), strict=True))
    assert by_name == {"ada": UNDECIDED, "bob": 1, UNSIGNED: 2}
    np.testing.assert_allclose(votes.rows.toarray().sum(axis=1), 1)
    assert votes.counts.toarray().tolist() == [[0, 1, 1]] and votes.answers.tolist() == [3]


def test_numbered__names_that_only_just_differ_are_two_people():
    assert votes_of([(0, "ada", 0), (0, "ada\0", 1), (0, "ADA", 1), (0, "ada ", 1)]).answers.tolist() == [4]


def test_differ__is_about_likeliest_classes():
    votes = votes_of([(0, "a", 1), (0, "b", [0.1, 0.8, 0.1]), (1, "a", 1), (1, "b", [0.5, 0.5, 0.0]), (2, "a", 0)])
    assert votes.differ.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("rows", "gold", "sentence"),
    [
        ([(7, "ada", 0)], "", "sample 7"),
        ([(0, "ada", 3)], "", "class 3"),
        ([(0, "ada", [0.5, 0.5])], "", "2 values for 3 classes"),
        ([(0, "ada", 0)], "eve", "nobody called 'eve' has answered for this set; among those who have: ada"),
    ],
)
def test_numbered__what_the_set_does_not_have_is_refused(rows, gold, sentence):
    with pytest.raises(ImpossibleRequest, match=sentence):
        numbered(said(rows), gold, 5, 3)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 5), st.sampled_from("abc")), st.integers(0, 3), min_size=1))
def test_votes__are_counted_as_a_loop_counts_them(answers):
    votes = votes_of([(*key, label) for key, label in answers.items()], 4)
    for place, sample in enumerate(votes.samples):
        mine = [label for (i, _), label in answers.items() if i == sample]
        assert votes.counts[[place]].toarray()[0].tolist() == [mine.count(c) for c in range(4)]
        assert votes.answers[place] == len(mine) and votes.differ[place] == (len(set(mine)) > 1)
    assert votes.overlap == sum(n > 1 for n in votes.answers)
