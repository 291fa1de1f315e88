"""Exact nearest neighbours: ours, bare FAISS and scikit-learn. `python -m benchmarks.neighbours [--n N] [--d D] [--k K]`."""

from __future__ import annotations

import numpy as np

from analysis.context import Context
from analysis.neighbours import nearest, unit_rows
from benchmarks.common import compare, sizes


def prepare(n: int, d: int, k: int) -> tuple[np.ndarray, int]:
    return np.random.default_rng(0).standard_normal((n, d), dtype=np.float32), k


def ours(vectors: np.ndarray, k: int) -> None:
    nearest(vectors, k, Context())


def faiss_index(vectors: np.ndarray, k: int) -> None:
    import faiss

    unit = unit_rows(vectors)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    index.search(unit, k + 1)


def scikit_learn(vectors: np.ndarray, k: int) -> None:
    from sklearn.neighbors import NearestNeighbors

    NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(vectors).kneighbors()


if __name__ == "__main__":
    given = sizes(__doc__, n=10_000, d=512, k=15)
    compare({"ours": ours, "faiss IndexFlatIP": faiss_index, "scikit-learn, brute force": scikit_learn}, prepare, given)
