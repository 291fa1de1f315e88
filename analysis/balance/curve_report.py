"""What ADSA's curve says of a set: how far its classes' confidence spreads under each tau, and where it spreads least."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.balance.confidence_curve import Adjusted, log_prior_of, spread
from analysis.balance.masses import Balance
from analysis.balance.tau_interval import tau_interval_of
from analysis.class_groups import GROUPS
from analysis.context import Context
from analysis.findings import Figure
from data.soft_labels import SoftLabels

TAU, SPREAD = "Tau of the most even class confidence", "Spread of class confidence at that tau"
CURVE, LEAST = "each tau", "the least"


@dataclass(frozen=True)
class CurveReport:
    """``tables`` are empty where there is no curve; ``figures`` then say why."""

    figures: tuple[Figure, ...]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


def curve_report(
    labels: SoftLabels, balance: Balance, taus: np.ndarray, temperature: float, basis: str, context: Context
) -> CurveReport:
    """The curve over ``taus`` (T,) ascending, the prior being the balance's original counts."""
    n = len(balance.labels)
    if why := _why_none(balance):
        return CurveReport((Figure(TAU, None, why, n),))
    prior = log_prior_of(balance.counts)
    looked, drawn = context.part(0, 0.5), context.part(0.5, 1)
    adjusted = Adjusted(labels, balance.labels, prior, temperature)
    confidence = adjusted.class_confidences(taus, looked)
    interval = tau_interval_of(adjusted, taus, drawn)
    spreads = spread(confidence)
    least = int(spreads.argmin())
    said = (
        f"of {len(taus)} taus from 0 to {taus[-1]:g}, logits minus tau log(class frequency) spread the classes least there"
    )
    figures = (
        Figure(TAU, float(taus[least]), f"{said}; {basis}", n, "", *interval),
        Figure(SPREAD, float(spreads[least]), f"{spreads[0]:.4g} at tau 0, which is the labels as they are; {basis}", n),
    )
    tables = {
        "spread by tau": _spread_table(taus, spreads, least),
        "confidence by tau": _group_table(taus, confidence, balance),
    }
    return CurveReport(figures, tables, _at_an_end(taus, least))


def _why_none(balance: Balance) -> str:
    """Why there is no curve, or ""."""
    without = int((balance.counts <= 0).sum())
    if (balance.per_class > 0).sum() < 2:
        return "fewer than two classes have samples"
    if without:
        return f"{without} of {len(balance.counts)} classes have an original count of 0, which has no logarithm"
    if len(np.unique(balance.counts)) == 1:
        return "all classes have the same count, so that every tau does the same"
    return ""


def _spread_table(taus: np.ndarray, spreads: np.ndarray, least: int) -> pd.DataFrame:
    """The curve, and its lowest point once more as a group of its own, so that a chart marks it."""
    group = np.where(np.arange(len(taus)) == least, LEAST, CURVE)
    table = pd.DataFrame({"tau": taus, "spread": spreads, "group": CURVE})
    return pd.concat([table, table.assign(group=group).iloc[[least]]], ignore_index=True)


def _group_table(taus: np.ndarray, confidence: np.ndarray, balance: Balance) -> pd.DataFrame:
    """Mean confidence of each group's classes with samples, each class counting once."""
    known = balance.per_class > 0
    means = {
        name: confidence[:, known & (balance.group == g)].mean(axis=1)
        for g, name in enumerate(GROUPS)
        if (known & (balance.group == g)).any()
    }
    tables = [pd.DataFrame({"tau": taus, "confidence": mean, "group": name}) for name, mean in means.items()]
    return pd.concat(tables, ignore_index=True)


def _at_an_end(taus: np.ndarray, least: int) -> tuple[str, ...]:
    if least == 0:
        return (
            "The spread of class confidence is least at tau 0: taking out the class frequencies makes it no more even, so "
            "these counts do not explain it.",
        )
    if least == len(taus) - 1:
        return (f"The spread of class confidence is still falling at tau {taus[-1]:g}, the last looked at; raise most_tau.",)
    return ()
