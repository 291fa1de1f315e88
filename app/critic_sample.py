"""What the critic's tables say of one sample: which samples to show first, and every answer in words. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.critic.votes import preferences
from app.critic_figures import label_words
from data.pair_answers import PEOPLE, PairAnswers, from_frame

INCONSISTENT = "tie: inconsistent"
ROUND_COLUMNS = ["judge", "question", "counts_as", "answer", "in_the_other_order", "by", "reason"]
SAID = {"both": "both fit", "neither": "neither fits", "none": "no answer"}
MOST_LISTED = 500
"""A menu of more would be slow to open; any other sample is found by its number."""


def first_asked(per_sample: pd.DataFrame, most: int = MOST_LISTED) -> list[int]:
    """The asked samples that are worth looking at first: those whose answers contradict any ranking, then the least sure."""
    asked = per_sample[per_sample["score"].notna()]
    order = asked.sort_values(["cycle", "p_suggested", "sample_id"], ascending=[False, True, True], kind="stable")
    return order["sample_id"].head(most).astype(int).tolist()


def sample_words(row: pd.Series, class_names: Sequence[str]) -> str:
    """One sample in a menu, its number first."""
    given, best = (_class(int(row[name]), class_names) for name in ("given_label", "suggested_label"))
    what = f"{given} stands" if row["given_label"] == row["suggested_label"] else f"{given}, best {best}"
    return f"{int(row['sample_id'])} · {what} ({row['p_suggested']:.0%}){', cycle' if row['cycle'] else ''}"


def answers_about(table: pd.DataFrame, sample_id: int) -> PairAnswers:
    """What judges said of one sample, from the findings' table of answers."""
    return from_frame(table[table["sample_id"] == sample_id])


def cycle_words(cycles: pd.DataFrame, sample_id: int, class_names: Sequence[str]) -> list[str]:
    """How the answers about one sample go round in a circle, each label preferred to the next: "7 > 2 > 5 > 7"."""
    found = cycles.loc[cycles["sample_id"] == sample_id, "labels"] if len(cycles) else []
    return [" > ".join(_class(int(label), class_names) for label in (*labels, labels[0])) for labels in found]


def rounds(answers: PairAnswers, class_names: Sequence[str]) -> pd.DataFrame:
    """One row for each round of one sample, a round being the same pair asked in both orders, in the order asked; what a
    round counts as is analysis.critic.votes' to say.

    Columns in words: ``judge``, ``question``, ``counts_as``, ``answer``, ``in_the_other_order``, ``by`` (person, model
    or file) and ``reason``.
    """
    held = _held_together(answers)
    of_round = np.empty(len(answers), np.int64)
    for number, rows_held in enumerate(held):
        of_round[rows_held] = number
    counted = preferences(replace(answers, sample_id=of_round))  # as if each round were a sample of its own
    outcomes = zip(counted.unanswered > 0, counted.tied > 0, strict=True)
    rows = [_round(answers.take(np.array(r)), *o, class_names) for r, o in zip(held, outcomes, strict=True)]
    return pd.DataFrame(rows, columns=ROUND_COLUMNS)


def _held_together(answers: PairAnswers) -> list[list[int]]:
    """The rows of each round, the order asked first in front: the k-th answer in one order with the k-th in the other."""
    met: dict[tuple[object, ...], int] = {}
    found: dict[tuple[object, ...], list[int]] = {}
    for row, (judge, author, left, right) in enumerate(
        zip(answers.judge, answers.author, answers.left.tolist(), answers.right.tolist(), strict=True)
    ):
        who = "" if judge == PEOPLE else author  # one person's answer may be held against another's
        asked = (judge, who, left, right)
        met[asked] = met.get(asked, 0) + 1
        found.setdefault((judge, who, min(left, right), max(left, right), met[asked]), []).append(row)
    return list(found.values())


def _round(answers: PairAnswers, unanswered: bool, tied: bool, class_names: Sequence[str]) -> dict[str, str]:
    left, right = (_class(int(label[0]), class_names) for label in (answers.left, answers.right))
    said = [_said(answers, row, class_names) for row in range(len(answers))]
    return {
        "judge": str(answers.judge[0]),
        "question": f"{left} or {right}?",
        "answer": said[0],
        "in_the_other_order": said[1] if len(said) > 1 else "not asked",
        "counts_as": SAID["none"] if unanswered else _tie(answers) if tied else _winner(answers, class_names),
        "by": ", ".join(dict.fromkeys(filter(None, map(str, answers.author)))),
        "reason": " / ".join(dict.fromkeys(str(reason) for reason in answers.reason if reason)),
    }


def _tie(answers: PairAnswers) -> str:
    same = len(set(answers.said)) == 1 and answers.said[0] in SAID
    return f"tie: {SAID[answers.said[0]]}" if same else INCONSISTENT


def _winner(answers: PairAnswers, class_names: Sequence[str]) -> str:
    """All answers of a round that is no tie say the same label."""
    return _class(int(getattr(answers, answers.said[0])[0]), class_names)


def _said(answers: PairAnswers, row: int, class_names: Sequence[str]) -> str:
    said = answers.said[row]
    words = SAID[said] if said in SAID else _class(int(getattr(answers, said)[row]), class_names)
    sure = answers.confidence[row]
    return words if np.isnan(sure) or said == "none" else f"{words} ({sure:.0%} sure)"


def _class(label: int, class_names: Sequence[str]) -> str:
    """A label that the set does not have, which only foreign tables name, is shown by its number."""
    return label_words(label, class_names[label] if 0 <= label < len(class_names) else label)
