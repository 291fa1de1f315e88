"""What counts as a meaningful class name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.critic.class_words import LONGEST, class_words, replies_by_words, why_speechless, wordless_caveats
from analysis.critic.judge import BOTH, LEFT, NONE, RIGHT, Questions
from data.distilled_set import numbered_classes
from data.pair_answers import NOTHING


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("airplane", "airplane"),
        ("aquarium_fish", "aquarium fish"),
        ("T-shirt/top", "T-shirt/top"),
        ("3D printer", "3D printer"),
        ("0 - zero", "zero"),
        ("012.Black_footed_Albatross", "Black footed Albatross"),
        ("SeaLake", "Sea Lake"),
        ("cat", "cat"),
        ("Class clown", "Class clown"),
        ("Katze", "Katze"),
        ("寿司", "寿司"),
        ("n01440764", "tench"),
        ("n01440764_tench", "tench"),
        ("n99999999_my own fish", "my own fish"),
        ("n99999999", ""),
        ("class 7", ""),
        ("class_7", ""),
        ("Label3", ""),
        ("7", ""),
        ("0 - 7", ""),
        ("k", ""),
        ("", ""),
        ("  ", ""),
        ("---", ""),
    ],
)
def test_class_words__each_kind_of_name(name, words):
    assert class_words([name]) == (words,)


@given(st.text(max_size=400))
def test_class_words__any_text_is_short_one_line_and_means_itself(name):
    (word,) = class_words([name])
    assert len(word) <= 2 * LONGEST and word == " ".join(word.split())
    assert not word or any(map(str.isalpha, word))


def test_why_speechless__numbered_classes_and_a_single_named_one():
    names = numbered_classes(3)
    assert "'class 0'" in why_speechless(names, class_words(names))
    mixed = ("class 0", "dog", "class 2")
    assert why_speechless(mixed, class_words(mixed))
    assert why_speechless(("cat", "dog"), ("cat", "dog")) == ""


def test_wordless_caveats__only_where_some_are_missing():
    assert wordless_caveats(("cat", "dog"), ("cat", "dog")) == ()
    (said,) = wordless_caveats(("cat", "dog", "class 2"), ("cat", "dog", ""))
    assert "1 of 3" in said and "'class 2'" in said


def test_replies_by_words__softmax_nothing_and_a_class_without_words():
    logits = np.log([[0.6, 0.3, 0.1, np.nan], [0.2, 0.2, 0.6, np.nan]])
    asked = [(0, 0, 1), (0, 1, 0), (1, 0, 1), (0, 0, NOTHING), (1, NOTHING, 0), (0, 3, 1), (0, 1, 3), (0, 3, NOTHING)]
    rows, left, right = np.array(asked).T
    replies = replies_by_words(logits, rows, Questions(rows, left, right))
    assert replies.said.tolist() == [LEFT, RIGHT, BOTH, LEFT, LEFT, NONE, NONE, NONE]
    np.testing.assert_allclose(replies.confidence[:5], [2 / 3, 2 / 3, 0.5, 0.6, 0.8])
    assert np.isnan(replies.confidence[5:]).all()


def test_replies_by_words__an_image_without_numbers_gets_no_answer():
    logits = np.array([[np.nan, np.nan], [1.0, 2.0]])
    rows = np.array([0, 0, 1])
    asked = Questions(rows, np.array([0, 1, 0]), np.array([1, NOTHING, 1]))
    assert replies_by_words(logits, rows, asked).said.tolist() == [NONE, NONE, RIGHT]
    alone = Questions(rows[:1], np.array([0]), np.array([1]))
    assert replies_by_words(logits[:1], rows[:1], alone).said.tolist() == [NONE]
