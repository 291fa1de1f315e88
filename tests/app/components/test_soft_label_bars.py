"""Which classes the bars show."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.components.soft_label_bars import BarSource, bars_data


def source(name: str, *values: float) -> BarSource:
    return BarSource(name, "probabilities", np.array(values))


def names(data: dict) -> list[str]:
    return [row["name"] for row in data["rows"]]


def test_bars_data__highest_in_any_source_first():
    data = bars_data("abcd", [source("given", 0.1, 0.6, 0.2, 0.1), source("teacher", 0.0, 0.1, 0.0, 0.9)], most=2)
    assert names(data) == ["d", "b"]
    assert [row["values"] for row in data["rows"]] == [[0.1, 0.9], [0.6, 0.1]]
    assert data["other"]["count"] == 2
    np.testing.assert_allclose(data["other"]["values"], [0.3, 0.0])


def test_bars_data__given_and_suggested_are_shown_however_little_they_get():
    data = bars_data("abcde", [source("given", 0.5, 0.3, 0.2, 0.0, 0.0)], given=4, suggested=3, most=3)
    assert names(data) == ["a", "d", "e"]
    assert [(row["given"], row["suggested"]) for row in data["rows"]] == [(False, False), (False, True), (True, False)]


def test_bars_data__few_classes_leave_no_other():
    assert bars_data("ab", [source("given", 0.3, 0.7)])["other"] is None


def test_bars_data__no_source():
    assert bars_data("ab", []) == {"sources": [], "rows": [], "other": None}


@given(
    st.integers(2, 30).flatmap(
        lambda c: st.tuples(
            st.lists(st.lists(st.floats(0.001, 1), min_size=c, max_size=c), min_size=1, max_size=4),
            st.integers(0, c - 1),
            st.integers(1, 10),
        )
    )
)
def test_bars_data__nothing_is_lost(case: tuple[list[list[float]], int, int]):
    raw, label, most = case
    rows = [np.array(r) / sum(r) for r in raw]
    data = bars_data([str(i) for i in range(len(rows[0]))], [source("s", *r) for r in rows], given=label, most=most)
    assert len(data["rows"]) == min(most, len(rows[0])) and str(label) in names(data)
    for s in range(len(rows)):
        total = sum(row["values"][s] for row in data["rows"]) + (data["other"]["values"][s] if data["other"] else 0)
        assert abs(total - 1) < 1e-9
