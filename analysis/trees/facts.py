"""Facts of a batch's rows while their distributions are added to the sums of their images: on any device, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch

from analysis.label_sources import rows_a_chunk
from analysis.trees.rows import RowFacts, Workspace, row_facts
from analysis.trees.sums import CropSums
from data.relabelled.batch import Batch
from data.relabelled.checks import all_finite
from data.relabelled.tree import RelabelledTree


class BatchFacts(NamedTuple):
    """See ``rows.RowFacts``: ``top`` int64 (n,), the others float64 (n,), NaN in rows that are not usable:
    those that hold NaN or infinity, and those of numbers too large for a distribution."""

    top: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    entropy: np.ndarray
    given: np.ndarray


class FactsReader(Protocol):
    def begin(self, batch: Batch, images: np.ndarray, given: np.ndarray, own: float) -> Callable[[], BatchFacts]:
        """Start on a batch whose rows are of ``images``, of the classes ``given``, both int64 (n,), each with ``own`` share.

        The sums hold it for certain only once the facts have been asked for.
        """
        ...

    def close(self) -> None:
        """Let go of what reading needed."""
        ...


def facts_reader(tree: RelabelledTree, sums: CropSums, temperature: float, device: torch.device) -> FactsReader:
    """The quicker of the two for rows of this device; both give the same within float32's precision."""
    on_torch = OnTorch(tree.kind, tree.num_classes, sums, temperature, device)
    if device.type != "cpu" or tree.kind == "probabilities":
        return on_torch
    return Compiled(sums, temperature, on_torch)


class Compiled:
    """Whole rows of float16 or float32 logits on the cpu, batches side by side; all else is left to ``others``."""

    def __init__(self, sums: CropSums, temperature: float, others: OnTorch) -> None:
        from analysis.trees.kernel import LogitSums  # brings numba, which nothing needs that scans no tree

        self._sums, self._others = sums, others
        # One thread is left for reading and adding up, which take as long as all rows do.
        self._kernel = LogitSums(sums.mean.numpy(), temperature, max(1, torch.get_num_threads() - 1))

    def begin(self, batch: Batch, images: np.ndarray, given: np.ndarray, own: float) -> Callable[[], BatchFacts]:
        if batch.indices is not None or batch.values.dtype not in (torch.float16, torch.float32):
            return self._others.begin(batch, images, given, own)
        return self._kernel.begin(batch.values.contiguous().numpy(), given, self._sums.slots[images], own, BatchFacts)

    def close(self) -> None:
        self._kernel.close()


class OnTorch:
    """Any rows on any device."""

    def __init__(self, kind: str, num_classes: int, sums: CropSums, temperature: float, device: torch.device) -> None:
        self._kind, self._sums, self._temperature, self._device = kind, sums, temperature, device
        self._rows = rows_a_chunk(num_classes, device)
        self._workspace = Workspace()

    def begin(self, batch: Batch, images: np.ndarray, given: np.ndarray, own: float) -> Callable[[], BatchFacts]:
        parts = []
        finite = all_finite(batch.values)
        for start in range(0, len(batch), self._rows):
            rows = slice(start, start + self._rows)
            facts = self._facts(batch, rows, given[rows])
            if not finite:
                facts.usable.logical_and_(batch.values[rows].isfinite().all(dim=1).to(self._device))
            facts.distributions[~facts.usable] = 0.0
            self._sums.add_distributions(facts, images[rows], own)
            parts.append(_on_cpu(facts))
        return lambda: BatchFacts(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def close(self) -> None:
        return None

    def _facts(self, batch: Batch, rows: slice, given: np.ndarray) -> RowFacts:
        indices = None if batch.indices is None else batch.indices[rows].to(self._device)
        asked = torch.from_numpy(given).to(self._device)
        values = batch.values[rows].to(self._device)
        return row_facts(values, indices, self._kind, asked, self._temperature, self._workspace)


def _on_cpu(facts: RowFacts) -> BatchFacts:
    found = torch.stack([facts.confidence, facts.margin, facts.entropy, facts.given])
    found[:, ~facts.usable] = torch.nan
    return BatchFacts(facts.top.cpu().numpy(), *found.cpu().double().numpy())
