"""Which label sources speak in an analysis, one by one or as their plain mean.

The plain mean is MEAL V2's committee (arXiv 2009.08453), and what any cleverer one is to be compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from analysis.context import Context
from analysis.label_sources import choose, chunks_together, kind_caveats
from analysis.sources.committee import equal_weights
from analysis.sources.committee_sources import Committee
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import SoftLabels

Combine = Literal["mean of others", "mean of all", "one source"]


@dataclass(frozen=True)
class Voices:
    """The label sources that speak, by name, with the sentences to know about them."""

    sources: dict[str, SoftLabels]
    caveats: tuple[str, ...]

    @property
    def basis(self) -> str:
        """In words, whose distributions these are."""
        names = list(self.sources)
        if len(names) == 1:
            return f"probabilities of label source '{names[0]}'"
        some = ", ".join(f"'{name}'" for name in names[:4]) + (" and others" if len(names) > 4 else "")
        return f"the mean of {len(names)} label sources ({some})"

    @property
    def mean(self) -> SoftLabels:
        """The plain mean of the sources, computed when read; the source itself where there is one."""
        held = tuple(self.sources.values())
        return held[0] if len(held) == 1 else Committee(held, "probabilities", equal_weights(len(held)))


def voices(distilled_set: DistilledSet, combine: Combine, source: str) -> Voices:
    """The sources that ``combine`` names: all, all but the given one where there are others, or ``source`` alone.

    The given soft labels mostly favour the given label, which an analysis of it must not count twice; hence "others". A
    ``source`` that is named speaks alone under "mean of others" as well. Raises ImpossibleRequest where there is none.
    """
    if combine == "one source" or (source and combine == "mean of others"):
        chosen = choose(distilled_set, source)
        return Voices({chosen.name: chosen.labels}, chosen.caveats)
    if source:
        raise ImpossibleRequest(f"the mean of all sources takes no source by name; leave '{source}' out or take it alone.")
    choose(distilled_set, "")  # refuses a set without any
    held = dict(distilled_set.label_sources)
    if combine == "mean of others" and len(held) > 1:
        held.pop(GIVEN, None)
    caveats = tuple(sentence for name, labels in held.items() for sentence in kind_caveats(name, labels))
    if list(held) == [GIVEN]:
        caveats += ("Only the set's given soft labels speak here, and those seldom contradict the given labels.",)
    return Voices(held, caveats)


def read_together(
    held: Voices, device: torch.device, context: Context, message: str
) -> Iterator[tuple[np.ndarray, list[torch.Tensor]]]:
    """All distributions in order, a chunk at a time: (ids int64 (n,), probabilities (n, C) of each source)."""
    for ids, parts in chunks_together(held.sources.values(), device, context, message):
        yield ids, [part.clamp_min(0) for part in parts]
