"""The 2-D map: UMAP from our exact neighbours, and plain umap-learn. `python -m benchmarks.map [--n N] [--d D] [--k K]`."""

from __future__ import annotations

import numpy as np

from analysis.context import Context
from analysis.map import umap_layout
from analysis.neighbours import nearest, unit_rows
from benchmarks.common import compare, sizes


def prepare(n: int, d: int, k: int) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, d), dtype=np.float32)
    return centres[rng.integers(0, 10, n)] + rng.standard_normal((n, d), dtype=np.float32), k


def ours(vectors: np.ndarray, k: int) -> None:
    unit = unit_rows(vectors)
    umap_layout(unit, *nearest(unit, k, Context()), min_dist=0.1, seed=0, context=Context())


def umap_learn(vectors: np.ndarray, k: int) -> None:
    import umap

    umap.UMAP(n_neighbors=k + 1, metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors)


if __name__ == "__main__":
    given = sizes(__doc__, n=5_000, d=512, k=15)
    compare({"ours": ours, "umap-learn": umap_learn}, prepare, given, warm=True)
