"""How far distributions are apart: entropy, Jensen-Shannon and Kullback-Leibler divergence of rows, all in nats.

Jensen-Shannon sums are put so that every term is at least 0 and exactly 0 where the distributions are equal: as a
difference of entropies they would lose all small divergences to rounding in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

ALMOST_MINUS_ONE = -1 + 1e-7
LEAST = 1e-38
"""Divides sums of probabilities that are all 0; smaller numbers a GPU may take for 0."""


def entropy(rows: torch.Tensor) -> torch.Tensor:
    """Shannon entropy of distributions (n, C), (n,)."""
    return torch.special.entr(rows).sum(dim=1)


def jensen_shannon(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of each row of two (n, C), (n,): 0 the same, log 2 nothing in common.

    Lin, Divergence measures based on the Shannon entropy (IEEE Trans. Inf. Theory 37, 1991, doi:10.1109/18.61115), with
    equal weights.
    """
    total = first + second
    tilt = (first - second).div_(total.clamp_min(LEAST))
    return torch.linalg.vecdot(total, _times_own_log(tilt) + _times_own_log(tilt.neg_())).clamp_min(0) / 4


def generalised_jensen_shannon(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Lin's divergence among m distributions of equal weight, each (n, C): the entropy of their mean less the mean of their
    entropies, (n,); 0 where all are the same, at most log(min(m, C))."""
    middle = sum(rows[1:], start=rows[0]) / len(rows)
    found = torch.zeros(len(middle), dtype=middle.dtype, device=middle.device)
    for row in rows:
        tilt = (row - middle).div_(middle.clamp_min(LEAST)).clamp_min_(-1)
        # The tilts of all rows add up to nothing, so taking each off its own term changes no sum.
        found += torch.linalg.vecdot(middle, _times_own_log(tilt).sub_(tilt))
    return found.clamp_min(0) / len(rows)


def kullback_leibler(first: torch.Tensor, entropy_of_first: torch.Tensor, log_of_second: torch.Tensor) -> torch.Tensor:
    """KL(first ‖ second) of rows (n, C), (n,), given the ``entropy`` of the first and the ``floored_log`` of the second.

    Kullback and Leibler (Ann. Math. Statist. 22, 1951, doi:10.1214/aoms/1177729694). A lower bound of the divergence
    itself, which is infinite where the second rules out what the first does not.
    """
    return (-torch.linalg.vecdot(first, log_of_second) - entropy_of_first).clamp_min(0)


def floored_log(rows: torch.Tensor, floor: float) -> torch.Tensor:
    """The logarithm of probabilities (n, C), none counting as less than ``floor``."""
    return rows.clamp_min(floor).log_()


def _times_own_log(tilt: torch.Tensor) -> torch.Tensor:
    """(1 + t) log(1 + t), 0 for t = -1. PyTorch's xlog1py is exact there as well, and takes eight times as long."""
    return (1 + tilt) * tilt.clamp_min(ALMOST_MINUS_ONE).log1p_()
