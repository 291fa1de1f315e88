"""The N x C probabilities that confident learning reads, and what each pass over them leaves.

Each value is read once; afterwards only those rows are read again that the first pass leaves open. Labels stored as
probabilities are taken as they are, in their own dtype, because cleanlab takes them so too: it neither normalises nor
widens. All other labels become float32 distributions first (``SoftLabels.probabilities``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch

from analysis.context import Context
from analysis.label_sources import PROBABILITY_TOLERANCE, per_sample, rows_a_chunk
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels, as_index, to_probabilities

NOT_CONFIDENT = -1
NEAR = 1e-6
THREADED_BLOCKS_A_CHUNK = 4
"""A block that one core's own cache holds: read twice as fast as a chunk that two share (measured at 1,000 classes)."""
_AS_THEY_ARE = (torch.float16, torch.float32, torch.float64)
_NOT_A_PROBABILITY = -1.0

Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Rows:
    """The distributions of ``source`` (N, C), computed with on ``device``."""

    source: SoftLabels
    device: torch.device

    @property
    def num_classes(self) -> int:
        return self.source.num_classes

    @property
    def at_once(self) -> int:
        """How many rows to handle at once: a block."""
        rows = rows_a_chunk(self.num_classes, self.device)
        return max(1, rows // THREADED_BLOCKS_A_CHUNK) if self._threaded else rows

    @cached_property
    def values(self) -> torch.Tensor | None:
        """The stored probabilities (N, C) where they can be taken as they are."""
        if not isinstance(self.source, DenseSoftLabels) or self.source.kind != "probabilities":
            return None
        values = self.source.values
        return values if values.dtype in _AS_THEY_ARE and values.shape[1] == self.num_classes else None

    def spans(self) -> list[slice]:
        """All rows, a block at a time."""
        return [
            slice(start, min(start + self.at_once, len(self.source))) for start in range(0, len(self.source), self.at_once)
        ]

    def of(self, part: slice | np.ndarray) -> torch.Tensor:
        """The distributions of consecutive samples (no copy where they are taken as they are) or of ids (n,), (n, C)."""
        index = part if isinstance(part, slice) else as_index(part)
        if self.values is not None:
            return self.values[index]
        if isinstance(self.source, DenseSoftLabels):
            return to_probabilities(self.source.values[index], self.source.kind)
        return self.source.probabilities(np.arange(part.start, part.stop) if isinstance(part, slice) else part)

    def block(self, part: slice | np.ndarray) -> torch.Tensor:
        """The same on the device, not to be written into, in a dtype that the device computes with.

        The cpu is slow with half precision, which float32 holds exactly.
        """
        block = self.of(part)
        if self.device.type == "mps" and block.dtype == torch.float64:
            return block
        if self.device.type == "cpu" and block.dtype == torch.float16:
            return block.float()
        return self._staging.copied(block) if self.device.type == "cuda" and not block.is_cuda else block.to(self.device)

    def each(
        self, work: Callable[[Part], Result], parts: Sequence[Part], context: Context, message: str
    ) -> Iterator[Result]:
        """``work`` of each part in order, with progress.

        On the cpu every thread works on parts of its own with operations of one thread: threads that meet after each
        operation on a block wait for each other longer than they work wherever something else is running.
        """
        if not self._threaded:
            yield from map(work, context.track(parts, len(parts), message))
            return
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield from context.track(pool.map(work, parts), len(parts), message)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # what threads that start from now on take over

    @cached_property
    def _threaded(self) -> bool:
        """Other sources than matrices may read files, which two threads must not do at once."""
        return self.device.type == "cpu" and isinstance(self.source, DenseSoftLabels)

    @cached_property
    def _staging(self) -> _Staging:
        return _Staging(self.device)


class _Scratch(threading.local):
    """A copy of a block to write into, in memory that its thread uses again: new pages cost more than the work."""

    _buffer: torch.Tensor | None = None

    def copied(self, block: torch.Tensor) -> torch.Tensor:
        if self._buffer is None or len(self._buffer) < len(block):
            self._buffer = torch.empty(block.shape, dtype=block.dtype, device=block.device)
        return self._buffer[: len(block)].copy_(block)


class _Staging:
    """Two page-locked buffers in turn, so that one is filled while the other is copied to the GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: list[torch.Tensor | None] = [None, None]
        self._copied = [torch.cuda.Event(), torch.cuda.Event()]
        self._turn = 0

    def copied(self, block: torch.Tensor) -> torch.Tensor:
        self._turn = 1 - self._turn
        self._copied[self._turn].synchronize()
        buffer = self._buffers[self._turn]
        if buffer is None or len(buffer) < len(block) or buffer.dtype != block.dtype:
            buffer = self._buffers[self._turn] = torch.empty(block.shape, dtype=block.dtype, pin_memory=True)
        moved = buffer[: len(block)].copy_(block).to(self._device, non_blocking=True)
        self._copied[self._turn].record(torch.cuda.current_stream(self._device))
        return moved


@dataclass(frozen=True)
class RowFacts:
    """What one pass leaves of each sample's distribution; every array is (N,).

    ``given`` is the probability of the given label; ``other`` the highest of any other class, and ``other_label`` the first
    class that has it. Probabilities are in the dtype they were read in.
    """

    labels: np.ndarray
    given: np.ndarray
    other: np.ndarray
    other_label: np.ndarray

    @property
    def top(self) -> np.ndarray:
        """The highest probability."""
        return np.maximum(self.given, self.other)

    @cached_property
    def top_label(self) -> np.ndarray:
        """The most probable class, int64; the first of several."""
        return np.where(self._first_of_highest(self.given), self.labels, self.other_label)

    @cached_property
    def agrees(self) -> np.ndarray:
        """Whether the given label is within 1e-6 of being the most probable; such a sample is not flagged."""
        return self._first_of_highest(self.given + NEAR)

    def _first_of_highest(self, own: np.ndarray) -> np.ndarray:
        """Whether a label with this probability is the row's argmax: the lower class index wins a tie."""
        return (own > self.other) | ((own == self.other) & (self.labels < self.other_label))


def read_facts(labels: np.ndarray, rows: Rows, context: Context) -> RowFacts:
    """One pass over all rows. Raises ImpossibleRequest where a probability is not a number in [0, 1], within 1e-6."""
    scratch = _Scratch()

    def read(span: slice) -> tuple[torch.Tensor, ...]:
        block = rows.block(span)
        own = torch.from_numpy(labels[span, None]).to(block.device)
        lowest = block.amin(dim=1)
        others = scratch.copied(block).scatter_(1, own, _NOT_A_PROBABILITY)
        other_label = _argmax(others)
        return block.gather(1, own)[:, 0], others.gather(1, other_label[:, None])[:, 0], other_label, lowest

    spans = rows.spans()
    parts = rows.each(read, spans, context, "Reading probabilities")
    given, other, other_label, lowest = per_sample(len(labels), zip(map(_ends, spans), parts, strict=True))
    _check(lowest, np.maximum(given, other))
    dtype = np.float16 if rows.values is not None and rows.values.dtype == torch.float16 else given.dtype
    return RowFacts(labels, given.astype(dtype, copy=False), other.astype(dtype, copy=False), other_label)


def confident_labels(rows: Rows, facts: RowFacts, thresholds: np.ndarray, context: Context) -> np.ndarray:
    """The class above whose threshold a sample lies, the most probable one where it is above several, int64 (N,).

    A sample whose most probable class is above its threshold is in that class, however many others are too; one whose
    highest other probability is below all thresholds is in none. Only the rows between are read again.
    """
    reach = thresholds - NEAR
    sure = facts.top >= reach[facts.top_label]
    confident = np.where(sure, facts.top_label, NOT_CONFIDENT)
    highest_elsewhere = np.where(facts.top_label == facts.labels, facts.other, facts.top)
    unsure = np.flatnonzero(~sure & (highest_elsewhere >= reach.min()))

    def read(ids: np.ndarray) -> tuple[np.ndarray, ...]:
        block = rows.block(ids)
        above = block >= _lowest_at_or_above(reach, block.dtype).to(block.device)
        return ids, *(index.cpu().numpy() for index in above.nonzero(as_tuple=True))

    at_once = rows.at_once
    parts = [unsure[start : start + at_once] for start in range(0, len(unsure), at_once)]
    for ids, row, label in rows.each(read, parts, context, "Counting confident samples"):
        confident[ids[row]] = label
        several = ids[np.bincount(row, minlength=len(ids)) > 1]
        confident[several] = facts.top_label[several]
    return confident


def entropies(rows: Rows, context: Context) -> np.ndarray:
    """Each sample's entropy in nats, (N,)."""
    spans = rows.spans()
    parts = rows.each(lambda span: (_entropy(rows.block(span)),), spans, context, "Reading entropies")
    return per_sample(len(rows.source), zip(map(_ends, spans), parts, strict=True))[0]


def _ends(span: slice) -> np.ndarray:
    return np.array([span.start, span.stop - 1])


def _argmax(block: torch.Tensor) -> torch.Tensor:
    """The first of the highest in each row, int64 (n,). numpy's is ten times as fast as torch's on the cpu."""
    if block.device.type == "cpu":
        return torch.from_numpy(block.numpy().argmax(axis=1))
    return block.max(dim=1).indices


def _entropy(block: torch.Tensor) -> torch.Tensor:
    wide = (block.float() if block.dtype == torch.float16 else block).clamp_min(0)
    return -torch.special.xlogy(wide, wide).sum(dim=1)


def _lowest_at_or_above(values: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """For each value the lowest number of ``dtype`` that is not below it, so that comparing needs no wider dtype."""
    name = str(dtype).removeprefix("torch.")
    near = values.astype(name)
    return torch.from_numpy(np.where(near < values, np.nextafter(near, np.array(np.inf, name)), near).astype(name))


def _check(lowest: np.ndarray, highest: np.ndarray) -> None:
    # Put so that NaN, which no comparison holds for, is refused.
    valid = (lowest >= -PROBABILITY_TOLERANCE) & (highest <= 1 + PROBABILITY_TOLERANCE)
    if not valid.all():
        raise ImpossibleRequest(
            f"the probabilities of sample {int(valid.argmin())} are not all numbers from 0 to 1; "
            "repair that row or choose another label source."
        )
