"""What every judge is: something that is asked which of two labels fits an image better."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data.pair_answers import NOTHING, SAID


@dataclass(frozen=True, eq=False)
class Questions:
    """Parallel int64 arrays (n,): which of ``left`` and ``right`` fits sample ``sample_id`` better? Either may be NOTHING:
    does the other fit at all?"""

    sample_id: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)

    def swapped(self) -> Questions:
        """The same questions in the other order."""
        return Questions(self.sample_id, self.right, self.left)

    def take(self, rows: np.ndarray | slice) -> Questions:
        """The questions ``rows``."""
        return Questions(self.sample_id[rows], self.left[rows], self.right[rows])

    def batches(self, size: int) -> Iterator[Questions]:
        """Consecutive parts of at most ``size`` questions."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))


@dataclass(frozen=True, eq=False)
class Replies:
    """Parallel arrays (n,): ``said`` object, each one of data.pair_answers.SAID; ``confidence`` float64 in [0, 1], NaN for
    none; ``reason`` object (str)."""

    said: np.ndarray
    confidence: np.ndarray
    reason: np.ndarray


class Judge(Protocol):
    """``name`` as people read it ("prototypes"); ``author`` the model or file behind it, "" where the name says all.

    ``about``: one sentence on what it looks at and, where anything leaves the machine, what. ``batch``: how many questions
    it takes at once; ``repeats``: how often it is asked the same, 1 where it always answers alike. ``caveats``: sentences to
    know before believing it.
    """

    name: str
    author: str
    about: str
    batch: int
    repeats: int
    caveats: tuple[str, ...]

    def ask(self, questions: Questions) -> Replies:
        """One reply a question, in order. Raises ImpossibleRequest only where it cannot go on at all."""


LEFT, RIGHT, BOTH, NEITHER, NONE = SAID


def prefer(left: np.ndarray, right: np.ndarray) -> Replies:
    """Replies of a judge that has a probability, or any likelihood >= 0, for each of the two labels, (n,) each.

    Confidence is the larger one's part of the two; equal ones fit both; no answer where both are 0 or either is NaN.
    """
    total = left + right
    known = np.isfinite(total) & (total > 0)
    part = np.divide(left, total, out=np.full(len(total), np.nan), where=known)
    said = np.where(part > 0.5, LEFT, np.where(part < 0.5, RIGHT, BOTH)).astype(object)
    said[~known] = NONE
    return Replies(said, np.maximum(part, 1 - part), np.full(len(total), "", object))


def likelihoods(probabilities: np.ndarray, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Of each question its ``classes`` (n,) under ``probabilities`` (m, C), of which it looks at row ``rows`` (n,).

    NOTHING is left NaN; ``against_nothing`` fills it.
    """
    found = probabilities[rows, np.maximum(classes, 0)].astype(np.float64)
    return np.where(classes == NOTHING, np.nan, found)


def against_nothing(questions: Questions, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with what the other's probability leaves of 1 where the label is NOTHING."""
    return np.where(questions.left == NOTHING, 1 - right, left), np.where(questions.right == NOTHING, 1 - left, right)


def both_likelihoods(
    questions: Questions, read: Callable[[np.ndarray], np.ndarray], at_once: int
) -> tuple[np.ndarray, np.ndarray]:
    """The probability of the left and of the right label of each question, float64 (n,) each.

    ``read`` gives the probabilities (m, C) of m <= ``at_once`` samples, ids int64 ascending; each sample is read once.
    """
    left, right = np.empty(len(questions)), np.empty(len(questions))
    ids, row = np.unique(questions.sample_id, return_inverse=True)
    for start in range(0, len(ids), at_once):
        here = np.flatnonzero((row >= start) & (row < start + at_once))
        probabilities = read(ids[start : start + at_once])
        left[here] = likelihoods(probabilities, row[here] - start, questions.left[here])
        right[here] = likelihoods(probabilities, row[here] - start, questions.right[here])
    return against_nothing(questions, left, right)
