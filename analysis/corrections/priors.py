"""Class frequencies that a correction goes by."""

from __future__ import annotations

from typing import Literal

import numpy as np

from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Target = Literal["uniform", "own labels", "original counts"]


def known_counts(distilled_set: DistilledSet, empty_counts_as: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """The original training counts, float64 (C,), a count of 0 taken for ``empty_counts_as``, and a sentence where one was.

    Raises ImpossibleRequest where they are not known.
    """
    if distilled_set.class_counts is None:
        raise ImpossibleRequest(
            f"{distilled_set.name} does not say how many original images each class had; give the counts when opening it."
        )
    return _filled(distilled_set.class_counts, empty_counts_as, "original images")


def target_shares(distilled_set: DistilledSet, target: Target, empty_counts_as: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """The share of the mass that each class is to receive, float64 (C,), positive, of sum 1, and what to know of it.

    Raises ImpossibleRequest for original counts that are not known.
    """
    if target == "uniform":
        return np.full(distilled_set.num_classes, 1 / distilled_set.num_classes), ()
    if target == "own labels":
        counts, caveats = _filled(distilled_set.per_class, empty_counts_as, "samples")
    else:
        counts, caveats = known_counts(distilled_set, empty_counts_as)
    return counts / counts.sum(), caveats


def _filled(counts: np.ndarray, empty_counts_as: float, of_what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """``counts`` (C,) as float64, each 0 taken for ``empty_counts_as``, and a sentence where there was one."""
    counts = np.asarray(counts, dtype=float)
    empty = int((counts <= 0).sum())
    said = f"{empty} of {len(counts)} classes had no {of_what}; each of them counts as having had {empty_counts_as:g}."
    return np.where(counts <= 0, empty_counts_as, counts), (said,) if empty else ()
