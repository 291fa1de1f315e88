"""From raw answers to preferences: both orders of a pair held against each other, repeated votes counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.critic.judge import LEFT, NONE, RIGHT
from analysis.intervals import ratio
from data.pair_answers import PEOPLE, PairAnswers


@dataclass(frozen=True, eq=False)
class Preferences:
    """Parallel arrays (n,), one row for each sample, unordered pair and judge.

    ``sample_id``, ``first`` < ``second`` int64 (NOTHING, -1, is always first); ``judge`` object (str). ``for_first``,
    ``for_second``, ``tied`` and ``unanswered`` float64 are counted in rounds, a round being both orders of the pair.
    """

    sample_id: np.ndarray
    first: np.ndarray
    second: np.ndarray
    judge: np.ndarray
    for_first: np.ndarray
    for_second: np.ndarray
    tied: np.ndarray
    unanswered: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)

    def take(self, rows: np.ndarray) -> Preferences:
        """The rows ``rows``, int64 or bool."""
        return Preferences(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def answered(self) -> np.ndarray:
        """Rounds that were answered, float64 (n,)."""
        return self.for_first + self.for_second + self.tied

    @property
    def agreement(self) -> np.ndarray:
        """The confidence that repeated votes give: the part of the answered rounds that says what most of them say, float64
        (n,); NaN where none was answered. A single round agrees with itself, as far as the judge was confident."""
        return ratio(np.maximum(np.maximum(self.for_first, self.for_second), self.tied), self.answered)


def preferences(answers: PairAnswers) -> Preferences:
    """Every judge's answers about each pair, counted in rounds; by sample, pair and the judge's name.

    The k-th answer in one order of a pair is held against the k-th in the other, of the same author; what people say in one
    order may be held against what someone else says in the other. A round is unanswered where either answer is ``none``, won
    where both say the same label, and a tie otherwise: a judge that goes by the order has no preference (position bias:
    Zheng et al., arXiv 2306.05685, who also call inconsistent answers a tie). An answer without its counterpart is half a
    round as it stands. A round won at a mean confidence c counts c for the winner and 1 - c for the other; where a judge
    gives no confidence, c is 1.
    """
    pair, round_ = _pairs_and_rounds(answers)
    rows, pair_of_round = _a_row_of_each(pair), pair[_a_row_of_each(round_)]
    counts = (np.bincount(pair_of_round, part, len(rows)).astype(float) for part in _outcomes(answers, round_))
    first, second = _labels(answers)
    return Preferences(answers.sample_id[rows], first[rows], second[rows], answers.judge[rows], *counts)


def _pairs_and_rounds(answers: PairAnswers) -> tuple[np.ndarray, np.ndarray]:
    """Which sample, pair and judge an answer is of, in their order, and which round: int64 (n,) each, numbered from 0."""
    judge = pd.factorize(answers.judge, sort=True)[0]
    author = pd.factorize(np.where(answers.judge == PEOPLE, "", answers.author))[0]
    pair = _numbered(answers.sample_id, *_labels(answers), judge)
    order = pd.DataFrame({"pair": pair, "author": author, "swapped": _swapped(answers)})
    place = order.groupby(list(order)).cumcount().to_numpy()
    return pair, _numbered(pair, author, place)


def _outcomes(answers: PairAnswers, round_: np.ndarray) -> tuple[np.ndarray, ...]:
    """What each round gives to the first label, the second, a tie and to no answer: float64 (rounds,) each."""
    asked = np.bincount(round_)
    size = asked / 2
    confidence = np.bincount(round_, np.where(np.isnan(answers.confidence), 1.0, answers.confidence)) / asked
    swapped, to_left, to_right = _swapped(answers), answers.said == LEFT, answers.said == RIGHT
    first = np.bincount(round_, np.where(swapped, to_right, to_left)) == asked
    second = np.bincount(round_, np.where(swapped, to_left, to_right)) == asked
    unanswered = np.bincount(round_, answers.said == NONE) > 0
    won = np.where(first, confidence, np.where(second, 1 - confidence, 0.0))
    decided = first | second
    return size * won, size * (decided - won), size * ~(decided | unanswered), size * unanswered


def _labels(answers: PairAnswers) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(answers.left, answers.right), np.maximum(answers.left, answers.right)


def _swapped(answers: PairAnswers) -> np.ndarray:
    return answers.left > answers.right


def _numbered(*columns: np.ndarray) -> np.ndarray:
    """Equal rows of ``columns`` (n,) numbered alike from 0, in the order of their values, int64 (n,)."""
    table = pd.DataFrame(dict(enumerate(columns)))
    return table.groupby(list(table), sort=True).ngroup().to_numpy()


def _a_row_of_each(numbers: np.ndarray) -> np.ndarray:
    """A row at which each of ``numbers`` (n,), 0 and up without gaps, stands: int64 (numbers,)."""
    rows = np.empty(numbers.max(initial=-1) + 1, np.int64)
    rows[numbers] = np.arange(len(numbers))
    return rows
