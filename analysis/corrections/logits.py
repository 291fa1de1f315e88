"""Logits of any label source, and a rescaling of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from analysis.corrections.as_logits import LEAST_PROBABILITY, as_logits, logits_of
from analysis.corrections.registry import Corrected, Rescaling
from analysis.findings import Figure
from analysis.label_sources import ChosenSource
from data.distilled_set import DistilledSet
from data.soft_labels import SoftLabels

__all__ = ["LEAST_PROBABILITY", "as_logits", "by_rescaling", "logits_of", "rescaled"]


def rescaled(labels: SoftLabels, given: torch.Tensor, rescaling: Rescaling, ids: np.ndarray) -> torch.Tensor:
    """``rescaling`` of the source's logits, float32 (n, C), for samples ``ids`` of a set labelled ``given`` int64 (N,)."""
    divisor, shift = (torch.from_numpy(part).float() for part in (rescaling.divisor, rescaling.shift))
    return logits_of(labels, ids) / divisor[given[ids], None] - shift


def by_rescaling(
    distilled_set: DistilledSet,
    source: ChosenSource,
    rescaling: Rescaling,
    found: tuple[Figure, ...] = (),
    caveats: tuple[str, ...] = (),
    tables: Mapping[str, pd.DataFrame] = {},
) -> Corrected:
    """The correction that ``rescaling`` is, with what was found and, after the source's own caveats, what to know of it."""
    given = torch.from_numpy(distilled_set.labels)
    return Corrected(
        lambda ids: rescaled(source.labels, given, rescaling, ids), found, source.caveats + caveats, tables, rescaling
    )
