"""A relabelled tree whose rows are rescaled as they are read: the same files, other values."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from data.errors import ImpossibleRequest
from data.relabelled.batch import LAYOUTS, Batch
from data.relabelled.batch_items import with_values
from data.relabelled.tree import RelabelledTree

LEAST_PROBABILITY = 1e-9


@dataclass(frozen=True, eq=False)
class RowRescaling:
    """Logits / ``divisor`` of the image's class - ``shift`` of each value's class, both float64 (C,); ``labels`` int64 (N,)
    are the classes of the tree's images."""

    divisor: np.ndarray
    shift: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class RescaledTree(RelabelledTree):
    """Batches hold what ``rescaling`` makes of the stored rows, in the stored kind, width and precision."""

    rescaling: RowRescaling | None = None

    def batch(self, position: int, rows: np.ndarray | None = None) -> Batch:
        """As of any tree. Raises ImpossibleRequest where a value is too large for the stored precision."""
        assert self.rescaling is not None
        stored = super().batch(position, rows)
        images = self.row_images.of_batch(self.files[position], stored)
        return with_values(stored, _rescaled(stored, images, self.rescaling, self.kind == "probabilities"))


def rescaled_tree(tree: RelabelledTree, rescaling: RowRescaling) -> RescaledTree:
    """``tree`` with every row rescaled. Raises ImpossibleRequest where its files cannot hold other values."""
    if tree.batch(0).layout not in LAYOUTS:
        raise ImpossibleRequest(
            f"{tree.family}'s labels are quantised, one file an image, and cannot hold corrected ones; write these beside "
            "the set instead."
        )
    same = {field.name: getattr(tree, field.name) for field in fields(RelabelledTree)}
    return RescaledTree(**same, rescaling=rescaling)


def _rescaled(batch: Batch, images: np.ndarray, by: RowRescaling, probabilities: bool) -> torch.Tensor:
    """float32 in the shape of the batch's values; probabilities become logits on the way, and probabilities again."""
    values = batch.values.float()
    logits = values.clamp_min(LEAST_PROBABILITY).log() if probabilities else values
    divisor = torch.from_numpy(by.divisor[by.labels[images]]).float()[:, None]
    shift = torch.from_numpy(by.shift).float()
    shifted = logits / divisor - (shift if batch.indices is None else shift[batch.indices.long()])
    return shifted.softmax(dim=1) if probabilities else shifted
