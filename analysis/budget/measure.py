"""What is lost by keeping fewer batches or fewer numbers a row: one pass over the rows of some held images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from analysis.budget.codings import Coding, Rows, Shares, coded, divergence
from analysis.context import Context
from analysis.intervals import ratio
from analysis.sources.divergences import entropy
from data.relabelled.stream import stream
from data.relabelled.tree import RelabelledTree

IMAGES_AT_A_TIME = 64
SMALLEST = 1e-12
"""What the logarithm of a stored probability is taken of at least."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A part of the tree kept in some way: ``kept`` bool (files,), and how each of its rows is coded."""

    kept: np.ndarray
    coding: Coding


@dataclass(frozen=True, eq=False)
class Loss:
    """What a variant loses, each float64 (H,) by held image, NaN where the variant leaves the image no row.

    ``row_kl``: the mean over the image's kept rows of KL(coded row ‖ row); ``row_change`` the share of them whose first
    choice differs. ``image_kl``: KL of the image's mean distribution over kept, coded rows from that over all rows as
    stored; ``image_change``: whether its first choice differs (0 or 1). ``rows`` counts the kept rows.
    """

    row_kl: np.ndarray
    row_change: np.ndarray
    image_kl: np.ndarray
    image_change: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Whole:
    """The held images' labels as the tree stores them.

    ``mean`` (H, C) is each image's mean distribution, its rows weighted by how much of each is the image's own; ``rows``
    (H,) counts them; ``spread`` (H,) is how much its rows differ, in nats: the entropy of the mean less the mean entropy
    (their generalised Jensen-Shannon divergence). ``logits`` (H, C) is the weighted mean of the logits, or of the logarithms
    of probabilities, and None where only some classes are stored; ``logs`` (H, C) the plain mean over rows of the log
    distribution; ``choices`` (H, C) counts rows by first choice.
    """

    mean: torch.Tensor
    rows: np.ndarray
    spread: np.ndarray
    logits: torch.Tensor | None
    logs: torch.Tensor
    choices: torch.Tensor


def measure(
    tree: RelabelledTree, held: np.ndarray, variants: Sequence[Variant], temperature: float, context: Context
) -> tuple[Whole, list[Loss]]:
    """The labels of the images ``held`` (H,) of ``tree``, and the loss of each variant, at ``temperature``.

    Opens every file once and reads the held images' rows; holds about ``len(variants) + 5`` times H x C x 4 bytes. Raises
    UnreadableInput where a batch is broken.
    """
    whole = _Whole(len(held), tree.num_classes)
    tallies = [_Tally(variant, len(held), tree.num_classes) for variant in variants]
    for position, owners, share, rows in _held_rows(tree, held, context):
        stored = rows.shares(temperature)
        whole.add(owners, share, rows, stored)
        _add_to_all(tallies, position, owners, share, rows, stored, temperature)
    result = whole.result()
    return result, [tally.result(result.mean) for tally in tallies]


def _held_rows(tree: RelabelledTree, held: np.ndarray, context: Context) -> Iterator[tuple[int, torch.Tensor, float, Rows]]:
    """(position of the file, place in ``held`` of each row's image int64 (n,), their own share, the rows), file by file."""
    place = np.full(tree.num_images, -1, np.int64)
    place[held] = np.arange(len(held))
    for position, batch, images in context.track(stream(tree), len(tree), "reading the labels of the held images"):
        owners = place[images]
        found = np.flatnonzero(owners >= 0)
        if len(found):
            at = torch.from_numpy(found)
            classes = None if batch.indices is None else batch.indices[at].long()
            rows = Rows(batch.values[at].float(), classes, tree.num_classes, tree.kind)
            yield position, torch.from_numpy(owners[found]), batch.own_share(tree.side), rows


def _add_to_all(
    tallies: Sequence[_Tally],
    position: int,
    owners: torch.Tensor,
    share: float,
    rows: Rows,
    stored: Shares,
    temperature: float,
) -> None:
    """Add a file's rows to the variants that keep it; each coding is computed once."""
    done: dict[Coding, _Coded] = {}
    for tally in tallies:
        if tally.variant.kept[position]:
            coding = tally.variant.coding
            if coding not in done:
                done[coding] = _Coded.of(rows, coding, stored, temperature)
            tally.add(owners, share, done[coding])


