from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.pair_answers import COLUMNS, NO_ANSWERS, NOTHING, SAID, PairAnswers, from_frame, together

LABEL = st.integers(NOTHING, 5)
ROW = st.tuples(
    st.integers(0, 9),
    st.lists(LABEL, min_size=2, max_size=2, unique=True),
    st.sampled_from(["people", "prototypes"]),
    st.sampled_from(SAID),
    st.none() | st.floats(0, 1),
    st.text(max_size=5),
)


def made(rows: list[tuple]) -> PairAnswers:
    return PairAnswers(
        sample_id=np.array([row[0] for row in rows]),
        left=np.array([row[1][0] for row in rows]),
        right=np.array([row[1][1] for row in rows]),
        judge=[row[2] for row in rows],
        said=[row[3] for row in rows],
        confidence=[np.nan if row[4] is None else row[4] for row in rows],
        reason=[row[5] for row in rows],
        author=["a"] * len(rows),
        seconds=[1.0] * len(rows),
        at=["2026-01-01T00:00:00"] * len(rows),
    )


def same(first: PairAnswers, second: PairAnswers) -> bool:
    pd.testing.assert_frame_equal(first.frame(), second.frame())
    return True


@given(st.lists(ROW, max_size=8))
def test_frame__comes_back_as_it_went(rows):
    assert same(from_frame(made(rows).frame()), made(rows))


@given(st.lists(ROW, max_size=5), st.lists(ROW, max_size=5))
def test_together__keeps_every_row_in_order(first, second):
    assert same(together([made(first), NO_ANSWERS, made(second)]), made(first + second))


@given(st.lists(ROW, min_size=1, max_size=6), st.data())
def test_digest__changes_with_what_was_said_and_with_nothing_else(rows, draw):
    place = draw.draw(st.integers(0, len(rows) - 1))
    other = [*rows]
    other[place] = (*rows[place][:3], draw.draw(st.sampled_from([s for s in SAID if s != rows[place][3]])), *rows[place][4:])
    assert made(rows).digest == made(rows).digest != made(other).digest


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("left", [1], "two different labels"),
        ("left", [-2], "numbered from 0"),
        ("sample_id", [-1], "numbered from 0"),
        ("said", ["perhaps"], "not 'perhaps'"),
        ("confidence", [1.5], "between 0 and 1"),
        ("judge", [], "differ in length"),
        ("reason", ["\ud800"], "not valid Unicode"),
        ("reason", [None], "is no text"),
        ("author", [3.0], "is no text"),
    ],
)
def test_pair_answers__refuse_what_does_not_fit(column, value, why):
    row = made([(0, [0, 1], "people", "left", None, "")])
    with pytest.raises(ValueError, match=why):
        PairAnswers(**{f.name: value if f.name == column else getattr(row, f.name) for f in fields(PairAnswers)})


def test_from_frame__names_the_column_that_is_missing():
    with pytest.raises(ValueError, match=COLUMNS[1]):
        from_frame(NO_ANSWERS.frame().drop(columns=COLUMNS[1]))
