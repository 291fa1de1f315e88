"""One temperature for the scores of many images, fitted on some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import cross_entropy

from analysis.probes.temperature_scaling import fit_temperature

MOST_IMAGES, MOST_VALUES = 4_000, 1 << 20


def sharpness(scores_of: Callable[[int], torch.Tensor], classes: Sequence[torch.Tensor]) -> tuple[float, float]:
    """The temperature whose softmax of scores gives the given ``classes`` the least log-loss, and that log-loss.

    ``scores_of(place)`` is (n_f, C) for the images of ``classes[place]`` (n_f,), taken evenly from a few thousand of them.
    Scores are first brought to a spread of 1: those of ridge regression shrink with the number of classes.
    """
    num_classes, parts, truths = 0, [], []
    for place, given in enumerate(classes):
        scores = scores_of(place)
        num_classes = scores.shape[1]
        most = max(1, min(MOST_IMAGES, MOST_VALUES // num_classes) // len(classes))
        step = -(-len(given) // most)
        parts.append(scores[::step].cpu())
        truths.append(given[::step].cpu())
    sampled, truth = torch.cat(parts).double(), torch.cat(truths)
    spread = float(sampled.std(correction=0)) or 1.0
    temperature = spread * fit_temperature(sampled / spread, truth)
    return temperature, float(cross_entropy(sampled / temperature, truth))
