"""Soft labels: a distribution over classes for each sample, in whatever form its authors stored it.

Three kinds are told apart and never converted behind anyone's back:

* ``logits``: any real numbers, meant to go through a softmax;
* ``probabilities``: non-negative, each row sums to 1;
* ``scores``: unconstrained regression targets that are neither (SLDD, arXiv 1910.02551).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

Kind = Literal["logits", "probabilities", "scores"]
KINDS: tuple[Kind, ...] = ("logits", "probabilities", "scores")
SUM_TOLERANCE = 1e-3
VALUES_A_CHUNK = 1 << 22

Ids = Sequence[int] | np.ndarray


class SoftLabels(ABC):
    """One reading interface over every storage. ``len()`` is N; ``num_classes`` is C."""

    kind: Kind
    num_classes: int
    one_row_each: ClassVar[bool] = True
    """Whether ``stored`` has a row a sample; not so where many crops of each are stored (data/relabelled/augmented.py)."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The stored dtype."""

    @abstractmethod
    def stored(self, ids: Ids) -> torch.Tensor:
        """The rows exactly as saved, (n, stored width), in the stored dtype. Raises ImpossibleRequest where not
        ``one_row_each``."""

    @abstractmethod
    def take(self, ids: Ids) -> SoftLabels:
        """The same labels restricted to ``ids``, in that order."""

    @abstractmethod
    def probabilities(self, ids: Ids, temperature: float = 1.0) -> torch.Tensor:
        """Distributions, float32 (n, C). See ``to_probabilities`` for each kind's rule."""

    def chunks(self, rows: int | None = None) -> Iterator[np.ndarray]:
        """All ids in order, int64, ``rows`` at a time, or as many as make 16 MiB of float32."""
        rows = rows or rows_a_chunk(self.num_classes)
        for start in range(0, len(self), rows):
            yield np.arange(start, min(start + rows, len(self)))

    def stream(self, temperature: float = 1.0, rows: int | None = None) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """All distributions in order, as (ids int64 (n,), probabilities float32 (n, C)), in ``chunks``."""
        for ids in self.chunks(rows):
            yield ids, self.probabilities(ids, temperature)


@dataclass(frozen=True, eq=False)
class DenseSoftLabels(SoftLabels):
    """``values`` is (N, C), or (N, 1) for a binary task; usually memory-mapped, in any real dtype."""

    values: torch.Tensor
    kind: Kind

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        return max(2, self.values.shape[1])

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    def stored(self, ids: Ids) -> torch.Tensor:
        return self.values[as_index(ids)]

    def take(self, ids: Ids) -> DenseSoftLabels:
        return DenseSoftLabels(self.stored(ids), self.kind)

    def probabilities(self, ids: Ids, temperature: float = 1.0) -> torch.Tensor:
        return to_probabilities(self.stored(ids), self.kind, temperature)


@dataclass(frozen=True, eq=False)
class TopKSoftLabels(SoftLabels):
    """``values`` and ``indices`` are (N, k); the other C - k classes get nothing (LPQLD's MR rule, arXiv 2410.15919)."""

    values: torch.Tensor
    indices: torch.Tensor
    num_classes: int
    kind: Kind

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    def stored(self, ids: Ids) -> torch.Tensor:
        return self.values[as_index(ids)]

    def take(self, ids: Ids) -> TopKSoftLabels:
        return TopKSoftLabels(self.stored(ids), self.indices[as_index(ids)], self.num_classes, self.kind)

    def probabilities(self, ids: Ids, temperature: float = 1.0) -> torch.Tensor:
        index = as_index(ids)
        dense = torch.zeros(len(index), self.num_classes)
        top = to_probabilities(self.values[index], self.kind, temperature)
        return dense.scatter_(1, self.indices[index].long(), top)


def detect_kind(values: torch.Tensor) -> Kind:
    """The kind that the numbers themselves suggest (FORMATS.md §0.7).

    Non-negative rows that sum to 1 are ``probabilities``; everything else with two or more columns is taken for
    ``logits``, which is what the field stores; one column of real numbers is a binary regression target: ``scores``.
    A format that knows better (SLDD's files) says so instead of asking.
    """
    if values.shape[1] == 1:
        return "scores"
    if len(values) == 0:
        return "logits"
    rows = rows_a_chunk(values.shape[1])
    chunks = (values[start : start + rows].float() for start in range(0, len(values), rows))
    return "probabilities" if all(_are_distributions(rows) for rows in chunks) else "logits"


def detect_top_k_kind(values: torch.Tensor) -> Kind:
    """The kind of the k largest values a row, (N, k): ``probabilities`` where none is negative and no row sums to more
    than 1, the rest of each distribution having been dropped; else ``logits``."""
    rows = values.float()
    partial = bool((rows >= 0).all()) and bool((rows.sum(dim=1) <= 1 + SUM_TOLERANCE).all())
    return "probabilities" if partial and len(rows) else "logits"


def to_probabilities(values: torch.Tensor, kind: Kind, temperature: float = 1.0) -> torch.Tensor:
    """Rows of ``values`` (n, C) as distributions, float32 (n, C).

    ``logits`` and ``scores`` go through softmax(values / temperature); a single column s becomes (1 - σ, σ) of
    s / temperature; ``probabilities`` are raised to 1 / temperature and renormalised, which for temperature 1 only
    repairs rounding. A row of probabilities that are all 0 says nothing and becomes uniform; one that holds NaN or infinity
    stays NaN, so that nobody takes it for an answer.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    rows = values.float()
    if kind == "probabilities":
        rows = rows.clamp_min(0) if temperature == 1.0 else _tempered(rows.clamp_min(0), temperature)
        total = rows.sum(dim=1, keepdim=True)
        return torch.where(total == 0, torch.full_like(rows, 1 / rows.shape[1]), rows / total)
    if rows.shape[1] == 1:
        positive = torch.sigmoid(rows / temperature)
        return torch.cat([1 - positive, positive], dim=1)
    return torch.softmax(rows / temperature, dim=1)


def hard_labels(labels: SoftLabels) -> np.ndarray:
    """Each row's most probable class, int64 (N,)."""
    parts = [probabilities.argmax(dim=1) for _, probabilities in labels.stream()]
    return torch.cat(parts).numpy() if parts else np.zeros(0, np.int64)


def _tempered(rows: torch.Tensor, temperature: float) -> torch.Tensor:
    """Relative to each row's largest value: tiny probabilities alone would underflow at low temperatures."""
    largest = rows.amax(dim=1, keepdim=True)
    return (rows / torch.where(largest > 0, largest, 1.0)).pow(1.0 / temperature)


def _are_distributions(rows: torch.Tensor) -> bool:
    return bool((rows >= 0).all()) and bool((rows.sum(dim=1) - 1).abs().max() <= SUM_TOLERANCE)


def as_index(ids: Ids) -> torch.Tensor:
    """Sample ids as an int64 index tensor; out-of-range ids raise IndexError when used."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(ids, dtype=np.int64)))


def rows_a_chunk(width: int) -> int:
    """How many rows of ``width`` float32 values make 16 MiB; at least one."""
    return max(1, VALUES_A_CHUNK // max(width, 1))
