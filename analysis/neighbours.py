"""Exact nearest neighbours by cosine similarity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from analysis.context import Context
from analysis.device import pick, rows_that_fit

QUERIES_A_CHUNK = 4_096
BASE_ROWS_A_CHUNK = 262_144

Search = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def nearest(
    vectors: np.ndarray,
    k: int,
    context: Context,
    queries: np.ndarray | None = None,
    exclude_self: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest rows of ``vectors`` (N, D) to each query: ids int64 (n, k) and cosine similarities float32 (n, k).

    Without ``queries`` (n, D) every row of ``vectors`` is one, and with ``exclude_self`` it is left out of its own
    neighbours, by id, so that its duplicates stay. Most similar first, equal ones in id order. Where fewer than ``k``
    exist, there are as many columns as exist. A zero vector has similarity 0 to everything. Exact: FAISS on the cpu, matrix
    products on other devices.
    """
    own = queries is None and exclude_self
    base = unit_rows(vectors)
    asked = base if queries is None else unit_rows(queries)
    available = min(k, len(base) - own)
    wanted = available + own
    device = pick(context.device)
    search = _faiss_search if device.type == "cpu" else _matrix_search(device)
    ids = np.empty((len(asked), max(available, 0)), np.int64)
    similarity = np.empty(ids.shape, np.float32)
    if ids.size == 0:
        return ids, similarity
    starts = range(0, len(asked), QUERIES_A_CHUNK)
    for start in context.track(starts, len(starts), "searching nearest neighbours"):
        rows = np.arange(start, min(start + QUERIES_A_CHUNK, len(asked)))
        found, score = _sorted(*search(base, asked[rows], wanted))
        if own:
            found, score = _without(rows, found, score)
        ids[rows], similarity[rows] = found, score
    return ids, similarity


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32, C-contiguous, a copy; zero rows stay zero."""
    scaled = np.array(vectors, dtype=np.float32, order="C")
    for start in range(0, len(scaled), QUERIES_A_CHUNK):
        part = scaled[start : start + QUERIES_A_CHUNK]
        length = np.linalg.norm(part, axis=1, keepdims=True)
        part /= np.where(length > 0, length, 1)
    return scaled


def _faiss_search(base: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    import faiss

    similarity, ids = faiss.knn(queries, base, k, metric=faiss.METRIC_INNER_PRODUCT)
    return ids.astype(np.int64), similarity


def _matrix_search(device: torch.device) -> Search:
    """Products of query and base chunks that fit the device, keeping the best k so far."""

    def search(base: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        asked = torch.from_numpy(queries).to(device)
        rows = rows_that_fit(4 * (base.shape[1] + 3 * len(queries)), device, BASE_ROWS_A_CHUNK)
        best = torch.empty(len(queries), 0, device=device)
        ids = torch.empty(len(queries), 0, dtype=torch.int64, device=device)
        for start in range(0, len(base), rows):
            products = asked @ torch.from_numpy(base[start : start + rows]).to(device).T
            top, where = products.topk(min(k, products.shape[1]), dim=1)
            best, order = torch.cat([best, top], dim=1).topk(min(k, best.shape[1] + top.shape[1]), dim=1)
            ids = torch.cat([ids, where + start], dim=1).gather(1, order)
        return ids.cpu().numpy(), best.cpu().numpy()

    return search


def _sorted(ids: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((ids, -similarity), axis=1)
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarity, order, axis=1)


def _without(own: np.ndarray, ids: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row's own id, or its last column where many duplicates have crowded the own id out."""
    drop = ids == own[:, None]
    drop[~drop.any(axis=1), -1] = True
    shape = (len(ids), ids.shape[1] - 1)
    return ids[~drop].reshape(shape), similarity[~drop].reshape(shape)
