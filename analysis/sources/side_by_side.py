"""Several label sources read side by side, a chunk at a time, so that their distributions can be compared fairly.

Where a source keeps only the k largest probabilities, how the rest is spread is not known. It is not taken for 0: all
classes that not every such source keeps are merged into one rest class, in every source alike. Merging can only hide
differences, so Jensen-Shannon and Kullback-Leibler divergences then are lower bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from analysis.context import Context
from analysis.label_sources import chunks_together, kind_caveats
from data.soft_labels import SoftLabels, TopKSoftLabels, as_index

VALUES_AT_ONCE = 1 << 17
"""On the cpu: results as large as a chunk get fresh memory each time, at five times the cost of computing them."""


@dataclass(frozen=True, eq=False)
class SideBySide:
    """``sources`` by name, all of the same N samples and C classes, read at ``temperature``."""

    sources: Mapping[str, SoftLabels]
    temperature: float = 1.0
    merged: tuple[str, ...] = field(init=False)
    """Sources whose classes left out count as one rest class: those of the k largest probabilities, as they are."""

    def __post_init__(self) -> None:
        # Another temperature cannot be applied to a rest whose classes are not known, and the largest logits alone say
        # nothing about the rest, so both are read as training code reads them: nothing is left for other classes.
        partial = [name for name, held in self.sources.items() if isinstance(held, TopKSoftLabels)]
        known = [name for name in partial if self.sources[name].kind == "probabilities" and self.temperature == 1]
        object.__setattr__(self, "merged", tuple(known))

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the stored numbers are, and what is merged."""
        said = [kind_caveats(name, held) for name, held in self.sources.items() if name not in self.merged]
        for name in self.merged:
            kept, classes = self.sources[name].values.shape[1], self.sources[name].num_classes
            sentence = (
                f"'{name}' keeps {kept} of {classes} classes a sample; the others are compared as one rest class, so all "
                "divergences are lower bounds."
            )
            said.append((sentence,))
        return tuple(dict.fromkeys(sentence for sentences in said for sentence in sentences))

    def stream(
        self, device: torch.device, context: Context, message: str
    ) -> Iterator[tuple[np.ndarray, list[torch.Tensor], list[torch.Tensor]]]:
        """(ids int64 (n,), each source's distributions (n, C), and the same to be compared).

        The latter are (n, C + 1), the rest class last, where there is one. Raises ImpossibleRequest where a row is no
        distribution.
        """
        for together, read in chunks_together(self.sources.values(), device, context, message, self.temperature):
            step = max(1, VALUES_AT_ONCE // read[0].shape[1]) if device.type == "cpu" else len(together)
            for start in range(0, len(together), step):
                ids = together[start : start + step]
                rows = [chunk[start : start + step] for chunk in read]
                yield ids, rows, self._fairly(ids, rows) if self.merged else rows

    def _fairly(self, ids: np.ndarray, rows: list[torch.Tensor]) -> list[torch.Tensor]:
        rows = list(rows)
        kept = torch.ones(rows[0].shape, dtype=torch.bool, device=rows[0].device)
        for place, (name, held) in enumerate(self.sources.items()):
            if name in self.merged:
                rows[place], here = _as_stored(held, ids, rows[place])
                kept &= here
        within = [row * kept for row in rows]
        return [torch.cat([row, (1 - row.sum(dim=1, keepdim=True)).clamp_min(0)], dim=1) for row in within]


def _as_stored(held: TopKSoftLabels, ids: np.ndarray, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The stored probabilities, not brought to a sum of 1, and where there are any, both (n, C)."""
    index = as_index(ids)
    classes, values = held.indices[index].long().to(like.device), held.values[index].to(like)
    there = torch.zeros(like.shape, dtype=torch.bool, device=like.device).scatter_(1, classes, True)
    return torch.zeros_like(like).scatter_(1, classes, values.clamp_min(0)), there
