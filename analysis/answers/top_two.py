"""How probable each class is once the given label counts as an answer too, and the two likeliest answers.

P(true = k | x, given = y) is proportional to p_k(x) P(given = y | true = k): what sources say of the sample, times how often
class k is given label y, taken from the confident joint (Northcutt, Jiang, Chuang, arXiv 1911.00068). The second factor is
shrunk towards one pooled rate, so that a class of one image does not decide it alone. Top two answers and the probability
of confusing them are those of Jeong and Chung (arXiv 2301.00006).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from analysis.context import Context
from analysis.intervals import share
from analysis.label_sources import chunks, per_sample
from data.soft_labels import SoftLabels


@dataclass(frozen=True)
class GivenRates:
    """P(given = i | true = k): ``extra`` (C, C) sparse, row i and column k, beside ``floor`` (C,), the least that any pair
    with true class k has. Each column sums to 1: extra[:, k].sum() + C floor[k] = 1.
    """

    extra: sparse.csr_array
    floor: np.ndarray

    def of(self, labels: np.ndarray) -> np.ndarray:
        """The likelihood of each given label of ``labels`` (n,) under every true class, float64 (n, C)."""
        return self.extra[labels].toarray() + self.floor


def given_rates(joint: sparse.csr_array, strength: float) -> GivenRates:
    """From ``joint`` (C, C), samples by given (row) and probable class (column).

    Each column is given ``strength`` samples beforehand that follow the pooled rate of right labels, (right + 1) / (n + 2),
    wrong ones spread evenly; the rule of succession keeps that rate off 1 where no label seems wrong.
    """
    classes = joint.shape[0]
    right = float((joint.diagonal().sum() + 1) / (joint.sum() + 2))
    wrong = (1 - right) / max(classes - 1, 1)
    total = np.asarray(joint.sum(axis=0), dtype=float) + strength
    beforehand = sparse.diags_array(np.full(classes, strength * (right - wrong)), format="csr")
    extra = sparse.csr_array((joint + beforehand) @ sparse.diags_array(1 / total))
    return GivenRates(extra, strength * wrong / total)


@dataclass(frozen=True)
class Answers:
    """What the samples (N,) are. ``top`` and ``second`` int64 are the likeliest classes with ``p_top`` and ``p_second``;
    ``rival`` int64 is the likeliest class other than the given one. ``mass`` is what the sources alone give to their own two
    likeliest classes, the first being ``seen_as``. Probabilities are float64.
    """

    top: np.ndarray
    second: np.ndarray
    p_top: np.ndarray
    p_second: np.ndarray
    p_given: np.ndarray
    rival: np.ndarray
    p_rival: np.ndarray
    seen_as: np.ndarray
    mass: np.ndarray

    @property
    def confusion(self) -> np.ndarray:
        """p_second / (p_top + p_second), 0 to 1/2: how easily the two likeliest answers are confused; (N,)."""
        return share(self.p_second, self.p_top + self.p_second)

    @property
    def rival_share(self) -> np.ndarray:
        """p_rival / (p_given + p_rival): the rival's part where only it and the given label are possible; (N,)."""
        return share(self.p_rival, self.p_given + self.p_rival)


def answers(
    labels: np.ndarray, source: SoftLabels, rates: GivenRates | None, device: torch.device, context: Context
) -> Answers:
    """One pass over ``source`` (N, C); without ``rates`` the given labels int64 (N,) count for nothing."""

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, chunk in chunks(source, device, context, "Weighing the answers"):
            yield ids, _answers(chunk.clamp_min(0), labels[ids], rates)

    found = per_sample(len(labels), parts())
    return Answers(*(column if column.dtype == np.int64 else column.astype(np.float64) for column in found))


def posterior(rows: torch.Tensor, labels: np.ndarray, rates: GivenRates | None) -> torch.Tensor:
    """P(true | x, given), (n, C), from what sources say, ``rows`` (n, C) >= 0, and the given ``labels`` int64 (n,); without
    ``rates`` those count for nothing."""
    weighted = rows if rates is None else rows * torch.from_numpy(rates.of(labels)).to(rows.device, rows.dtype)
    return weighted / weighted.sum(dim=1, keepdim=True)


def largest(rows: torch.Tensor, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and classes, (n, ``count``) each, of ``rows`` (n, C) >= 0, falling; of equal ones the lower class first."""
    found, left = [], rows
    for _ in range(count):
        found.append(left.max(dim=1, keepdim=True))
        left = left.scatter(1, found[-1].indices, -1.0)
    return torch.cat([one.values for one in found], dim=1), torch.cat([one.indices for one in found], dim=1)


def _answers(chunk: torch.Tensor, labels: np.ndarray, rates: GivenRates | None) -> tuple[torch.Tensor, ...]:
    own = torch.from_numpy(labels).to(chunk.device)[:, None]
    alone, seen_as = largest(chunk)
    cleaned = posterior(chunk, labels, rates)
    (p_two, two), p_given = largest(cleaned), cleaned.gather(1, own)[:, 0]
    p_rival, rival = cleaned.scatter(1, own, -1.0).max(dim=1)
    return two[:, 0], two[:, 1], p_two[:, 0], p_two[:, 1], p_given, rival, p_rival, seen_as[:, 0], alone.sum(dim=1)