@dataclass(frozen=True, eq=False)
class _Coded:
    """Rows after coding: their ``shares``, KL from the stored ones and whether the first choice differs, (n,)."""

    shares: Shares
    kl: torch.Tensor
    changed: torch.Tensor

    @classmethod
    def of(cls, rows: Rows, coding: Coding, stored: Shares, temperature: float) -> _Coded:
        if coding == Coding():
            nothing = torch.zeros(len(rows))
            return cls(stored, nothing, nothing)
        found = coded(rows, coding).shares(temperature)
        return cls(found, found.divergence_from(stored.dense()), (found.top != stored.top).float())


class _Tally:
    """Sums over a variant's rows, by held image."""

    def __init__(self, variant: Variant, held: int, num_classes: int) -> None:
        self.variant = variant
        self._sum = torch.zeros(held, num_classes)
        self._weight, self._kl, self._changed, self._rows = torch.zeros(4, held, dtype=torch.float64)

    def add(self, owners: torch.Tensor, share: float, found: _Coded) -> None:
        found.shares.add_to(self._sum, owners, share)
        self._weight.index_add_(0, owners, torch.full((len(owners),), share, dtype=torch.float64))
        self._kl.index_add_(0, owners, found.kl.double())
        self._changed.index_add_(0, owners, found.changed.double())
        self._rows.index_add_(0, owners, torch.ones(len(owners), dtype=torch.float64))

    def result(self, whole: torch.Tensor) -> Loss:
        """The loss against the images' distributions ``whole`` (H, C), some images at a time: whole copies in float64 would
        take several times the memory of the sums."""
        rows = self._rows.numpy()
        image_kl, changed = torch.full((2, len(whole)), torch.nan, dtype=torch.float64)
        for part in (self._weight > 0).nonzero()[:, 0].split(IMAGES_AT_A_TIME):
            mean = _over(self._sum[part], self._weight[part])
            image_kl[part] = divergence(mean, whole[part]).double()
            changed[part] = (mean.argmax(dim=1) != whole[part].argmax(dim=1)).double()
        kls, changes = (ratio(total.numpy(), rows) for total in (self._kl, self._changed))
        return Loss(kls, changes, image_kl.numpy(), changed.numpy(), rows)


class _Whole:
    """Sums over all rows, by held image."""

    def __init__(self, held: int, num_classes: int) -> None:
        self._sum, self._logits, self._logs, self._choices = torch.zeros(4, held, num_classes)
        self._weight, self._entropy, self._rows = torch.zeros(3, held, dtype=torch.float64)
        self._dense = True

    def add(self, owners: torch.Tensor, share: float, rows: Rows, stored: Shares) -> None:
        one = torch.ones(len(owners))
        stored.add_to(self._sum, owners, share)
        self._weight.index_add_(0, owners, share * one.double())
        self._entropy.index_add_(0, owners, share * entropy(stored.values).double())
        self._rows.index_add_(0, owners, one.double())
        self._choices.index_put_((owners, stored.top), one, accumulate=True)
        self._dense = self._dense and rows.classes is None
        if self._dense:
            logits = rows.values.clamp_min(SMALLEST).log() if rows.kind == "probabilities" else rows.values
            self._logits.index_add_(0, owners, logits, alpha=share)
            self._logs.index_add_(0, owners, stored.values.clamp_min(SMALLEST).log())

    def result(self) -> Whole:
        mean = _over(self._sum, self._weight)
        spread = entropy(mean).double() - self._entropy / self._weight
        return Whole(
            mean=mean,
            rows=self._rows.numpy(),
            spread=spread.clamp_min(0).numpy(),
            logits=_over(self._logits, self._weight) if self._dense else None,
            logs=_over(self._logs, self._rows),
            choices=self._choices,
        )


def _over(total: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``total`` (H, C) divided by ``weight`` (H,) in float32, NaN where that is 0."""
    return total / torch.where(weight > 0, weight, torch.nan).float()[:, None]
