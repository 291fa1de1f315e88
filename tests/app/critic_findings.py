"""Findings of the label critic made by hand, small enough to count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.findings import Findings, per_class_table, per_sample_table
from data.pair_answers import NOTHING, PairAnswers

NAN = float("nan")
NAMES = ("0", "1", "2", "3", "4")


def answers(rows: Sequence[tuple]) -> PairAnswers:
    """From (sample, left, right, judge, said, confidence, reason, author)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    sample, left, right, judge, said, confidence, reason, author = columns
    return PairAnswers(sample, left, right, judge, said, confidence, reason, author, [NAN] * len(rows), [""] * len(rows))


ANSWERS = answers(
    [
        (6, 1, 2, "prototypes", "right", 0.9, "", ""),
        (6, 2, 1, "prototypes", "left", 0.8, "", ""),
        (6, 1, 2, "model", "left", NAN, "the *first* <b>fits</b>", "tiny"),
        (6, 2, 1, "model", "left", NAN, "so does this", "tiny"),
        (6, 1, 4, "model", "both", NAN, "", "tiny"),
        (6, 4, 1, "model", "none", NAN, "no answer in time", "tiny"),
        (6, 1, NOTHING, "people", "left", NAN, "", "ann"),
        (6, NOTHING, 1, "people", "right", NAN, "", "bob"),
        (7, 2, 3, "prototypes", "neither", 0.5, "", ""),
        (7, 3, 2, "prototypes", "neither", 0.5, "", ""),
        (8, 3, 4, "prototypes", "left", 0.5, "", ""),
    ]
)


def critic_findings(n: int = 20) -> Findings:
    """Of ``n`` samples labelled 0 to 4 and again, those from 5 to 12 were asked about.

    5 and 6 should be relabelled (0.99, 0.97), 7 and 8 are best as given (0.98, 0.60), of 9 no candidate fits (0.99), and 10
    to 12 should be relabelled less surely (0.90, 0.80, 0.55). 6 has a cycle.
    """
    given = np.arange(n) % 5
    best, p = np.full(n, NOTHING), np.full(n, NAN)
    best[5:13] = [1, 2, given[7], given[8], NOTHING, 1, 2, 3]
    p[5:13] = [0.99, 0.97, 0.98, 0.60, 0.99, 0.90, 0.80, 0.55]
    asked = ~np.isnan(p)
    p_given = np.where(best == given, p, (1 - p) / 2)
    per_sample = per_sample_table(
        p_given,
        asked & (best != given),
        given_label=given,
        suggested_label=best,
        p_suggested=p,
        p_given=p_given,
        second_label=np.where(asked, given, NOTHING),
        p_second=np.where(asked, 1 - p, NAN),
        candidates=np.where(asked, 3, 0),
        rounds=np.where(asked, 2.0, 0.0),
        cycle=np.arange(n) == 6,
    )
    per_class = per_class_table(NAMES, np.bincount(given, minlength=5))
    tables = {
        "judges": judges(),
        "candidates": candidates(),
        "answers": ANSWERS.frame(),
        "cycles": pd.DataFrame({"sample_id": [6], "labels": [[1, 2, 4]]}),
    }
    return Findings(per_sample, per_class, tables=tables)


def judges() -> pd.DataFrame:
    """Three judges, of which nobody has checked the last, and all of them combined."""
    table = pd.DataFrame({"judge": ["committee", "prototypes", "zero-shot", "combined"], "asked": 10, "answered": 10})
    accuracy = [0.8, 0.9, NAN, 0.95]
    return table.assign(
        ties=0,
        no_answer=0,
        right=[8.0, 9.0, 0.0, 9.5],
        n=[10, 10, 0, 10],
        accuracy=accuracy,
        accuracy_low=[0.5, 0.6, NAN, 0.7],
        accuracy_high=[0.95, 0.98, NAN, 0.99],
        weight=[1.0, 1.5, 1.1, NAN],
    )


def candidates() -> pd.DataFrame:
    """The candidates of sample 6, whose given label is 1."""
    return pd.DataFrame(
        {
            "sample_id": 6,
            "place": [0, 1, 2],
            "label": [1, 2, NOTHING],
            "class_name": ["1", "2", ""],
            "p": [0.02, 0.97, 0.01],
            "origins": ["given", "committee, suggestion", ""],
        }
    )
