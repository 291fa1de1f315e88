"""Made crowds: annotators whose accuracy is known, and what they say of samples whose class is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.consensus.votes import Votes, numbered
from data.annotations import SOFTENED, Annotations


def said(rows: Sequence[tuple[int, str, int | Sequence[float]]], seconds: float = np.nan) -> Annotations:
    """Annotations of (sample, annotator, class or distribution)."""
    ordered = sorted(rows, key=lambda row: row[:2])
    soft = [row[2] for row in ordered if not isinstance(row[2], int)]
    return Annotations(
        np.array([row[0] for row in ordered], np.int64),
        np.array([row[1] for row in ordered], object),
        np.array([row[2] if isinstance(row[2], int) else SOFTENED for row in ordered], np.int64),
        np.full(len(ordered), seconds),
        np.array(soft).reshape(len(soft), -1) if soft else np.empty((0, 0)),
    )


def votes_of(rows: Sequence[tuple[int, str, int | Sequence[float]]], num_classes: int = 3) -> Votes:
    """The same as votes, nobody's taken for known."""
    size = max((row[0] for row in rows), default=0) + 1
    return numbered(said(rows), "", size, num_classes)[0]


def crowd(
    n: int, accuracies: Sequence[float], seed: int, classes: int = 4, overlap: int | None = None
) -> tuple[np.ndarray, list[tuple[int, str, int]]]:
    """(true classes (n,), answers): annotator "a0" errs with probability 1 - accuracies[0], towards any other class; each
    sample is answered by all, or by ``overlap`` of them drawn at random."""
    rng = np.random.default_rng(seed)
    true, rows = rng.integers(0, classes, n), []
    for i in range(n):
        for m in rng.permutation(len(accuracies))[: overlap or len(accuracies)]:
            right = rng.random() < accuracies[m]
            label = true[i] if right else (true[i] + rng.integers(1, classes)) % classes
            rows.append((i, f"a{m}", int(label)))
    return true, rows
