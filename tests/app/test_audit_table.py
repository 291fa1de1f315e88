"""The log in words, and annotators in numbers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from app.audit_table import day_span, held_words, log_table, totals_table
from data.decisions import Decision
from data.log_pages import Held, LogRow, LogTotal

CLASSES = ("cat", "dog\n*")
LABELS = np.array([0, 1])


def test_log_table__says_before_after_and_who_took_it_back():
    entry = Decision(
        1, "relabel", label=0, reason="ambiguous", annotator="a\nb", seconds=2, at="2026-11-01T10:00:00.123+00:00", id=5
    )
    undo = Decision(1, "undo", annotator="cy", at="2026-11-02T11:00:00.000+00:00", id=9, undoes=5)
    row = log_table([LogRow(entry, Held(), Held(0), undo)], LABELS, CLASSES).iloc[0].to_dict()
    assert row == {
        "sample": 1,
        "when": "2026-11-01 10:00:00",
        "who": "a b",
        "what": "relabel",
        "before": "dog *",
        "after": "cat",
        "taken back by": "cy, 2026-11-02 11:00:00",
        "why": "ambiguous",
        "seconds": 2.0,
        "finding": "",
        "entry": 5,
    }


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (Held(), "cat"),
        (Held(pruned=True), "cat, pruned"),
        (Held(1), "dog *"),
        (Held(soft_label=(0.25, 0.75)), "dog * 0.75, softened"),
        (Held(soft_label=(0.6, 0.4), pruned=True), "cat 0.60, softened, pruned"),
    ],
)
def test_held_words(held, words):
    assert held_words(held, 0, CLASSES) == words


def test_totals_table__sums_actions_and_means_only_what_was_timed():
    totals = [
        LogTotal("a", "keep", 3, 1, 2, 9.0),
        LogTotal("b", "prune", 9, 0, 0, 0.0),
        LogTotal("a", "prune", 1, 0, 1, 3.0),
    ]
    table = totals_table(totals).set_index("annotator")
    assert list(table.columns) == ["keep", "prune", "entries", "taken_back", "timed", "minutes", "seconds_each"]
    assert table.loc["a"].tolist() == [3, 1, 4, 1, 3, 0.2, 4.0]
    assert table.loc["b"].tolist()[:5] == [0, 9, 9, 0, 0] and table.loc["b", ["minutes", "seconds_each"]].isna().all()
    assert list(table.index) == ["b", "a"] and totals_table([]).empty


def test_day_span__the_last_day_counts():
    assert day_span(()) == (None, None)
    assert day_span((date(2026, 2, 28),)) == ("2026-02-28", None)
    assert day_span((date(2026, 2, 28), date(2026, 2, 28))) == ("2026-02-28", "2026-03-01")
