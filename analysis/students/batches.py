"""What chance decides for a student, from its seed alone: the same whatever other students learn beside it.

Each draw has a generator of its own, named by seed, purpose and place, so that nothing of them needs to be kept between
steps or runs.
"""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *what: object) -> torch.Generator:
    """For what ``seed`` draws as ``what``, on the CPU."""
    digest = hashlib.sha256(repr((seed, *what)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)


class Batches:
    """A student's batches: all ``n`` images in a new order every epoch, ``batch`` at a time across its end, so that every
    batch is as large as every other."""

    def __init__(self, seed: int, n: int, batch: int) -> None:
        self._seed, self._n = seed, n
        self._size = min(batch, n)
        self._order: tuple[int, torch.Tensor] = (-1, torch.empty(0))

    def at(self, step: int) -> torch.Tensor:
        """Ids int64 of the batch of ``step``, from 0; ``batch`` of them, or ``n`` where there are fewer."""
        epoch, start = divmod(step * self._size, self._n)
        here = self._epoch(epoch)[start : start + self._size]
        return here if len(here) == self._size else torch.cat([here, self._epoch(epoch + 1)[: self._size - len(here)]])

    def _epoch(self, epoch: int) -> torch.Tensor:
        if self._order[0] != epoch:
            self._order = (epoch, torch.randperm(self._n, generator=generator(self._seed, "order", epoch)))
        return self._order[1]
