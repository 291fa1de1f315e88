"""Each sample's most probable classes, so that a model can be fitted over them in memory that does not grow with C."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from analysis.confident.rows import Rows
from analysis.context import Context
from analysis.label_sources import per_sample

KEPT = 32
MOST_PAIRS = 1 << 22
"""Of so many pairs of classes each may have a number; of more, telling those that occur takes a sort of all."""
LOWEST = 1e-30
REST = -1


@dataclass(frozen=True)
class Shortlist:
    """``classes`` int32 (N, K + 1): the given label, the K - 1 most probable others, then REST for all that are left.

    ``log_probability`` float32 (N, K + 1) is that of one class; REST stands for ``rest`` classes, each with an equal part
    of what the listed ones leave.
    """

    classes: np.ndarray
    log_probability: np.ndarray
    num_classes: int

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def rest(self) -> int:
        return self.num_classes - (self.classes.shape[1] - 1)

    @cached_property
    def pairs(self) -> np.ndarray:
        """A number for each (class, given label) of the listed others, int32 (N, K - 1); below (number of classes)² and, of
        many classes, consecutive for those that occur."""
        if self.num_classes**2 <= MOST_PAIRS:
            return self.classes[:, 1:-1] * np.int32(self.num_classes) + self.classes[:, :1]
        codes = self.classes[:, 1:-1].astype(np.int64) * self.num_classes + self.classes[:, :1]
        return np.unique(codes, return_inverse=True)[1].reshape(codes.shape).astype(np.int32)


def shortlist(labels: np.ndarray, rows: Rows, context: Context | None = None) -> Shortlist:
    """One pass over ``rows`` (N, C) with given ``labels`` int64 (N,)."""
    context, classes = context or Context(), rows.num_classes
    listed = min(KEPT, classes)

    def read(span: slice) -> tuple[torch.Tensor, torch.Tensor]:
        block = rows.block(span).float()
        own = torch.from_numpy(labels[span, None]).to(block.device)
        mine = block.gather(1, own)
        unlisted = block.scatter(1, own, -1.0)
        top, others = unlisted.topk(listed - 1, dim=1)
        # Summed rather than taken from 1, of which float32 would leave nothing of what is small.
        left = unlisted.scatter_(1, others, 0).scatter_(1, own, 0).sum(dim=1, keepdim=True) / max(classes - listed, 1)
        least = torch.where(block > LOWEST, block, 1.0).amin(dim=1, keepdim=True) / classes
        kept = torch.cat([mine, top, left], dim=1)
        kept = torch.where(kept > LOWEST, kept, least).log()
        return torch.cat([own, others, torch.full_like(own, REST)], dim=1).int(), kept

    spans = rows.spans()
    parts = rows.each(read, spans, context, "Reading the most probable classes")
    ends = (np.array([span.start, span.stop - 1]) for span in spans)
    return Shortlist(*per_sample(len(labels), zip(ends, parts, strict=True)), classes)
