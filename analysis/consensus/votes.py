"""Annotators' answers as numbered votes, with the answers of whoever counts as right kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from data.annotations import SOFTENED, Annotations
from data.errors import ImpossibleRequest
from data.plain_text import one_line

UNDECIDED = -1
"""Stands where a class would for an answer, or a consensus, whose likeliest class is not the only one."""
UNSIGNED = "unsigned"
TIE = 1e-9
MOST_NAMED = 10


@dataclass(frozen=True, eq=False)
class Votes:
    """v answers of M annotators about n samples, parallel arrays (v,) in the order of samples.

    ``samples`` int64 (n,) ascending are the ids, ``annotators`` the M names; ``sample`` and ``annotator`` int64 (v,) point
    into them. ``label`` int64 (v,): the class, for a softened answer its likeliest one, UNDECIDED where that is a tie.
    ``rows`` (v, C) sparse: each answer as a distribution. ``seconds`` float64 (v,), NaN where unknown.
    """

    samples: np.ndarray
    annotators: tuple[str, ...]
    sample: np.ndarray
    annotator: np.ndarray
    label: np.ndarray
    rows: sparse.csr_array
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def num_classes(self) -> int:
        return self.rows.shape[1]

    @cached_property
    def answers(self) -> np.ndarray:
        """How many annotators answered for each sample, int64 (n,)."""
        return np.bincount(self.sample, minlength=len(self.samples))

    @cached_property
    def hard(self) -> np.ndarray:
        """The votes that name one class, int64 positions."""
        return np.flatnonzero(self.label != UNDECIDED)

    @cached_property
    def counts(self) -> sparse.csr_array:
        """Votes by sample and class, (n, C) sparse, of those that name one class."""
        where = self.sample[self.hard], self.label[self.hard]
        ones = np.ones(len(self.hard))
        return sparse.csr_array(sparse.coo_array((ones, where), shape=(len(self.samples), self.num_classes)))

    @cached_property
    def differ(self) -> np.ndarray:
        """Whether the answers about each sample name different likeliest classes, bool (n,); a tie between two classes is an
        answer of its own."""
        low, high = np.full(len(self.samples), self.num_classes), np.full(len(self.samples), UNDECIDED)
        np.minimum.at(low, self.sample, self.label)
        np.maximum.at(high, self.sample, self.label)
        return low != high

    @property
    def overlap(self) -> int:
        """How many samples have more than one answer."""
        return int((self.answers > 1).sum())


@dataclass(frozen=True, eq=False)
class Gold:
    """Samples whose label is taken to be known: ``ids`` int64 (g,) ascending and ``labels`` int64 (g,); ``seconds`` float64
    (g,) that a known label took, NaN where unknown."""

    ids: np.ndarray
    labels: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, samples: np.ndarray) -> np.ndarray:
        """The known label of each id of ``samples`` int64 (n,), UNDECIDED where there is none; int64 (n,)."""
        if not len(self):
            return np.full(len(samples), UNDECIDED)
        place = np.searchsorted(self.ids, samples).clip(max=len(self) - 1)
        return np.where(self.ids[place] == samples, self.labels[place], UNDECIDED)


def numbered(answers: Annotations, gold: str, size: int, num_classes: int) -> tuple[Votes, Gold]:
    """The votes of everybody but ``gold``, whose answers count as known labels; "" is nobody.

    Raises ImpossibleRequest where an answer names a sample or a class that a set of ``size`` samples and ``num_classes``
    classes does not have, or where nobody called ``gold`` answered.
    """
    _check(answers, size, num_classes)
    names = np.array([name or UNSIGNED for name in answers.annotator], object)
    if gold and gold not in set(names):
        known = ", ".join(map(one_line, sorted(set(names))[:MOST_NAMED])) or "nobody"
        raise ImpossibleRequest(
            f"nobody called '{one_line(gold)}' has answered for this set; among those who have: {known}."
        )
    rows = _rows(answers, num_classes)
    label = _likeliest(answers.label, rows)
    known = np.array([bool(gold) and name == gold for name in names], bool)
    right, voted = np.flatnonzero(known & (label != UNDECIDED)), np.flatnonzero(~known)
    samples, sample = np.unique(answers.sample_id[voted], return_inverse=True)
    annotators, annotator = np.unique(names[voted], return_inverse=True)
    votes = Votes(
        samples,
        tuple(annotators.tolist()),
        sample.astype(np.int64),
        annotator.astype(np.int64),
        label[voted],
        rows[voted],
        answers.seconds[voted],
    )
    return votes, Gold(answers.sample_id[right], label[right], answers.seconds[right])


def _check(answers: Annotations, size: int, num_classes: int) -> None:
    if not len(answers):
        return
    if answers.sample_id.max() >= size:
        raise ImpossibleRequest(f"an answer is about sample {answers.sample_id.max()}, but the set has 0 to {size - 1}.")
    if answers.label.max() >= num_classes:
        raise ImpossibleRequest(f"an answer names class {answers.label.max()}, but the set has 0 to {num_classes - 1}.")
    if len(answers.soft) and answers.soft.shape[1] != num_classes:
        raise ImpossibleRequest(f"a softened label has {answers.soft.shape[1]} values for {num_classes} classes.")


def _rows(answers: Annotations, num_classes: int) -> sparse.csr_array:
    """Each answer as a distribution, (v, C)."""
    named = np.flatnonzero(answers.label != SOFTENED)
    softened = np.flatnonzero(answers.label == SOFTENED)
    row, column = np.nonzero(answers.soft)
    values = answers.soft[row, column] / answers.soft.sum(axis=1)[row] if len(softened) else np.empty(0)
    where = np.concatenate([named, softened[row]]), np.concatenate([answers.label[named], column])
    parts = np.concatenate([np.ones(len(named)), values]), where
    return sparse.csr_array(sparse.coo_array(parts, shape=(len(answers), num_classes)))


def _likeliest(label: np.ndarray, rows: sparse.csr_array) -> np.ndarray:
    found = label.copy()
    for place in np.flatnonzero(label == SOFTENED):
        values = rows.data[rows.indptr[place] : rows.indptr[place + 1]]
        top = values >= values.max() - TIE
        found[place] = rows.indices[rows.indptr[place] + int(top.argmax())] if top.sum() == 1 else UNDECIDED
    return found
