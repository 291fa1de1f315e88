"""What each class's soft labels cost, at any temperature, from one pass over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from analysis.context import Context
from analysis.corrections.as_logits import logits_of
from analysis.intervals import ratio
from analysis.label_sources import rows_a_chunk
from data.soft_labels import SoftLabels

TEMPERATURES = 65
Loss = Literal["entropy", "hard label"]
"""The labels' entropy, or their cross-entropy with the hard ones."""


def losses_by_temperature(
    labels: SoftLabels, hard: np.ndarray, loss: Loss, bounds: tuple[float, float], context: Context
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of temperatures (C,) within ``bounds`` giving each class's mean ``loss``, float64 (C,), of softmax(logits /
    temperature of the class), in nats; NaN for a class without samples.

    ``labels`` are logits (N, C). Read at 65 temperatures, evenly spaced on a logarithmic scale, and taken as linear in the
    inverse temperature between them.
    """
    inverses = 1 / np.geomspace(bounds[1], bounds[0], TEMPERATURES)
    losses = _losses(labels, hard, loss, inverses, context)

    def at(temperatures: np.ndarray) -> np.ndarray:
        wanted = np.clip(1 / np.asarray(temperatures, dtype=float), inverses[0], inverses[-1])
        right = np.clip(np.searchsorted(inverses, wanted), 1, len(inverses) - 1)
        part = (wanted - inverses[right - 1]) / (inverses[right] - inverses[right - 1])
        classes = np.arange(len(wanted))
        return (1 - part) * losses[right - 1, classes] + part * losses[right, classes]

    return at


def _losses(labels: SoftLabels, hard: np.ndarray, loss: Loss, inverses: np.ndarray, context: Context) -> np.ndarray:
    """Each class's mean loss under each inverse temperature, float64 (T, C)."""
    classes, rows = labels.num_classes, rows_a_chunk(labels.num_classes)
    sums = np.zeros((len(inverses), classes))
    starts = range(0, len(labels), rows)
    for start in context.track(starts, len(starts), "measuring each class's loss"):
        own = hard[start : start + rows]
        logits = logits_of(labels, np.arange(start, start + len(own)))
        for place, inverse in enumerate(inverses.tolist()):
            log_p = torch.log_softmax(logits * inverse, dim=1)
            sums[place] += np.bincount(own, _row_losses(log_p, own, loss).numpy(), classes)
    return ratio(sums, np.bincount(hard, minlength=classes)[None])


def _row_losses(log_p: torch.Tensor, own: np.ndarray, loss: Loss) -> torch.Tensor:
    if loss == "entropy":
        return -torch.linalg.vecdot(log_p.exp(), log_p)
    return -log_p.gather(1, torch.from_numpy(own)[:, None])[:, 0]
