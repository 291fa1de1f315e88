"""Images that are rows of several tensors, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from data.images import ImageStore
from data.soft_labels import Ids


@dataclass(frozen=True, eq=False)
class PartsStore(ImageStore):
    """``parts`` are (n_i, ch, H, W) of one shape and dtype, usually memory-mapped; none is copied.

    ``order`` maps sample id to row of the whole, so that a subset costs no copy.
    """

    parts: tuple[torch.Tensor, ...]
    order: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.order is None else len(self.order)

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(self.parts[0].shape[1:])  # type: ignore[return-value]

    @property
    def dtype(self) -> torch.dtype:
        return self.parts[0].dtype

    def read(self, sample_id: int) -> torch.Tensor:
        row = sample_id if self.order is None else int(self.order[sample_id])
        part = int(np.searchsorted(self._ends, row, side="right"))
        return self.parts[part][row - int(self._ends[part])]  # counted from the part's end

    def take(self, ids: Ids) -> PartsStore:
        rows = np.asarray(ids, dtype=np.int64)
        return PartsStore(self.parts, rows if self.order is None else self.order[rows])

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(part) for part in self.parts])
