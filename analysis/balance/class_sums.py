"""Sums of rows by class, added up chunk by chunk."""

from __future__ import annotations

import numpy as np


def add_by_class(sums: np.ndarray, labels: np.ndarray, values: np.ndarray) -> None:
    """Add each row of ``values`` (n, M) to the row of ``sums`` (C, M) that its label, of int64 (n,), names.

    Sorted first: adding row by row, as numpy and torch do it, takes ten times as long.
    """
    if not len(labels):
        return
    order = np.argsort(labels, kind="stable")
    present, first = np.unique(labels[order], return_index=True)
    sums[present] += np.add.reduceat(values[order].astype(sums.dtype, copy=False), first, axis=0)
