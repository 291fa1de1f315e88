"""One pass over several label sources: how far their distributions are apart, by sample and by pair of sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from analysis.context import Context
from analysis.device import pick
from analysis.label_sources import per_sample
from analysis.sources.divergences import entropy, floored_log, generalised_jensen_shannon, jensen_shannon, kullback_leibler
from analysis.sources.side_by_side import SideBySide


@dataclass(frozen=True, eq=False)
class PairSums:
    """Sums over samples, float64 (R, R) by pair of sources: of Jensen-Shannon divergence, of KL(row ‖ column), both in nats,
    and of samples in which the floor bears on that KL."""

    js: np.ndarray
    kl: np.ndarray
    floored: np.ndarray


@dataclass(frozen=True, eq=False)
class Disagreement:
    """What N samples' m voices say of each other, in nats; ``pairs`` is of all R sources, voices first.

    ``divergence`` (N,) is the generalised Jensen-Shannon divergence of the voices; ``apart`` (N, m) the mean divergence of
    each voice from the others; ``winners_differ`` (N,) the share of pairs of voices that name different classes;
    ``together`` int64 (N,) the most probable class of the voices' mean. ``js``, ``kl_forward``, ``kl_backward`` (N,) are of
    the named pair, ``first`` and ``second`` int64 (N,) its winners. ``right`` int64 (R,) counts winners that are the label.
    """

    divergence: np.ndarray
    apart: np.ndarray
    winners_differ: np.ndarray
    together: np.ndarray
    js: np.ndarray
    kl_forward: np.ndarray
    kl_backward: np.ndarray
    first: np.ndarray
    second: np.ndarray
    pairs: PairSums
    right: np.ndarray


@dataclass(frozen=True)
class _Pair:
    """Divergences of sources ``i`` and ``j`` in each of n samples; ``kl`` and ``floored`` are (i ‖ j, j ‖ i)."""

    i: int
    j: int
    js: torch.Tensor
    kl: tuple[torch.Tensor, torch.Tensor]
    floored: tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class _Side:
    """Distributions (n, C) with what every pair that they are part of needs of them: made once, not once a pair."""

    rows: torch.Tensor
    entropy: torch.Tensor
    log: torch.Tensor
    above: torch.Tensor
    below: torch.Tensor

    def kl(self, other: _Side) -> torch.Tensor:
        return kullback_leibler(self.rows, self.entropy, other.log)

    def needs_floor(self, other: _Side) -> torch.Tensor:
        """Rows where some class has more than the floor here and less there, so that it bears on KL; bool (n,)."""
        return torch.linalg.vecdot(self.above, other.below) > 0


def scan(
    compared: SideBySide, voices: int, named: tuple[int, int], labels: np.ndarray, floor: float, context: Context
) -> Disagreement:
    """Compare the sources of ``compared``, of which the first ``voices``, two or more, are those that disagree.

    ``named`` are the places of the pair that is told by sample, ``labels`` int64 (N,) the given ones, ``floor`` the least
    that a probability counts as in a Kullback-Leibler divergence. No more than a few chunks are held beside the results.
    """
    device, count = pick(context.device), len(compared.sources)
    sums = PairSums(*(np.zeros((count, count)) for _ in range(3)))
    right = np.zeros(count, np.int64)

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, read, rows in compared.stream(device, context, "Comparing label sources"):
            winners = torch.stack([row.argmax(dim=1) for row in read])
            np.add(right, (winners == torch.from_numpy(labels[ids]).to(device)).sum(dim=1).cpu().numpy(), out=right)
            pairs = list(_pairs(rows, floor))
            for pair in pairs:
                _add(sums, pair)
            together = sum(read[1:voices], start=read[0]).argmax(dim=1)
            among = _of_voices(rows[:voices], winners, [pair for pair in pairs if pair.j < voices])
            yield ids, (*among, together, *_of_named(pairs, winners, named))

    columns = per_sample(len(labels), parts())
    return Disagreement(*columns, pairs=sums, right=right)


def _pairs(rows: Sequence[torch.Tensor], floor: float) -> Iterator[_Pair]:
    sides = [_Side(row, entropy(row), floored_log(row, floor), (row > floor).to(row), (row < floor).to(row)) for row in rows]
    for i, j in combinations(range(len(sides)), 2):
        one, other = sides[i], sides[j]
        kl, floored = (one.kl(other), other.kl(one)), (one.needs_floor(other), other.needs_floor(one))
        yield _Pair(i, j, jensen_shannon(one.rows, other.rows), kl, floored)


def _add(sums: PairSums, pair: _Pair) -> None:
    i, j = pair.i, pair.j
    sums.js[[i, j], [j, i]] += float(pair.js.sum(dtype=torch.float64))
    for place, values in (((i, j), 0), ((j, i), 1)):
        sums.kl[place] += float(pair.kl[values].sum(dtype=torch.float64))
        sums.floored[place] += int(pair.floored[values].sum())


def _of_voices(rows: Sequence[torch.Tensor], winners: torch.Tensor, pairs: Sequence[_Pair]) -> tuple[torch.Tensor, ...]:
    """(divergence (n,), apart (n, m), winners_differ (n,)) of the rows of m voices and all pairs of them."""
    apart = torch.zeros(len(rows[0]), len(rows), dtype=rows[0].dtype, device=rows[0].device)
    differ = torch.zeros(len(rows[0]), dtype=rows[0].dtype, device=rows[0].device)
    for pair in pairs:
        apart[:, pair.i] += pair.js
        apart[:, pair.j] += pair.js
        differ += winners[pair.i] != winners[pair.j]
    return generalised_jensen_shannon(rows), apart / (len(rows) - 1), differ / len(pairs)


def _of_named(pairs: Sequence[_Pair], winners: torch.Tensor, named: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    pair = next(pair for pair in pairs if (pair.i, pair.j) == tuple(sorted(named)))
    forward, backward = pair.kl if named[0] == pair.i else pair.kl[::-1]
    return pair.js, forward, backward, winners[named[0]], winners[named[1]]
