"""What people said about given labels: the part of the decision log that an analysis can learn from or be judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from data.decisions import CRITIC, SampleState


@dataclass(frozen=True)
class Verdicts:
    """``ids`` int64 (n,) ascending are the samples people settled, ``labels`` int64 (n,) the class they said each is of;
    ``pruned`` int64 (m,) ascending those they left out, which may be settled too."""

    ids: np.ndarray
    labels: np.ndarray
    pruned: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.ids)

    def wrong(self, given: np.ndarray) -> np.ndarray:
        """Where people said another class than the set's ``given`` int64 (N,), bool (n,)."""
        return self.labels != given[self.ids]

    @property
    def empty(self) -> bool:
        """Whether nobody said anything: ``len`` counts settled labels only."""
        return not len(self.ids) and not len(self.pruned)

    def of_labels(self) -> Verdicts:
        """The same without what was left out, which says nothing about a label."""
        return replace(self, pruned=NO_VERDICTS.pruned)

    @property
    def digest(self) -> str:
        """The same for the same verdicts, whatever was decided, undone or decided twice on the way to them."""
        said = self.ids.tobytes() + self.labels.tobytes()
        return hashlib.sha256(said + b"pruned" + self.pruned.tobytes() if len(self.pruned) else said).hexdigest()


NO_VERDICTS = Verdicts(np.empty(0, np.int64), np.empty(0, np.int64))


def verdicts(states: Mapping[int, SampleState], given: np.ndarray) -> Verdicts:
    """The settled labels among ``states`` of a set labelled ``given`` int64 (N,).

    A keep says that the given label is right, a relabel which one is; a skip or a softened label say neither. A prune leaves
    the sample out, whatever was said of its label before. What the critic decided is nobody's verdict.
    """
    said = {i: _said(state, int(given[i])) for i, state in sorted(states.items()) if 0 <= i < len(given)}
    settled = {i: label for i, label in said.items() if label is not None}
    pruned = np.array([i for i, state in sorted(states.items()) if state.pruned and 0 <= i < len(given)], np.int64)
    settled_ids, labels = (np.fromiter(values, np.int64, len(settled)) for values in (settled, settled.values()))
    return Verdicts(settled_ids, labels, pruned)


def _said(state: SampleState, given: int) -> int | None:
    if state.settled_by == CRITIC:
        return None
    if state.label is not None:
        return state.label
    kept = not state.pruned and state.soft_label is None and state.last is not None and state.last.action == "keep"
    return given if kept else None
