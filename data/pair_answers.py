"""What judges answered when asked which of two labels fits an image better: raw answers, one row a question asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
import pandas as pd

from data.plain_text import is_broken_text

Said = Literal["left", "right", "both", "neither", "none"]
SAID: tuple[Said, ...] = get_args(Said)
"""``none`` is no answer: a judge that failed, refused or did not keep to the form."""
NOTHING = -1
"""Stands where a class would: "something else". A pair of a class and this is the check of a single label."""
SOMETHING_ELSE = "something else"
"""What people and models read in place of NOTHING."""
PEOPLE = "people"
"""The judge that people are together; ``author`` says which of them."""

_TEXTS = ("judge", "said", "reason", "author", "at")
_INTEGERS, _NUMBERS = ("sample_id", "left", "right"), ("confidence", "seconds")


@dataclass(frozen=True, eq=False)
class PairAnswers:
    """Parallel arrays (n,), one row a question asked, in the order of the answers.

    ``sample_id``, ``left`` and ``right`` int64: the question as put; a class, or NOTHING. ``judge`` str: who answered;
    ``author`` str: the person, model or file behind that. ``said`` one of SAID. ``confidence`` float64 in [0, 1], the
    judge's own, NaN for none. ``reason`` str, "" for none. ``seconds`` float64 taken, NaN where unknown; ``at`` ISO 8601,
    or "". Raises ValueError where these do not fit together.
    """

    sample_id: np.ndarray
    left: np.ndarray
    right: np.ndarray
    judge: np.ndarray
    said: np.ndarray
    confidence: np.ndarray
    reason: np.ndarray
    author: np.ndarray
    seconds: np.ndarray
    at: np.ndarray

    def __post_init__(self) -> None:
        for name in COLUMNS:
            object.__setattr__(self, name, _column(name, getattr(self, name)))
        if len({len(getattr(self, name)) for name in COLUMNS}) > 1:
            raise ValueError("the columns of pair answers differ in length")
        if (self.left == self.right).any():
            raise ValueError("a pair needs two different labels")
        if len(self) and min(self.sample_id.min(), self.left.min() + 1, self.right.min() + 1) < 0:
            raise ValueError("samples and classes are numbered from 0")
        if unknown := set(self.said) - set(SAID):
            raise ValueError(f"an answer is one of {', '.join(SAID)}, not '{min(map(str, unknown))}'")
        if not all(isinstance(text, str) for name in _TEXTS for text in getattr(self, name)):
            raise ValueError("an answer's text is no text")
        if any(is_broken_text("".join(getattr(self, name))) for name in _TEXTS):
            raise ValueError("an answer's text is not valid Unicode")
        if ((self.confidence < 0) | (self.confidence > 1)).any():
            raise ValueError("a confidence lies between 0 and 1")

    def __len__(self) -> int:
        return len(self.sample_id)

    def take(self, rows: np.ndarray) -> PairAnswers:
        """The answers ``rows``, int64 or bool."""
        return PairAnswers(**{name: getattr(self, name)[rows] for name in COLUMNS})

    def frame(self) -> pd.DataFrame:
        """The same as a table with these columns."""
        return pd.DataFrame({name: getattr(self, name) for name in COLUMNS})

    @property
    def digest(self) -> str:
        """The same for the same answers in the same order."""
        rows = zip(*(getattr(self, name).tolist() for name in COLUMNS), strict=True)
        return hashlib.sha256("\n".join(map(repr, rows)).encode("utf-8", "backslashreplace")).hexdigest()


COLUMNS = tuple(field.name for field in fields(PairAnswers))


def from_frame(table: pd.DataFrame) -> PairAnswers:
    """The answers in a table that has all of COLUMNS. Raises ValueError where one is missing or does not fit."""
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"pair answers lack the column {missing[0]}")
    return PairAnswers(**{name: table[name].to_numpy() for name in COLUMNS})


def together(parts: Sequence[PairAnswers]) -> PairAnswers:
    """All answers of ``parts``, one part after the other."""
    held = [part for part in parts if len(part)]
    if not held:
        return NO_ANSWERS
    return PairAnswers(**{name: np.concatenate([getattr(part, name) for part in held]) for name in COLUMNS})


def _column(name: str, values: np.ndarray) -> np.ndarray:
    if name in _INTEGERS:
        return np.asarray(values, np.int64)
    if name in _NUMBERS:
        return np.asarray(values, np.float64)
    return np.asarray(values, object)


NO_ANSWERS = PairAnswers(*([] for _ in COLUMNS))
