"""Original training images per class: from what came with a set, from its reference, or from nothing better than itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

CountsFrom = Literal["automatic", "the set", "the reference", "its own labels"]


@dataclass(frozen=True, eq=False)
class OriginalCounts:
    """``counts`` int64 (C,), in words where they are from, and what to know of them."""

    counts: np.ndarray
    origin: str
    caveats: tuple[str, ...] = ()


def original_counts(distilled_set: DistilledSet, counts_from: CountsFrom) -> OriginalCounts:
    """The counts by which classes are head or tail; "automatic" takes the first of the others that there is.

    Raises ImpossibleRequest where they are asked from something that the set does not have.
    """
    known, reference, name = distilled_set.class_counts, distilled_set.reference, distilled_set.name
    if counts_from == "the set" and known is None:
        raise ImpossibleRequest(
            f"{name} came without class counts; name a CSV file of them when opening it, or take them from elsewhere."
        )
    if counts_from == "the reference" and reference is None:
        raise ImpossibleRequest(
            f"{name} has no reference to count; name one when opening it, or take counts from elsewhere."
        )
    if known is not None and counts_from in ("automatic", "the set"):
        return OriginalCounts(np.asarray(known, np.int64), "the counts that came with the set")
    if reference is not None and counts_from in ("automatic", "the reference"):
        counted = np.bincount(reference.labels, minlength=distilled_set.num_classes)
        caveat = "Original counts are the reference's images per class: right only if it is the whole original training set."
        return OriginalCounts(counted, "the reference's images", (caveat,))
    caveat = "The original training counts are not known; classes are grouped by this set's own labels instead."
    return OriginalCounts(distilled_set.per_class, "the set's own labels", (caveat,))
