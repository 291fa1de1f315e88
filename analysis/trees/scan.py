"""One pass over a relabelled tree: what the teacher said of every crop, added up by image, batch and epoch.

Crops are mixes: what a row says is said of its own image only as far as the row shows it. Sums over an image's crops are
therefore weighted by the row's own share (Batch.own_share); plain counts beside them say how many crops there were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from analysis.context import Cancelled, Context
from analysis.device import pick
from analysis.intervals import ratio
from analysis.trees.checkpoint import Checkpoint, identity
from analysis.trees.facts import BatchFacts, FactsReader, facts_reader
from analysis.trees.regions import REGIONS, Thresholds
from analysis.trees.sums import VALUES, WEIGHTS, BatchRows, CropSums, empty_sums
from data.relabelled.checks import check_values
from data.relabelled.stream import Read, stream
from data.relabelled.tree import RelabelledTree

NEARLY_UNMIXED = 0.95
AT_ONCE = 3
"""Batches worked on at once."""
VALUES_A_STEP = 1 << 24


@dataclass(frozen=True)
class ScanOptions:
    """``epochs``: how many, evenly spread, are read; 0 all. ``nearly_unmixed``: the own share from which a row counts so."""

    temperature: float = 1.0
    epochs: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)
    nearly_unmixed: float = NEARLY_UNMIXED


@dataclass(frozen=True, eq=False)
class CropScan:
    """What a pass found. Arrays by image are (N,), NaN where an image has no crop; means over an image's crops are weighted
    by own share. ``positions`` are the files read, ``epochs`` the epochs, of ``epochs_there``."""

    sums: CropSums
    positions: tuple[int, ...]
    epochs: tuple[int, ...]
    epochs_there: int

    def of_images(self, value: str, weight: str = "own") -> np.ndarray:
        """The sum by image, float64 (N,), of one of VALUES with one of WEIGHTS."""
        return self.sums.images[:, WEIGHTS.index(weight), VALUES.index(value)]

    def of_epochs(self, value: str, weight: str = "own") -> np.ndarray:
        """The same by epoch, in the order of ``epochs``."""
        return self.sums.epochs[:, WEIGHTS.index(weight), VALUES.index(value)]

    def of_batches(self, value: str) -> np.ndarray:
        """The plain sum by batch, in the order of ``positions``."""
        return self.sums.batches[:, VALUES.index(value)]

    def mean(self, value: str, weight: str = "own") -> np.ndarray:
        """The mean by image."""
        return ratio(self.of_images(value, weight), self.of_images("rows", weight))

    def regions(self, weight: str = "plain") -> np.ndarray:
        """Crops of each image by region, (N, 4)."""
        return np.stack([self.of_images(name, weight) for name in REGIONS], axis=1)

    @cached_property
    def spread(self) -> np.ndarray:
        """How much an image's crops differ: their generalised Jensen-Shannon divergence in nats, the entropy of the
        weighted mean distribution less the weighted mean of their entropies. 0 where all are alike, at most the log of the
        number of crops. NaN also for images of which no mean distribution was kept."""
        kept = np.flatnonzero((self.sums.slots >= 0) & (self.of_images("rows") > 0))
        within, found = self.mean("entropy"), np.full(len(self.sums.slots), np.nan)
        found[kept] = _entropies(self.sums.mean, self.sums.slots[kept]) - within[kept]
        return found.clip(0)

    @cached_property
    def other_class(self) -> tuple[np.ndarray, np.ndarray]:
        """See Votes.first."""
        return self.sums.votes.first(len(self.sums.slots))


def scan_crops(tree: RelabelledTree, classes: np.ndarray, context: Context, options: ScanOptions | None = None) -> CropScan:
    """Go once through ``tree``, whose image i is of class ``classes[i]``, int64 (N,), negative where that is not known.

    An interrupted pass goes on where it was last saved, in ``context.cache``, and ends with the same bits. Raises
    UnreadableInput naming the file that is broken, Cancelled where ``context.report`` does.
    """
    classes, options = np.ascontiguousarray(classes, dtype=np.int64), options or ScanOptions()
    epochs = evenly_spread(tree.epochs, options.epochs)
    positions = tuple(tree.in_epochs(epochs))
    device = pick(context.device)
    sums = empty_sums(classes, tree.num_classes, len(positions), len(epochs), device)
    checkpoint = Checkpoint(context.cache, identity(tree, positions, classes, options, device.type))
    saved = checkpoint.load()
    if saved is not None:
        sums.restored(saved)
    reader = facts_reader(tree, sums, options.temperature, device)
    try:
        _Pass(tree, classes, options, sums, reader).run(positions, epochs, context, checkpoint)
    except (Cancelled, KeyboardInterrupt):
        checkpoint.save(sums.arrays)
        raise
    finally:
        reader.close()
    checkpoint.remove()
    return CropScan(sums, positions, epochs, len(tree.epochs))


def _entropies(sums: torch.Tensor, slots: np.ndarray) -> np.ndarray:
    """In nats, float64 (n,), of the rows ``slots`` of ``sums`` (S, C), distributions but for a factor each."""
    if sums.device.type == "cpu":
        from analysis.trees.kernel import entropies  # brings numba, which nothing needs that scans no tree

        return entropies(sums.numpy(), slots)
    found = np.empty(len(slots))
    for part in np.array_split(np.arange(len(slots)), 1 + len(slots) * sums.shape[1] // VALUES_A_STEP):
        rows = sums[torch.from_numpy(slots[part]).to(sums.device)]
        rows.div_(rows.sum(dim=1, keepdim=True))
        found[part] = torch.special.entr(rows).sum(dim=1).cpu().numpy()
    return found


def evenly_spread(epochs: Sequence[int], count: int) -> tuple[int, ...]:
    """``count`` of ``epochs``, from the middles of as many equal parts; all for 0 or more than there are."""
    if count <= 0 or count >= len(epochs):
        return tuple(epochs)
    places = (np.arange(count) + 0.5) * len(epochs) / count
    return tuple(epochs[int(place)] for place in places)


@dataclass(frozen=True, eq=False)
class _Begun:
    """A batch whose rows are being worked on."""

    file: int
    read: Read
    given: np.ndarray
    own: float
    facts: Callable[[], BatchFacts]

    @property
    def shown(self) -> tuple[np.ndarray, np.ndarray]:
        """The classes that each row shows: its image's, and in a mix its partner's; negative where not known."""
        partners = self.read.batch.partners
        return self.given, self.given if partners is None or self.own == 1 else self.given[partners]


@dataclass(eq=False)
class _Pass:
    tree: RelabelledTree
    classes: np.ndarray
    options: ScanOptions
    sums: CropSums
    facts: FactsReader

    def __post_init__(self) -> None:
        self._begun: deque[_Begun] = deque()

    def run(self, positions: Sequence[int], epochs: Sequence[int], context: Context, checkpoint: Checkpoint) -> None:
        """A batch is begun before the one before it is added up, so that no thread waits for another."""
        total = sum(self.tree.files[position].rows for position in positions)
        done = sum(self.tree.files[position].rows for position in positions[: self.sums.done])
        of_epoch = {epoch: place for place, epoch in enumerate(epochs)}
        _report(context, done, total)
        try:
            for file, read in enumerate(stream(self.tree, positions[self.sums.done :], checked=False), self.sums.done):
                self._begin(file, read)
                self._finish(of_epoch, AT_ONCE - 1)
                if checkpoint.due:
                    self._finish(of_epoch, 0)
                    checkpoint.save(self.sums.arrays)
                done += len(read.batch)
                _report(context, done, total)
        finally:
            self._finish(of_epoch, 0)

    def _begin(self, file: int, read: Read) -> None:
        own = float(np.clip(read.batch.own_share(self.tree.side), 0, 1))
        given = self.classes[read.images]
        self._begun.append(_Begun(file, read, given, own, self.facts.begin(read.batch, read.images, given, own)))

    def _finish(self, of_epoch: Mapping[int, int], leave: int) -> None:
        """Add up the batches that were begun first, but for ``leave``."""
        while len(self._begun) > leave:
            begun = self._begun.popleft()
            rows, left_out = self._rows(begun)
            epoch = self.tree.files[begun.read.position].epoch
            self.sums.add(rows, begun.file, of_epoch[epoch], left_out)

    def _rows(self, begun: _Begun) -> tuple[BatchRows, int]:
        """The usable rows of a batch, and how many are not."""
        from analysis.trees.values import row_values  # brings numba

        facts, own = begun.facts(), begun.own
        thresholds = (self.options.thresholds.low, self.options.thresholds.middle, self.options.thresholds.top)
        values = row_values((facts.confidence, facts.margin, facts.entropy, facts.given), facts.top, begun.shown, thresholds)
        columns = (values, facts.top, begun.read.images, begun.given >= 0)
        usable = np.isfinite(facts.confidence)
        if not usable.all():
            check_values(begun.read.batch, self.tree.files[begun.read.position].where)
            columns = tuple(column[usable] for column in columns)
        rows = BatchRows(*columns, own=own, unmixed=own >= self.options.nearly_unmixed)
        return rows, int(len(usable) - usable.sum())


def _report(context: Context, done: int, total: int) -> None:
    context.report(done / max(total, 1), f"reading crops, {done:,} of {total:,}")
