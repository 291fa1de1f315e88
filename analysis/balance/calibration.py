"""Whether soft labels are as sure as they are right, held against the hard labels, and how evenly over classes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.balance.masses import Balance
from analysis.balance.resampling import around, standard_errors
from analysis.class_groups import normalised_deviation
from analysis.context import Context
from analysis.findings import SHARE, Figure
from analysis.intervals import FEWEST_FOR_A_MEAN, ratio, share_figure
from analysis.probes.temperature_scaling import calibration_bins, calibration_error

FEWEST_TO_CALIBRATE = 30
ACCURACY, ERROR = "Most probable class is the hard label", "Expected calibration error"
NSD_OF_ACCURACY, NSD_OF_CONFIDENCE = "NSD of class accuracy", "NSD of class confidence"
AGAINST = "against the hard labels, themselves possibly wrong"


def calibration_figures(balance: Balance, bins: int, basis: str, context: Context) -> tuple[Figure, ...]:
    """Accuracy, expected calibration error (Guo et al., arXiv 1706.04599; ``bins`` of equal width), and the normalised
    standard deviations over classes of accuracy and of confidence (mean own-class probability)."""
    right, masses, n = balance.right.astype(float), balance.masses, len(balance.labels)

    def error_of(ids: np.ndarray) -> np.ndarray:
        return np.array([calibration_error(masses.peak[ids], right[ids], bins)])

    def deviations_of(ids: np.ndarray) -> np.ndarray:
        labels, drawn = balance.labels[ids], np.bincount(balance.labels[ids], minlength=len(balance.group))
        sums = (np.bincount(labels, values[ids], len(drawn)) for values in (right, masses.own))
        return normalised_deviation(np.stack([ratio(sum_, drawn) for sum_ in sums]))

    everyone = np.arange(n)
    anyhow = standard_errors(error_of, np.zeros(n, np.int64), context.part(0, 0.5))[0]
    within = standard_errors(deviations_of, balance.labels, context.part(0.5, 1))
    said = f"mean distance of confidence and accuracy in {bins} bins, which chance alone raises with few samples; {AGAINST}"
    error = Figure(ERROR, None, f"fewer than {FEWEST_TO_CALIBRATE} samples are too few for bins", n, SHARE)
    if n >= FEWEST_TO_CALIBRATE:
        value = float(error_of(everyone)[0])
        error = Figure(ERROR, value, f"{said}; {basis}", n, SHARE, *around(value, anyhow, 0, 1))
    accuracy = share_figure(ACCURACY, int(right.sum()), n, f"{AGAINST}; {basis}")
    return accuracy, error, *_deviations(balance, deviations_of(everyone), within, basis)


def reliability_table(balance: Balance, bins: int) -> pd.DataFrame:
    """One row a bin of confidence that holds samples: ``samples``, mean ``confidence``, ``accuracy`` and their ``gap``."""
    place = calibration_bins(balance.masses.peak, bins)
    n = np.bincount(place, minlength=bins)
    held = np.flatnonzero(n)
    confidence = np.bincount(place, balance.masses.peak, bins)[held] / n[held]
    accuracy = np.bincount(place, balance.right, bins)[held] / n[held]
    names = [f"{b / bins:.3g} to {(b + 1) / bins:.3g}" for b in held]
    return pd.DataFrame(
        {"bin": names, "gap": confidence - accuracy, "confidence": confidence, "accuracy": accuracy, "samples": n[held]}
    )


def group_error(balance: Balance, members: np.ndarray, bins: int) -> float:
    """The calibration error of the samples that ``members`` bool (N,) names; NaN where they are too few."""
    if members.sum() < FEWEST_TO_CALIBRATE:
        return float("nan")
    return calibration_error(balance.masses.peak[members], balance.right[members].astype(float), bins)


def agreement_caveat(balance: Balance) -> tuple[str, ...]:
    """That accuracy says nothing where soft and hard labels never differ."""
    if not balance.right.all():
        return ()
    return (
        "Every soft label's most probable class is its hard label, so their agreement is no evidence, and the calibration "
        "error is only how far confidence stays below 1.",
    )


def _deviations(balance: Balance, values: np.ndarray, errors: np.ndarray, basis: str) -> list[Figure]:
    classes, n = int((balance.per_class > 0).sum()), len(balance.labels)
    told = {
        NSD_OF_ACCURACY: "each class's share of samples whose most probable class is their hard label",
        NSD_OF_CONFIDENCE: "each class's mean own-class probability",
    }
    small = balance.per_class[balance.per_class > 0].min() < FEWEST_FOR_A_MEAN
    figures = []
    for (label, of), value, error in zip(told.items(), values, errors, strict=True):
        if not np.isfinite(value):
            why = "fewer than two classes have samples" if classes < 2 else f"the mean of {of} is 0"
            figures.append(Figure(label, None, why, n))
            continue
        limits = (None, None) if small else around(value, error, 0)
        few = f"a class has fewer than {FEWEST_FOR_A_MEAN} samples" if small else "in some draws of the samples it is 0 by 0"
        without = f"; no interval, as {few}" if limits[0] is None else ""
        said = (
            f"standard deviation over mean, over {classes} classes, of {of}, which chance too keeps apart{without}; {basis}"
        )
        figures.append(Figure(label, float(value), said, n, "", *limits))
    return figures
