"""ADSA: taking the original class frequencies out of the soft labels, as far as makes all classes equally sure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from analysis.balance.confidence_curve import Adjusted, log_prior_of, spread
from analysis.balance.tau_interval import Interval, tau_interval_of
from analysis.context import Context
from analysis.corrections.agreement import agreeing
from analysis.corrections.logits import by_rescaling, logits_of
from analysis.corrections.priors import known_counts
from analysis.corrections.registry import Corrected, Rescaling, correction
from analysis.corrections.tau_search import smallest
from analysis.findings import Figure, per_class_table
from analysis.intervals import ratio, share_figure, wilson
from analysis.label_sources import ChosenSource, few_samples_caveat
from analysis.registry import Between
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

HARDLY_FALLS = 0.05
AT_A_BOUND = 1e-3
TAUS_SHOWN = 61
TAKEN_AWAY = "what is taken away of the logarithm of the class frequencies"
DRAWN = "the interval is of other samples of the same classes"
Criterion = Literal["spread", "NSD"]
ALL_ALIKE = "All classes have the same original count, so there is nothing to take away: every tau does the same."


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean own-class probability of each class, (T, C), under each of ``taus`` ascending, float64 (T,)."""

    taus: np.ndarray
    confidence: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Over the classes with samples, (T,)."""
        return np.nanmean(self.confidence, axis=1)

    def value(self, criterion: Criterion) -> np.ndarray:
        """The standard deviation over classes, or that over their mean (NSD), (T,); NaN with fewer than two."""
        absolute = spread(self.confidence)
        return absolute if criterion == "spread" else ratio(absolute, self.mean)

    def at(self, tau: float) -> Curve:
        """The one place ``tau``, which must be among ``taus``."""
        place = int(np.searchsorted(self.taus, tau))
        return Curve(self.taus[place : place + 1], self.confidence[place : place + 1])


@dataclass(frozen=True, eq=False)
class _Asked:
    """Where the ``criterion`` of ``adjusted`` labels is least."""

    adjusted: Adjusted
    criterion: Criterion

    def curve(self, taus: np.ndarray, context: Context) -> Curve:
        return Curve(taus, self.adjusted.class_confidences(taus, context))

    def least(self, lowest: float, highest: float, context: Context) -> float:
        """The tau where it is."""
        return smallest(lambda taus, part: self.curve(taus, part).value(self.criterion), lowest, highest, context)

    def interval(self, taus: np.ndarray, context: Context) -> Interval:
        """How far that tau would move with other samples, to a place among ``taus``."""
        return tau_interval_of(self.adjusted, taus, context, lambda means: Curve(taus, means).value(self.criterion))


@correction(
    title="ADSA: calibration by class frequency",
    meaning=(
        "Takes away what a class owes to having been common in the original training data: logits minus tau times the "
        "logarithm of the class's share of it. Tau is the number under which the classes are most equally sure of their own "
        "images."
    ),
    paper=(
        "Rectifying Soft-Label Entangled Bias in Long-Tailed Dataset Distillation (ADSA, arXiv 2511.17914); logits adjusted "
        "after Menon et al. (arXiv 2007.07314)"
    ),
    needs=("soft labels", "class counts"),
)
def adsa(
    distilled_set: DistilledSet,
    source: ChosenSource,
    context: Context,
    *,
    search: Literal["automatic", "fixed"] = "automatic",
    tau: Annotated[float, Between(-10, 10)] = 1.0,
    minimise: Criterion = "spread",
    lowest: Annotated[float, Between(-10, 10)] = 0.0,
    highest: Annotated[float, Between(-10, 10)] = 3.0,
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
    empty_counts_as: Annotated[float, Between(0.001, 1_000_000)] = 1.0,
) -> Corrected:
    """logits - tau log(prior), the prior being the original class counts over their sum.

    "automatic" looks for the tau between ``lowest`` and ``highest`` that minimises the standard deviation over classes of
    the mean own-class probability; "fixed" takes ``tau``. That spread, the paper's, also falls where all classes become
    unsure: where a teacher hardly knows the tail it can take the labels far beyond an even balance. The "NSD" (normalised
    standard deviation, arXiv 2312.05508), that spread over the mean confidence, does so less. ``temperature`` is the one at
    which the labels will be read and the search reads them (relabelled trees are taught at 20); it is not built into the new
    labels. A class whose count is 0 has no logarithm: its count is taken for ``empty_counts_as``. Raises ImpossibleRequest
    for a search among fewer than two classes with samples, or with nothing between its bounds.
    """
    counts, counted = known_counts(distilled_set, empty_counts_as)
    log_prior = log_prior_of(counts)
    asked = _Asked(Adjusted(source.labels, distilled_set.labels, log_prior, temperature), minimise)
    shown = np.linspace(lowest, max(lowest, highest), TAUS_SHOWN)
    alike = len(np.unique(counts)) == 1
    bounds: tuple[float, ...] = ()
    interval: Interval = (None, None)
    if search == "automatic":
        _check(distilled_set, lowest, highest)
        bounds = (lowest, highest)
        tau = asked.least(lowest, highest, context.part(0, 0.5))
        interval = (None, None) if alike else asked.interval(shown, context.part(0.5, 0.8))
    looked = asked.curve(np.unique([0.0, tau, *shown]), context.part(0.8, 0.9))
    made = by_rescaling(distilled_set, source, Rescaling(np.ones(len(counts)), tau * log_prior))
    agreed = tuple(
        agreeing(logits, distilled_set.labels, len(counts))
        for logits in (lambda ids: logits_of(source.labels, ids), made.logits)
    )
    n, basis = len(distilled_set), f"label source '{source.name}' read at temperature {temperature:g}"
    context.report(1.0, "calibrated")
    caveats = (ALL_ALIKE,) if alike else _caveats(looked, tau, minimise, bounds)
    return replace(
        made,
        found=(
            Figure(
                "Tau", tau, "; ".join((TAKEN_AWAY, *([DRAWN] if interval[0] is not None else []), basis)), n, "", *interval
            ),
            *_spread_figures(looked, tau, n, basis),
            *_agreement_figures(agreed, n, source.name),
        ),
        caveats=made.caveats
        + counted
        + _agreement_caveats(agreed, n, tau)
        + caveats
        + few_samples_caveat(distilled_set.per_class),
        tables=_tables(distilled_set, looked, tau),
    )


def _check(distilled_set: DistilledSet, lowest: float, highest: float) -> None:
    if not lowest < highest:
        raise ImpossibleRequest(f"there is nothing to search from tau {lowest:g} to {highest:g}; raise the upper bound.")
    if (distilled_set.per_class > 0).sum() < 2:
        raise ImpossibleRequest(
            f"ADSA compares classes, and only one class of {distilled_set.name} has samples; give tau as a fixed number."
        )


def _spread_figures(looked: Curve, tau: float, n: int, basis: str) -> tuple[Figure, ...]:
    figures = []
    said = {
        "spread": ("Spread of class confidence", "standard deviation over classes of the mean own-class probability"),
        "NSD": ("NSD of class confidence", "that standard deviation over the mean of the classes"),
    }
    for criterion, (label, what) in said.items():
        for when, at in (("before", looked.at(0.0)), ("after", looked.at(tau))):
            value = float(at.value(criterion)[0])
            known = not np.isnan(value)
            why = f"{what}; {basis}" if known else "fewer than two classes have samples"
            figures.append(Figure(f"{label} {when}", value if known else None, why, n))
    return tuple(figures)


def _agreement_figures(agreed: tuple[int, int], n: int, name: str) -> tuple[Figure, ...]:
    basis = f"samples whose most probable class is their hard label; label source '{name}'"
    before, after = (
        share_figure(f"Agrees with the hard label {when}", hits, n, basis)
        for when, hits in zip(("before", "after"), agreed, strict=True)
    )
    return before, after


def _agreement_caveats(agreed: tuple[int, int], n: int, tau: float) -> tuple[str, ...]:
    before, after = agreed
    if after / n >= wilson(before, n)[0]:
        return ()
    return (
        f"The most probable class is the hard label for {after / n:.1%} of the samples, where it was for {before / n:.1%}: "
        f"tau {tau:.3g} takes away more than the class frequencies put in. Minimise the NSD instead, or fix "
        "tau at 1.",
    )


def _caveats(looked: Curve, tau: float, minimise: Criterion, bounds: tuple[float, ...]) -> tuple[str, ...]:
    caveats = []
    if any(abs(tau - bound) <= AT_A_BOUND for bound in bounds):
        caveats.append(f"The {minimise} is smallest at tau {tau:.3g}, a bound of the search; it may be smaller beyond.")
    before, after = (float(looked.at(place).value(minimise)[0]) for place in (0.0, tau))
    if bounds and before > 0 and after > (1 - HARDLY_FALLS) * before:
        caveats.append(
            f"The {minimise} of class confidence hardly falls (from {before:.3g} to {after:.3g}): the class frequencies "
            "explain little of it."
        )
    return tuple(caveats)


def _tables(distilled_set: DistilledSet, looked: Curve, tau: float) -> dict[str, pd.DataFrame]:
    before, after = (looked.at(place).confidence[0] for place in (0.0, tau))
    names, n = distilled_set.class_names, distilled_set.per_class
    tables = {"class confidence": per_class_table(names, n, confidence_before=before, confidence_after=after)}
    if (n > 0).sum() > 1:
        tables["tau"] = pd.DataFrame(
            {
                "tau": looked.taus,
                "spread": looked.value("spread"),
                "nsd": looked.value("NSD"),
                "mean_confidence": looked.mean,
            }
        )
    return tables
