"""One temperature for every sample: the plainest correction, and what others are compared with."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from analysis.context import Context
from analysis.corrections.logits import by_rescaling
from analysis.corrections.registry import Corrected, Rescaling, correction
from analysis.label_sources import ChosenSource
from analysis.registry import Between
from data.distilled_set import DistilledSet


@correction(
    title="Temperature",
    meaning=(
        "Divides all logits by one number: above 1 the labels become softer and name more of the other classes, below 1 "
        "sharper. The order of the classes stays as it is."
    ),
    paper="Distilling the Knowledge in a Neural Network (arXiv 1503.02531)",
)
def temperature(
    distilled_set: DistilledSet,
    source: ChosenSource,
    context: Context,
    *,
    temperature: Annotated[float, Between(0.01, 100)] = 2.0,
) -> Corrected:
    """logits / ``temperature``."""
    classes = distilled_set.num_classes
    return by_rescaling(distilled_set, source, Rescaling(np.full(classes, temperature), np.zeros(classes)))
