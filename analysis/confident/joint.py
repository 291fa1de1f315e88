"""The confident joint: how many samples given one class are surely of another, and the noise rates that follow.

Equal to cleanlab 2.9's down to the last bit that can decide a rounding, but sparse: of C x C pairs few occur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from analysis.confident.rows import NEAR, NOT_CONFIDENT

_VALUES_A_SUM = 1 << 20
_HIGHEST_RATE = 0.9999
_TINY = 1e-100


def count(labels: np.ndarray, confident: np.ndarray, num_classes: int) -> sparse.csr_array:
    """Samples by given label (row) and confident label (column), int64 (C, C)."""
    sure = confident != NOT_CONFIDENT
    pairs, counts = np.unique(labels[sure] * num_classes + confident[sure], return_counts=True)
    return sparse.csr_array((counts, np.divmod(pairs, num_classes)), shape=(num_classes, num_classes))


def calibrated(counts: sparse.csr_array, per_class: np.ndarray) -> sparse.csr_array:
    """``counts`` scaled so that each row sums to its class's samples, in whole numbers, int64.

    Every class counts at least one sample as its own, so no row is empty.
    """
    joint = counts + sparse.diags_array(counts.diagonal() < 1, format="csr", dtype=np.int64)
    joint.eliminate_zeros()
    joint.sort_indices()
    classes = len(per_class)
    row = np.repeat(np.arange(classes), np.diff(joint.indptr))
    scaled = joint.data / joint.sum(axis=1)[row] * per_class[row]
    stored_at = joint.indices.astype(np.int64) * classes + row
    scaled = scaled / _sum_as_dense(stored_at, scaled, classes**2) * per_class.sum()
    whole = np.round(scaled)
    for k in np.flatnonzero(np.bincount(row, whole, classes) != per_class):
        span = slice(joint.indptr[k], joint.indptr[k + 1])
        dense = np.zeros(classes)
        dense[joint.indices[span]] = scaled[span]
        whole[span] = _round_to_total(dense, int(per_class[k]))[joint.indices[span]]
    return sparse.csr_array((whole.astype(np.int64), joint.indices, joint.indptr), shape=joint.shape)


def to_prune(joint: sparse.csr_array, k: int, fewest: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Row k of the joint: samples of class k to keep (at least ``fewest``), other classes, samples that belong to each."""
    span = slice(joint.indptr[k], joint.indptr[k + 1])
    columns, counts = joint.indices[span], joint.data[span]
    own = int(counts[columns == k].sum())
    lacking = max(own, fewest) - own
    # cleanlab takes one from the non-zero counts for the diagonal even where that is 0 itself.
    spread = max(np.count_nonzero(counts) - 1, 1)
    reduced = np.clip(counts - lacking / spread, 0, None).astype(np.int64)
    wanted = (columns != k) & (reduced > 0)
    return max(own, fewest), columns[wanted].astype(np.int64), reduced[wanted]


@dataclass(frozen=True)
class Noise:
    """How labels went wrong, estimated from a joint (equation 3 of the paper and after).

    ``prior`` (C,) is P(true class); ``matrix`` (C, C) is P(given i | true j) and ``inverse`` (C, C) is P(true i | given j),
    columns summing to 1.
    """

    prior: np.ndarray
    matrix: np.ndarray
    inverse: np.ndarray


def noise(joint: sparse.csr_array, per_class: np.ndarray) -> Noise:
    """The noise that ``joint`` (C, C) shows in labels of which ``per_class`` (C,) were given; dense in C x C."""
    dense = joint.toarray()
    matrix = dense / np.clip(dense.sum(axis=0), _TINY, None)
    inverse = dense.T / np.clip(dense.sum(axis=1), _TINY, None)
    prior = inverse.diagonal() / np.clip(matrix.diagonal(), _TINY, None) * (per_class / per_class.sum())
    prior = np.clip(prior, NEAR, 1.0)
    return Noise(prior / prior.sum(), _clipped(matrix), _clipped(inverse))


def _clipped(matrix: np.ndarray) -> np.ndarray:
    rates = np.clip(matrix, 0, _HIGHEST_RATE)
    np.fill_diagonal(rates, matrix.diagonal())
    return rates / np.clip(rates.sum(axis=0), _TINY, None)


def _round_to_total(values: np.ndarray, total: int) -> np.ndarray:
    """``values`` (C,) rounded, those rounded furthest the wrong way moved by one until they sum to ``total``."""
    whole = np.round(values)
    missing = int(total - whole.sum())
    # numpy's unstable order of equal remainders decides who is moved, so it must see all C of them.
    order = np.argsort(values - whole)
    whole[order[::-1][:missing] if missing > 0 else order[:-missing]] += np.sign(missing)
    return whole


def _sum_as_dense(positions: np.ndarray, values: np.ndarray, size: int) -> float:
    """numpy's pairwise sum of a vector of ``size``, ``values`` at ``positions`` and 0 elsewhere, without making it.

    A sum in another order differs in the last bit, which can turn a half that rounds to even.
    """
    order = np.argsort(positions, kind="stable")
    positions, values = positions[order], values[order]

    def of(start: int, length: int) -> float:
        if length > _VALUES_A_SUM:
            half = length // 2 - length // 2 % 8
            return of(start, half) + of(start + half, length - half)
        inside = slice(*np.searchsorted(positions, (start, start + length)))
        dense = np.zeros(length)
        dense[positions[inside] - start] = values[inside]
        return dense.sum()

    return of(0, size)
