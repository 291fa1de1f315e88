"""Ways to keep a row of soft labels in fewer bytes, and the distribution that a student then reads from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from analysis.trees.rows import row_facts
from data.soft_labels import Kind

Number = Literal["as stored", "float16", "int8"]
INT8_STEPS = 127
HALF_RANGE = (2.0**-24, 65_504.0)
"""Positive numbers that float16 can hold."""


@dataclass(frozen=True)
class Coding:
    """``top_k`` keeps the k largest values of a row (0: all); ``number`` is how precisely each is kept.

    "int8" is a step of its own for each row, its largest absolute value / 127. LPQLD's other small types (crop boxes in
    float16, partners in a byte) change no label, so for what a row says they are "float16".
    """

    top_k: int = 0
    number: Number = "as stored"


@dataclass(frozen=True, eq=False)
class Rows:
    """``values`` (n, w) as stored, and the class of each, int64 (n, w), or None where w is all classes in order."""

    values: torch.Tensor
    classes: torch.Tensor | None
    num_classes: int
    kind: Kind

    def __len__(self) -> int:
        return len(self.values)

    def shares(self, temperature: float) -> Shares:
        """Distributions at ``temperature``. Classes that are not stored get nothing, LPQLD's MR rule (arXiv 2410.15919)."""
        found = row_facts(self.values, self.classes, self.kind, torch.full((len(self),), -1), temperature)
        return Shares(found.distributions, found.classes, self.num_classes, found.top)


@dataclass(frozen=True, eq=False)
class Shares:
    """Distributions of n rows: ``values`` float32 (n, w) of the ``classes`` int64 (n, w), of all in order where that is
    None, the others having none; ``top`` int64 (n,) is the most probable class."""

    values: torch.Tensor
    classes: torch.Tensor | None
    num_classes: int
    top: torch.Tensor

    def dense(self) -> torch.Tensor:
        """float32 (n, C)"""
        if self.classes is None:
            return self.values
        return torch.zeros(len(self.values), self.num_classes).scatter_(1, self.classes, self.values)

    def add_to(self, total: torch.Tensor, owners: torch.Tensor, share: float) -> None:
        """Add each row, times ``share``, to the row of ``total`` (H, C) that is its owner's, int64 (n,)."""
        if self.classes is None:
            total.index_add_(0, owners, self.values, alpha=share)
        else:
            places = owners[:, None] * self.num_classes + self.classes
            total.view(-1).index_add_(0, places.view(-1), self.values.reshape(-1), alpha=share)

    def divergence_from(self, original: torch.Tensor) -> torch.Tensor:
        """``divergence`` of each row from ``original`` (n, C), float32 (n,)."""
        if self.classes is None:
            return divergence(self.values, original)
        return _kl(self.values, original.gather(1, self.classes))


def coded(rows: Rows, coding: Coding) -> Rows:
    """``rows`` as they come back from being kept so. Values beyond float16's range come back as infinite."""
    values, classes = rows.values, rows.classes
    if 0 < coding.top_k < values.shape[1]:
        values, places = values.float().topk(coding.top_k, dim=1)
        classes = places if classes is None else classes.gather(1, places)
    return Rows(_rounded(values.float(), coding.number), classes, rows.num_classes, rows.kind)


def in_int8(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(multiples int8 (n, w), steps float16 (n, 1)) of ``values`` (n, w): a step is a row's largest absolute value / 127."""
    step = (values.float().abs().amax(dim=1, keepdim=True) / INT8_STEPS).clamp(*HALF_RANGE).half()
    multiples = (values.float() / step.float()).round().clamp(-INT8_STEPS, INT8_STEPS)
    return multiples.to(torch.int8), step


def divergence(approximation: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """KL(approximation ‖ original) of each row in nats, float32 (n,), of distributions (n, C).

    This way round it is finite where classes were dropped, and it is the training loss's own: what a student that answers
    exactly as the original labels say would be charged by the approximation.
    """
    q, p = approximation.double(), original.double()
    # - q + p adds up to nothing, and leaves no part of a row's sum to the rounding of its probabilities.
    return _kl(q, p, p - q)


def _kl(q: torch.Tensor, p: torch.Tensor, more: torch.Tensor | float = 0.0) -> torch.Tensor:
    q, p = q.double(), p.double()
    return (torch.where(q > 0, q * (q.log() - p.log()), 0.0) + more).sum(dim=1).clamp_min(0).float()


def _rounded(values: torch.Tensor, number: Number) -> torch.Tensor:
    if number == "float16":
        return values.half().float()
    if number == "int8":
        small, step = in_int8(values)
        return small.float() * step.float()
    return values
