"""What stands around headline figures."""

from __future__ import annotations

import pandas as pd

from analysis.findings import Figure
from app.headline_words import SAME, changed_words, nothing_stands_out, unsaid, untold

WHY = "needs 10 labels that people kept"


def test_untold__one_reason_for_several_figures_is_said_once():
    figures = [Figure("AUC", None, WHY, 0), Figure("Errors", 3, "a probe", 9), Figure("Brier score", None, WHY, 0)]
    assert untold(figures) == {WHY: "AUC and Brier score"}
    assert untold([Figure("AUC", None, WHY, 0), Figure("Rank", None, "too few", 0)]) == {WHY: "AUC", "too few": "Rank"}
    assert untold(figures[1:2]) == {}


def test_unsaid__a_reason_is_not_repeated_as_a_caveat():
    caveats = [f"It cannot be told: {WHY}.", "Class thresholds are pooled."]
    assert unsaid(caveats, {f"{WHY}.": "AUC"}) == caveats[1:]
    assert unsaid(caveats, {}) == caveats


def test_changed_words__only_what_differs():
    usual = {"folds": 5, "embedding": "efficientnet-lite0"}
    assert changed_words(usual, dict(usual)) == SAME
    assert changed_words(usual, {**usual, "folds": 10}) == "with folds = 10; all else as usual"
    assert changed_words(usual, {**usual, "gone": 1}) == "with gone = 1; all else as usual", "a run of an earlier version"


def test_nothing_stands_out__where_all_are_perfect():
    nan = float("nan")
    assert "nothing stands out" in nothing_stands_out(pd.Series([1.0, nan, 1.0]))
    assert nothing_stands_out(pd.Series([1.0, 0.999])) == ""
