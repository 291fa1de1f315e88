"""A consensus read off its distributions: the likeliest class, the second, and what it would cost to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from analysis.answers.top_two import largest
from analysis.consensus.votes import TIE, UNDECIDED
from analysis.intervals import share

VALUES_A_CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class Said:
    """Of n samples: ``first`` and ``second`` int64 (n,) are the two likeliest classes with ``p_first`` and ``p_second``,
    UNDECIDED and NaN where nothing is said; ``entropy`` float64 (n,) of the whole distribution, in bits.

    The top two answers are those of Jeong and Chung (arXiv 2301.00006), here of any consensus.
    """

    first: np.ndarray
    second: np.ndarray
    p_first: np.ndarray
    p_second: np.ndarray
    entropy: np.ndarray

    @property
    def label(self) -> np.ndarray:
        """The consensus label, int64 (n,): the likeliest class, UNDECIDED where two tie."""
        return np.where(self.p_first - self.p_second > TIE, self.first, UNDECIDED)

    @property
    def risk(self) -> np.ndarray:
        """The Bayesian risk, float64 (n,): the expected loss of taking the likeliest class where every error costs 1."""
        return 1 - self.p_first

    @property
    def confusion(self) -> np.ndarray:
        """p_second / (p_first + p_second), 0 to 1/2: how easily the two likeliest classes are confused; (n,)."""
        return share(self.p_second, self.p_first + self.p_second)


def said(distributions: sparse.csr_array) -> Said:
    """Read ``distributions`` (n, C); an empty row says nothing."""
    n, classes = distributions.shape
    step = max(1, VALUES_A_CHUNK // max(classes, 1))
    count = min(2, classes)
    p, labels = np.zeros((n, 2)), np.full((n, 2), UNDECIDED)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        found = largest(torch.from_numpy(distributions[rows].toarray()), count)
        p[rows, :count], labels[rows, :count] = (part.numpy() for part in found)
    labels = np.where(p > 0, labels, UNDECIDED)
    silent = labels[:, 0] == UNDECIDED
    p[silent] = np.nan
    return Said(labels[:, 0], labels[:, 1], p[:, 0], p[:, 1], np.where(silent, np.nan, _entropy(distributions)))


def _entropy(distributions: sparse.csr_array) -> np.ndarray:
    terms = distributions.copy()
    terms.data = -np.where(terms.data > 0, terms.data * np.log2(np.maximum(terms.data, 1e-300)), 0)
    return np.asarray(terms.sum(axis=1)).clip(min=0)
