"""Shifting all classes so that together the soft labels give each the mass it is meant to have."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from scipy.optimize import minimize

from analysis.context import Context
from analysis.corrections.logits import by_rescaling, logits_of
from analysis.corrections.priors import Target, target_shares
from analysis.corrections.registry import Corrected, Rescaling, correction
from analysis.findings import SHARE, Figure
from analysis.intervals import FEWEST_FOR_A_MEAN
from analysis.label_sources import ChosenSource, rows_a_chunk
from analysis.registry import Between
from data.distilled_set import DistilledSet
from data.soft_labels import SoftLabels

AS_GOOD_AS = 1e-3
"""A difference that is this part of the smallest class's share counts as none, ..."""
LEAST_DIFFERENCE = 1e-4
"""... and so does one that is this part of an even share."""
STEPS_REMEMBERED = 20


class Masses:
    """What the classes receive under a shift, and how many passes over the labels it took to find out."""

    def __init__(self, labels: SoftLabels, temperature: float, most_passes: int, context: Context) -> None:
        self._labels, self._temperature, self._most, self._context = labels, temperature, most_passes, context
        self.passes = 0

    def at(self, shift: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean over samples of log sum exp(logits / temperature - shift), and the mean of its softmax, float64 (C,)."""
        self._context.report(min(self.passes / self._most, 1.0), f"matching, pass {self.passes + 1}")
        self.passes += 1
        taken, total, received = torch.from_numpy(shift), 0.0, np.zeros(len(shift))
        n, rows = len(self._labels), rows_a_chunk(len(shift))
        for start in range(0, n, rows):
            ids = np.arange(start, min(start + rows, n))
            shifted = (logits_of(self._labels, ids).double() / self._temperature).sub_(taken)
            largest = shifted.amax(dim=1, keepdim=True)
            weights = shifted.sub_(largest).exp_()
            sums = weights.sum(dim=1)
            total += float((sums.log() + largest[:, 0]).sum())
            received += (sums.reciprocal() @ weights).numpy()
        return total / n, received / n


@correction(
    title="Prior or Sinkhorn matching",
    meaning=(
        "Shifts the classes against each other until, over the whole set, each receives the share of soft-label mass that "
        "it should: the same for all, that of the set's own labels, or that of the original counts. What a single label "
        "says beyond that stays."
    ),
    paper=(
        "Sinkhorn Distances: Lightspeed Computation of Optimal Transport (Cuturi, arXiv 1306.0895), applied to labels as in "
        "SwAV (arXiv 2006.09882)"
    ),
)
def prior_matching(
    distilled_set: DistilledSet,
    source: ChosenSource,
    context: Context,
    *,
    target: Target = "uniform",
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
    most_passes: Annotated[int, Between(2, 10_000)] = 200,
    empty_counts_as: Annotated[float, Between(0.001, 1_000_000)] = 0.5,
) -> Corrected:
    """logits / ``temperature`` - shift, with the one shift a class under which the mean label is the ``target``.

    Matching the prior by one shift a class, and Sinkhorn's entropic optimal transport from samples of equal weight to
    classes of the target's masses, with cost -logits and regularisation ``temperature``, are the same map: the rows of the
    transport plan are softmax(logits / temperature - shift), its column scaling is exp(-shift), and its columns sum to the
    target. Hence one correction; temperature 1 leaves the labels as sharp as they are, SwAV takes 0.05.

    The shift minimises the convex dual, the mean of log sum exp(logits / temperature - shift) plus target · shift, by
    L-BFGS, each step of which costs a pass over the labels, as an iteration of Sinkhorn's does; where nearly all labels are
    sure of one class that would need thousands. Where the target gives a class nothing, it counts as having
    ``empty_counts_as`` samples or original images.
    """
    shares, caveats = target_shares(distilled_set, target, empty_counts_as)
    masses = Masses(source.labels, temperature, most_passes, context)
    shift, first, last = _matched(masses, shares, most_passes)
    context.report(1.0, "matched")
    basis = f"largest distance of a class's share of the mass from its target ({target}); label source '{source.name}'"
    n = len(distilled_set)
    found = (
        Figure("Largest difference before", float(np.abs(first - shares).max()), basis, n, SHARE),
        Figure("Largest remaining difference", float(np.abs(last - shares).max()), basis, n, SHARE),
        Figure("Passes over the labels", masses.passes, "one for each shift tried, as for an iteration of Sinkhorn's", n),
    )
    rescaling = Rescaling(np.full(len(shift), temperature), shift)
    return by_rescaling(distilled_set, source, rescaling, found, caveats + _caveats(n, shares, last))


def _matched(masses: Masses, shares: np.ndarray, most_passes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shift, float64 (C,) of mean 0, and the shares received without and with it."""

    def dual(shift: np.ndarray) -> tuple[float, np.ndarray]:
        value, received = masses.at(shift)
        return value + float(shares @ shift), shares - received

    _, first = masses.at(np.zeros(len(shares)))
    options = {"maxfun": most_passes - 1, "maxiter": most_passes, "maxcor": STEPS_REMEMBERED, "ftol": 0.0}
    options["gtol"] = max(AS_GOOD_AS * shares.min(), LEAST_DIFFERENCE / len(shares))
    found = minimize(dual, np.zeros(len(shares)), jac=True, method="L-BFGS-B", options=options)
    return found.x - found.x.mean(), first, shares - found.jac


def _caveats(n: int, shares: np.ndarray, received: np.ndarray) -> tuple[str, ...]:
    caveats = []
    wide = np.abs(received - shares) > 10 * AS_GOOD_AS * shares
    if wide.any():
        caveats.append(
            f"{int(wide.sum())} of {len(shares)} classes are still off their target by more than 1 % of it; allow more "
            "passes, or a higher temperature."
        )
    if n < FEWEST_FOR_A_MEAN * len(shares):
        caveats.append(
            f"{n} samples share out the mass of {len(shares)} classes: with so few of them the shifts also take away what "
            "is true of these samples."
        )
    return tuple(caveats)
