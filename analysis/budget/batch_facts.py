"""What the teacher says of a batch as a whole, which batches can be ranked by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from analysis.context import Context
from analysis.trees.rows import row_facts
from data.relabelled.batch import Batch
from data.relabelled.stream import stream
from data.relabelled.tree import RelabelledTree
from data.soft_labels import Kind


@dataclass(frozen=True, eq=False)
class BatchFacts:
    """One number a batch, each float64 (files,) in the tree's order.

    ``confidence``: mean over rows of the largest probability; ``margin``: of how far it is above the second;
    ``distinct``: how many classes are some row's first choice (LPQLD's top1_class_count). Temperature 1; rows that hold NaN
    or infinity are left out, and a batch of nothing else has 0 everywhere.
    """

    confidence: np.ndarray
    margin: np.ndarray
    distinct: np.ndarray


def batch_facts(tree: RelabelledTree, context: Context) -> BatchFacts:
    """The facts of every batch of ``tree``: reads all of it, a batch at a time."""
    read = context.track(stream(tree), len(tree), "ranking batches")
    return BatchFacts(*np.array([facts_of(batch, tree.kind) for _, batch, _ in read], dtype=float).T)


def facts_of(batch: Batch, kind: Kind) -> tuple[float, float, int]:
    """(mean confidence, mean margin, distinct first choices) of one batch."""
    found = row_facts(batch.values, batch.indices, kind, torch.full((len(batch),), -1))
    usable = found.usable
    if not bool(usable.any()):
        return 0.0, 0.0, 0
    means = (float(fact[usable].mean()) for fact in (found.confidence, found.margin))
    return *means, int(found.top[usable].unique().numel())
