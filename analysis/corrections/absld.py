"""ABSLD: a temperature a class, so that no class is learned at the others' expense.

Improving Adversarial Robust Fairness via Anti-Bias Soft Label Distillation, arXiv 2312.05508. A class with a higher loss
than others gets a lower temperature, which sharpens its labels, and the others a higher one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from analysis.context import Context
from analysis.corrections.class_losses import Loss, losses_by_temperature
from analysis.corrections.logits import by_rescaling
from analysis.corrections.registry import Corrected, Rescaling, correction
from analysis.findings import Figure, per_class_table
from analysis.label_sources import ChosenSource, few_samples_caveat
from analysis.registry import Between
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

DECAY_AT = (215 / 300, 260 / 300, 285 / 300)
"""Parts of the steps after which beta falls to a tenth, as in the authors' code."""
SETTLED = 1e-9
IN_WORDS = {"hard label": "the labels' mean cross-entropy with the hard ones", "entropy": "the labels' mean entropy"}
OWN_LOSS = (
    "The temperatures follow a loss of the labels themselves, where the paper follows a student's while it learns: they say "
    "how unequal the labels are, not how unequal a student would be."
)


@dataclass(frozen=True, eq=False)
class Adapted:
    """The ``temperatures`` found, and the ``losses`` at the start and under the last of them, all float64 (C,), losses NaN
    for a class without samples; how many ``steps`` it took, and whether it ``settled`` before they were used up."""

    temperatures: np.ndarray
    first_losses: np.ndarray
    losses: np.ndarray
    steps: int
    settled: bool


@correction(
    title="ABSLD: a temperature for each class",
    meaning=(
        "Sharpens the labels of classes that are taught worse than the others and softens those of the rest, by a "
        "temperature of its own for each class. The temperatures are adapted step by step until all classes have the same "
        "loss, or reach a bound."
    ),
    paper="Improving Adversarial Robust Fairness via Anti-Bias Soft Label Distillation (ABSLD, arXiv 2312.05508)",
)
def absld(
    distilled_set: DistilledSet,
    source: ChosenSource,
    context: Context,
    *,
    beta: Annotated[float, Between(0.0001, 1)] = 0.1,
    lowest: Annotated[float, Between(0.01, 1)] = 0.5,
    highest: Annotated[float, Between(1, 100)] = 5.0,
    steps: Annotated[int, Between(1, 10_000)] = 300,
    loss: Loss = "entropy",
) -> Corrected:
    """logits / t_c for the samples of class c, with t as ``absld_temperatures`` finds it.

    The authors adapt t once an epoch by a student's loss. There is no student here: the ``loss`` of a class is the mean
    entropy of its tempered labels, which a student that learns them perfectly still loses, or their cross-entropy with the
    hard label; read once over a grid of temperatures and interpolated. Only the entropy surely falls as a class is
    sharpened, as a student's loss does: the cross-entropy of a class whose labels mostly name another one rises, and drives
    it to a bound. Raises ImpossibleRequest where fewer than two classes have samples.
    """
    if (distilled_set.per_class > 0).sum() < 2:
        raise ImpossibleRequest(f"ABSLD compares classes, and only one class of {distilled_set.name} has samples.")
    losses_of = losses_by_temperature(source.labels, distilled_set.labels, loss, (lowest, highest), context)
    adapted = absld_temperatures(losses_of, distilled_set.num_classes, beta, (lowest, highest), steps)
    table = per_class_table(
        distilled_set.class_names,
        distilled_set.per_class,
        temperature=adapted.temperatures,
        loss_before=adapted.first_losses,
        loss_after=adapted.losses,
    )
    return by_rescaling(
        distilled_set,
        source,
        Rescaling(adapted.temperatures, np.zeros(distilled_set.num_classes)),
        _figures(adapted, distilled_set, f"{IN_WORDS[loss]}; label source '{source.name}'"),
        _caveats(adapted, distilled_set, (lowest, highest)),
        {"class temperatures": table},
    )


def absld_temperatures(
    losses_of: Callable[[np.ndarray], np.ndarray],
    num_classes: int,
    beta: float = 0.1,
    bounds: tuple[float, float] = (0.5, 5.0),
    steps: int = 300,
) -> Adapted:
    """Temperatures, float64 (C,), from 1 on, adapted by t <- clip(t - beta (L - mean L) / max |L - mean L|, ``bounds``).

    ``losses_of`` gives each class's loss, (C,), when its labels are divided by the temperatures it is handed: a real
    student's after another epoch, or the labels' own. A class whose loss is NaN keeps its temperature and counts in no
    mean. ``beta`` falls to a tenth at 215, 260 and 285 of 300 parts of the ``steps``, as in the authors' code. It has
    settled where all losses are equal or no temperature moves.
    """
    temperatures = np.ones(num_classes)
    losses = first = np.asarray(losses_of(temperatures), dtype=float)
    for step in range(steps):
        off = np.nan_to_num(losses - np.nanmean(losses))
        largest = np.abs(off).max()
        if largest <= SETTLED:
            return Adapted(temperatures, first, losses, step, True)
        pace = beta * 0.1 ** sum(step >= part * steps for part in DECAY_AT)
        moved = np.clip(temperatures - pace * off / largest, *bounds)
        if np.abs(moved - temperatures).max() <= SETTLED:
            return Adapted(temperatures, first, losses, step, True)
        temperatures = moved
        losses = np.asarray(losses_of(temperatures), dtype=float)
    return Adapted(temperatures, first, losses, steps, False)


def _figures(adapted: Adapted, distilled_set: DistilledSet, whose: str) -> tuple[Figure, ...]:
    n, filled = len(distilled_set), distilled_set.per_class > 0
    found = adapted.temperatures[filled]
    basis = f"of {int(filled.sum())} classes with samples, after {adapted.steps} steps; by {whose}"
    said = f"standard deviation over classes of {whose}"
    return (
        Figure("Lowest class temperature", float(found.min()), basis, n),
        Figure("Highest class temperature", float(found.max()), basis, n),
        Figure("Spread of class loss before", float(np.nanstd(adapted.first_losses)), said, n, "nats"),
        Figure("Spread of class loss after", float(np.nanstd(adapted.losses)), said, n, "nats"),
    )


def _caveats(adapted: Adapted, distilled_set: DistilledSet, bounds: tuple[float, float]) -> tuple[str, ...]:
    caveats = [OWN_LOSS]
    filled = distilled_set.per_class > 0
    stuck = [int(np.isclose(adapted.temperatures[filled], bound).sum()) for bound in bounds]
    if any(stuck):
        caveats.append(
            f"{stuck[0]} classes are at the lowest temperature and {stuck[1]} at the highest; their losses could not be "
            "brought to the others' within these bounds."
        )
    if np.nanstd(adapted.losses) > np.nanstd(adapted.first_losses):
        caveats.append(
            "The losses are further apart than before: a class whose labels mostly name another one gets worse as it is "
            "sharpened. The loss 'entropy' has no such classes."
        )
    return (*caveats, *few_samples_caveat(distilled_set.per_class))
