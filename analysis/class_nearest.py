"""The members of a class that are most like one sample."""

from __future__ import annotations

import numpy as np

from analysis.context import Context
from analysis.neighbours import nearest


def nearest_of_class(vectors: np.ndarray, labels: np.ndarray, sample_id: int, label: int, k: int) -> np.ndarray:
    """The ``k`` samples labelled ``label`` most similar to ``sample_id``, int64 (k,), fewer where there are fewer.

    ``vectors`` is (N, D), ``labels`` (N,). By cosine similarity, exact, most similar first, equal ones in id order; never
    the sample itself.
    """
    members = np.flatnonzero(labels == label)
    members = members[members != sample_id]
    if not len(members):
        return members
    places, _ = nearest(vectors[members], k, Context(device="cpu"), queries=vectors[[sample_id]])
    return members[places[0]]
