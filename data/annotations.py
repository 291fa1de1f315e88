"""What each annotator says of each sample: another reading of the log of decisions, in which nobody overrules anybody.

The state of a sample (data.decisions.states) is what the latest standing decision leaves. Here every annotator keeps an
answer of their own, so that answers can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from data.decisions import CRITIC, SUM_TOLERANCE, Decision
from data.errors import ImpossibleRequest

SOFTENED = -1
"""Stands where a class would for an answer that is a distribution."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """Parallel arrays (n,), one row an annotator's standing answer about a sample, ordered by sample and annotator.

    ``sample_id`` int64; ``annotator`` str, "" where a decision was not signed; ``label`` int64, a class or SOFTENED;
    ``seconds`` float64 taken, NaN where unknown. ``soft`` float64 (m, C): the distributions of the m SOFTENED rows, in their
    order. Raises ValueError where these do not fit together.
    """

    sample_id: np.ndarray
    annotator: np.ndarray
    label: np.ndarray
    seconds: np.ndarray
    soft: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        kinds = {"sample_id": np.int64, "annotator": object, "label": np.int64, "seconds": np.float64, "soft": np.float64}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        if len({len(self.sample_id), len(self.annotator), len(self.label), len(self.seconds)}) > 1:
            raise ValueError("the columns of annotations differ in length")
        if len(self) and min(self.sample_id.min(), self.label.min() + 1) < 0:
            raise ValueError("samples and classes are numbered from 0")
        if len(set(zip(self.sample_id.tolist(), self.annotator.tolist(), strict=True))) < len(self):
            raise ValueError("an annotator answers twice for one sample")
        if self.soft.ndim != 2 or len(self.soft) != int((self.label == SOFTENED).sum()):
            raise ValueError("each softened answer needs one distribution")
        if len(self.soft) and not ((self.soft >= 0).all() and (abs(self.soft.sum(axis=1) - 1) <= 2 * SUM_TOLERANCE).all()):
            raise ValueError("a distribution holds numbers >= 0 that sum to 1")
        if (self.seconds < 0).any():
            raise ValueError("nobody answers in less than 0 seconds")

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def digest(self) -> str:
        """The same for the same answers, whatever was decided, undone or decided twice on the way to them."""
        told = hashlib.sha256()
        for values in (self.sample_id, self.label, self.seconds, self.soft):
            told.update(values.tobytes())
        told.update(repr((self.soft.shape, self.annotator.tolist())).encode("utf-8", "backslashreplace"))
        return told.hexdigest()


NO_ANNOTATIONS = Annotations(*([] for _ in range(4)))


def annotations(log: Iterable[Decision], given: np.ndarray) -> Annotations:
    """Each annotator's standing answer about each sample of a set labelled ``given`` int64 (N,).

    A keep answers with the given label, a relabel with its own, a soften with its distribution; the latest of these counts.
    A prune withdraws the answer until a restore by the same annotator; a skip says nothing and leaves an earlier answer. An
    undo takes back the entry that it names, whoever made that (the store lets only those do so who may), or else the latest
    of whoever signs the undo on that sample. What the critic signs is nobody's answer, and samples that the set does not
    have are left out.

    Raises ImpossibleRequest where distributions differ in their number of classes.
    """
    answers = {key: answer for key, entries in _standing(log, len(given)) if (answer := _answer(entries)) is not None}
    soft = [answer.soft_label for answer in answers.values() if answer.soft_label is not None]
    widths = sorted({len(row) for row in soft})
    if len(widths) > 1:
        raise ImpossibleRequest(
            f"some softened labels have {widths[0]} values and others {widths[-1]}; give one value a class."
        )
    return Annotations(
        np.array([sample for sample, _ in answers], np.int64),
        np.array([annotator for _, annotator in answers], object),
        np.array([_label(answer, int(given[answer.sample_id])) for answer in answers.values()], np.int64),
        np.array([np.nan if answer.seconds is None else answer.seconds for answer in answers.values()], np.float64),
        np.array(soft, np.float64).reshape(len(soft), widths[0] if widths else 0),
    )


def _standing(log: Iterable[Decision], size: int) -> list[tuple[tuple[int, str], list[Decision]]]:
    """Every person's standing entries about each of ``size`` samples, ordered by sample and person."""
    by_sample: dict[int, list[Decision]] = {}
    for decision in log:
        if decision.sample_id < size:
            _enter(by_sample.setdefault(decision.sample_id, []), decision)
    found: dict[tuple[int, str], list[Decision]] = {}
    for sample, entries in by_sample.items():
        for entry in entries:
            if entry.annotator != CRITIC:
                found.setdefault((sample, entry.annotator), []).append(entry)
    return sorted(found.items())


def _enter(entries: list[Decision], decision: Decision) -> None:
    """Put ``decision`` on top of its sample's ``entries``, or take one of them back."""
    if decision.action != "undo":
        entries.append(decision)
    elif decision.undoes is not None:
        entries[:] = [entry for entry in entries if entry.id != decision.undoes]
    else:
        own = [place for place, entry in enumerate(entries) if entry.annotator == decision.annotator]
        if own:
            del entries[own[-1]]


def _answer(entries: Sequence[Decision]) -> Decision | None:
    answer, pruned = None, False
    for entry in entries:
        if entry.action in ("keep", "relabel", "soften"):
            answer, pruned = entry, False
        elif entry.action in ("prune", "restore"):
            pruned = entry.action == "prune"
    return None if pruned else answer


def _label(answer: Decision, given: int) -> int:
    if answer.soft_label is not None:
        return SOFTENED
    return given if answer.label is None else answer.label
