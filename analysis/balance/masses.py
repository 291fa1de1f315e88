"""Where the mass of soft labels lies: on a sample's own class, on head, medium and tail, and on each class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from analysis.balance.class_sums import add_by_class
from analysis.class_groups import GROUPS, HEAD, TAIL
from analysis.context import Context
from analysis.device import pick
from analysis.intervals import ratio
from analysis.label_sources import MOST_CLASSES_IN_A_MATRIX, chunks, per_sample
from data.soft_labels import SoftLabels


@dataclass(frozen=True, eq=False)
class Masses:
    """Where each sample's mass lies, (N,) or (N, 3) by group of class, and what each class receives in all, float64 (C,).

    ``elsewhere`` leaves out the sample's own class, so that its row and ``own`` sum to 1. ``top`` int64 is the most probable
    class and ``peak`` its probability. ``tail_to_head`` float64 (tail classes, head classes), in class order, sums what each
    tail class's samples put on each head class; None for more classes than a matrix is made for.
    """

    own: np.ndarray
    elsewhere: np.ndarray
    top: np.ndarray
    peak: np.ndarray
    received: np.ndarray
    tail_to_head: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Balance:
    """A set's labels int64 (N,), original ``counts`` (C,), ``group`` of each class (C,), and its samples' masses."""

    labels: np.ndarray
    counts: np.ndarray
    group: np.ndarray
    masses: Masses

    @property
    def divided(self) -> bool:
        """Whether there is a head and a tail to compare."""
        return bool((self.group == HEAD).any() and (self.group == TAIL).any())

    @property
    def group_of_sample(self) -> np.ndarray:
        return self.group[self.labels]

    @cached_property
    def per_class(self) -> np.ndarray:
        """Samples of each class, int64 (C,)."""
        return np.bincount(self.labels, minlength=len(self.group))

    @property
    def right(self) -> np.ndarray:
        """Whether each sample's most probable class is its hard label, bool (N,)."""
        return self.masses.top == self.labels

    def class_mean(self, values: np.ndarray) -> np.ndarray:
        """The mean of ``values`` (N,) over each class's samples, float64 (C,), NaN for a class without samples."""
        return ratio(np.bincount(self.labels, values, len(self.group)), self.per_class)


def masses_of(labels: SoftLabels, hard: np.ndarray, group: np.ndarray, temperature: float, context: Context) -> Masses:
    """One pass over the distributions of samples labelled ``hard`` int64 (N,), classes being of ``group`` int64 (C,)."""
    device = pick(context.device)
    member = torch.from_numpy(np.eye(len(GROUPS), dtype=np.float32)[group]).to(device)
    own_class = torch.from_numpy(hard)
    received, crossing = np.zeros(len(group)), _Crossing.between(group)

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, chunk in chunks(labels, device, context, "Adding up soft labels", temperature):
            np.add(received, chunk.sum(dim=0).cpu().numpy(), out=received)
            crossing.add(hard[ids], chunk)
            own = chunk.gather(1, own_class[ids, None].to(device))[:, 0]
            peak, top = chunk.max(dim=1)
            yield ids, (own, chunk.to(member.dtype) @ member, top, peak)

    own, by_group, top, peak = per_sample(len(labels), parts())
    own, elsewhere = own.astype(float), by_group.astype(float)
    elsewhere[np.arange(len(hard)), group[hard]] -= own
    return Masses(own, elsewhere.clip(0), top, peak.astype(float), received, crossing.sums)


@dataclass(frozen=True, eq=False)
class _Crossing:
    """Adds up what each tail class's samples put on each head class: ``row`` of each class among the tail's, -1 for others,
    ``head`` classes in order, ``sums`` (tail classes, head classes)."""

    row: np.ndarray
    head: np.ndarray
    sums: np.ndarray | None

    @classmethod
    def between(cls, group: np.ndarray) -> _Crossing:
        head, tail = np.flatnonzero(group == HEAD), np.flatnonzero(group == TAIL)
        row = np.full(len(group), -1)
        row[tail] = np.arange(len(tail))
        kept = len(group) <= MOST_CLASSES_IN_A_MATRIX and len(head) and len(tail)
        return cls(row, head, np.zeros((len(tail), len(head))) if kept else None)

    def add(self, hard: np.ndarray, chunk: torch.Tensor) -> None:
        """``chunk`` (n, C) of samples labelled ``hard`` (n,)."""
        if self.sums is None:
            return
        own = np.flatnonzero(self.row[hard] >= 0)
        on_head = chunk[torch.from_numpy(own).to(chunk.device)][:, torch.from_numpy(self.head).to(chunk.device)]
        add_by_class(self.sums, self.row[hard[own]], on_head.cpu().numpy())
