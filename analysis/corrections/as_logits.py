"""Any label source as logits that can be read again and again: what every correction starts from."""

from __future__ import annotations

import math
import tempfile
import weakref
from dataclasses import dataclass

import numpy as np
import torch

from analysis.context import Context
from data.disk_room import reserve
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, Ids, Kind, SoftLabels, TopKSoftLabels, rows_a_chunk

LEAST_PROBABILITY = 1e-9
"""What a probability of 0 counts as where its logarithm is needed: far below what a float16 label can say."""
MOST_BYTES_IN_MEMORY = 64 << 20

_KEPT: weakref.WeakKeyDictionary[SoftLabels, DenseSoftLabels] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class LogitView(SoftLabels):
    """``source`` as logits, computed when read (``logits_of``)."""

    source: SoftLabels
    kind: Kind = "logits"

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        return self.source.num_classes

    def __len__(self) -> int:
        return len(self.source)

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def stored(self, ids: Ids) -> torch.Tensor:
        return logits_of(self.source, ids)

    def take(self, ids: Ids) -> LogitView:
        return LogitView(self.source.take(ids))

    def probabilities(self, ids: Ids, temperature: float = 1.0) -> torch.Tensor:
        return torch.softmax(self.stored(ids) / temperature, dim=1)


def logits_of(labels: SoftLabels, ids: Ids) -> torch.Tensor:
    """Finite float32 (n, C) whose softmax is the source's distribution: the stored values of dense logits as they are, so
    that their scale stays; of anything else the logarithm of its probabilities, none counting as less than 1e-9.

    A stored logit of minus infinity, which rules a class out, counts as a probability of 1e-9. Raises ImpossibleRequest
    where a value is not a number.
    """
    if isinstance(labels, LogitView) or _dense_logits(labels):
        values = labels.stored(ids).float()
        return values if bool(torch.isfinite(values).all()) else _without_infinities(values, ids)
    if not is_slow(labels):
        # A row of probabilities with a NaN would be read as one that says nothing.
        stored = labels.stored(ids)
        _refuse((torch.isnan(stored) | torch.isposinf(stored)).any(dim=1), ids)
    probabilities = labels.probabilities(ids)
    _refuse(~torch.isfinite(probabilities).all(dim=1), ids)
    return probabilities.clamp_min(LEAST_PROBABILITY).log()


def is_slow(labels: SoftLabels) -> bool:
    """Whether a row costs more than reading it: of a relabelled tree, whose files hold crops of any, or a committee."""
    return not isinstance(labels, DenseSoftLabels | TopKSoftLabels | LogitView)


def as_logits(labels: SoftLabels, context: Context) -> SoftLabels:
    """``labels`` as logits, for rows in any order. A slow source is read once, with progress, and kept: in memory up to 64
    MiB, else in a temporary file that nobody else sees; it goes when the source does.

    Raises ImpossibleRequest where there is no room for it.
    """
    if is_slow(labels):
        if labels not in _KEPT:
            _KEPT[labels] = _kept(labels, context)
        return _KEPT[labels]
    return labels if _dense_logits(labels) else LogitView(labels)


def _dense_logits(labels: SoftLabels) -> bool:
    return isinstance(labels, DenseSoftLabels) and labels.kind == "logits" and labels.values.shape[1] > 1


def _kept(labels: SoftLabels, context: Context) -> DenseSoftLabels:
    values = _room((len(labels), labels.num_classes))
    steps = -(-len(labels) // rows_a_chunk(labels.num_classes))
    for ids, probabilities in context.track(labels.stream(), steps, "reading the label source"):
        _refuse(~torch.isfinite(probabilities).all(dim=1), ids)
        values[ids] = probabilities.clamp_min(LEAST_PROBABILITY).log().float()
    return DenseSoftLabels(values, "logits")


def _room(shape: tuple[int, int]) -> torch.Tensor:
    """An empty float32 tensor, in a temporary file without a name where it is large."""
    size = 4 * math.prod(shape)
    if size <= MOST_BYTES_IN_MEMORY:
        return torch.empty(shape)
    try:
        with tempfile.TemporaryFile() as file:
            reserve(file.fileno(), size)
            return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=shape))
    except OSError as error:
        raise ImpossibleRequest(
            f"the label source needs {size / 2**20:,.0f} MiB of temporary space to be read ({error.strerror or error}); "
            "free some and try again."
        ) from error


def _without_infinities(values: torch.Tensor, ids: Ids) -> torch.Tensor:
    ruled_out = torch.isneginf(values)
    _refuse((~torch.isfinite(values) & ~ruled_out).any(dim=1) | ruled_out.all(dim=1), ids)
    return torch.where(ruled_out, values.amax(dim=1, keepdim=True) + math.log(LEAST_PROBABILITY), values)


def _refuse(broken: torch.Tensor, ids: Ids) -> None:
    if bool(broken.any()):
        sample = int(np.asarray(ids)[int(broken.int().argmax())])
        raise ImpossibleRequest(
            f"the soft label of sample {sample} holds values that are not numbers, or too large for float32; repair that "
            "row or choose another label source."
        )
