"""What adopting the critic's surest labels in bulk would save, and what it would cost in wrong ones.

Two accounts of the cost stand side by side: what the critic's own probabilities say, and how often people's verdicts say
otherwise where they settled a sample it is as sure of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import poisson

from analysis.critic.candidates import Candidates
from analysis.critic.judge import NONE
from analysis.critic.tournament import Standings
from analysis.findings import SHARE, Figure
from analysis.intervals import LEVEL, ratio, share_figure, wilson
from analysis.probes.temperature_scaling import calibration_bins, calibration_error
from data.pair_answers import PairAnswers
from data.verdicts import Verdicts

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SECONDS_AN_HOUR = 3600
CALIBRATION_BINS = 5
FEWEST_TO_CALIBRATE = 50
"""Ten a bin: of fewer, chance alone makes most of the distance."""
FEWEST_TIMED = 5


@dataclass(frozen=True, eq=False)
class Best:
    """The best label of each asked sample (n,): its probability ``p`` float64, NaN where the best answer is "something
    else", which can't be adopted; ``agrees`` bool, whether it is the given label; ``right`` float64, 1 or 0 by people's
    verdict, NaN where nobody settled the sample."""

    p: np.ndarray
    agrees: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        return len(self.p)

    def adopted(self, threshold: float) -> np.ndarray:
        """Which would be adopted, bool (n,)."""
        return self.p >= threshold

    @property
    def checked(self) -> np.ndarray:
        """Whose best label people's verdict can be held against, bool (n,)."""
        return ~np.isnan(self.right) & ~np.isnan(self.p)


@dataclass(frozen=True)
class Pace:
    """``seconds`` a person takes for one decision, and how that is known."""

    seconds: float
    basis: str


def best_labels(candidates: Candidates, standings: Standings, given: np.ndarray, verdicts: Verdicts) -> Best:
    """The best label of each sample asked about in a set labelled ``given`` int64 (N,)."""
    rows = np.arange(len(candidates))
    label, p = candidates.classes[rows, standings.best], standings.p[rows, standings.best]
    said = np.full(len(given), -1, np.int64)
    said[verdicts.ids] = verdicts.labels
    people = said[candidates.sample_id]
    right = np.where(people >= 0, (label == people).astype(float), np.nan)
    return Best(np.where(label >= 0, p, np.nan), label == given[candidates.sample_id], right)


def pace(assumed: float, people: PairAnswers) -> Pace:
    """The median seconds of what ``people`` answered, skips left out, or ``assumed`` where fewer than five are timed.

    Not their mean: one that was left open over lunch would promise hours.
    """
    known = people.seconds[np.isfinite(people.seconds) & (people.seconds > 0) & (people.said != NONE)]
    if len(known) < FEWEST_TIMED:
        return Pace(assumed, f"an assumed {assumed:g} s a decision")
    seconds = float(np.median(known))
    return Pace(seconds, f"people's own median of {seconds:.3g} s over {len(known):,} answers on pairs")


def savings_figures(best: Best, threshold: float, reviewed: Pace) -> tuple[Figure, ...]:
    """Hours saved, labels changed unseen, the wrong ones among them to expect, and how right people found such labels."""
    n, adopted = len(best), best.adopted(threshold)
    above = f"the best label of probability {threshold:g} or more"
    labels = (
        "Hours saved against review from scratch",
        "Labels the critic would change",
        "Wrong labels to expect among those adopted",
    )
    if not adopted.any():
        why = f"none of {n:,} asked samples has {above}" if n else "nothing was asked"
        return tuple(Figure(label, None, why, n) for label in labels)
    hours = adopted.sum() * reviewed.seconds / SECONDS_AN_HOUR
    changed, expected = int((adopted & ~best.agrees).sum()), float(_doubt(best, adopted).sum())
    low, high = _expected_interval(expected, int(adopted.sum()))
    saved = f"{adopted.sum():,} of {n:,} asked samples have {above} and need no person; {reviewed.basis}; no time for checks"
    claimed = f"by the critic's own probabilities, as far as they are calibrated; {above} is adopted"
    return (
        _time_figure(labels[0], float(hours), saved, n),
        Figure(labels[1], float(changed), f"{above} is adopted; it is not the given one", n, "labels"),
        Figure(labels[2], round(expected, 1), claimed, int(adopted.sum()), "labels", low, high),
        _precision_figure(best, threshold),
    )


def savings_table(best: Best, reviewed: Pace) -> pd.DataFrame:
    """One row for each of THRESHOLDS: ``threshold``, ``adopted``, ``relabelled``, ``expected_wrong`` by the critic's own
    probabilities; of those people settled (``checked``) the share ``precision`` that is right with its Wilson interval
    (``precision_low``, ``precision_high``), NaN where there are none; and ``hours_saved``."""
    adopted = np.stack([best.adopted(threshold) for threshold in THRESHOLDS])
    checked = (adopted & best.checked).sum(axis=1)
    right = np.where(adopted & best.checked, best.right, 0.0).sum(axis=1)
    low, high = wilson(right, checked)
    return pd.DataFrame(
        {
            "threshold": THRESHOLDS,
            "adopted": adopted.sum(axis=1),
            "relabelled": (adopted & ~best.agrees).sum(axis=1),
            "expected_wrong": _doubt(best, adopted).sum(axis=1),
            "checked": checked,
            "precision": ratio(right, checked),
            "precision_low": low,
            "precision_high": high,
            "hours_saved": adopted.sum(axis=1) * reviewed.seconds / SECONDS_AN_HOUR,
        }
    )


def calibration_table(best: Best) -> pd.DataFrame:
    """One row a bin of probability that holds samples people settled: its edges ``p_from`` and ``p_to``, the ``mean_p``
    stated, the share ``right`` with Wilson's ``right_low`` and ``right_high``, and ``n``."""
    p, right = best.p[best.checked], best.right[best.checked]
    place = calibration_bins(p, CALIBRATION_BINS)
    n = np.bincount(place, minlength=CALIBRATION_BINS)
    held = np.flatnonzero(n)
    hits = np.bincount(place, right, CALIBRATION_BINS)[held]
    low, high = wilson(hits, n[held])
    return pd.DataFrame(
        {
            "p_from": held / CALIBRATION_BINS,
            "p_to": (held + 1) / CALIBRATION_BINS,
            "mean_p": np.bincount(place, p, CALIBRATION_BINS)[held] / n[held],
            "right": hits / n[held],
            "right_low": low,
            "right_high": high,
            "n": n[held],
        }
    )


def calibration_figure(best: Best) -> Figure:
    """The expected calibration error of the best labels' probabilities (Guo et al., arXiv 1706.04599)."""
    label, n = "Calibration error of the best label's probability", int(best.checked.sum())
    if n < FEWEST_TO_CALIBRATE:
        return Figure(label, None, f"{n} samples settled by people are too few for bins; {FEWEST_TO_CALIBRATE} would do", n)
    error = calibration_error(best.p[best.checked], best.right[best.checked], CALIBRATION_BINS)
    said = f"mean distance of stated probability and share right in {CALIBRATION_BINS} bins, which chance alone raises"
    return Figure(label, error, f"{said}; samples people settled, which they chose", n, SHARE)


def _precision_figure(best: Best, threshold: float) -> Figure:
    label, rows = "Adopted labels that people bear out", best.adopted(threshold) & best.checked
    n, hits = int(rows.sum()), int(best.right[rows].sum())
    if not n:
        return Figure(
            label, None, f"people settled none of the samples whose best label has {threshold:g} or more", 0, SHARE
        )
    basis = (
        f"of {n:,} samples at or above {threshold:g} that people settled, {hits:,} have the label the critic would adopt; "
        "they chose which to settle, and the same verdicts weigh the judges"
    )
    return share_figure(label, hits, n, basis)


def _doubt(best: Best, adopted: np.ndarray) -> np.ndarray:
    """The chance that an adopted label is wrong by its own probability, 0 for the others; shaped as ``adopted`` (..., n)."""
    return np.where(adopted, np.maximum(1 - best.p, 0.0), 0.0)


def _time_figure(label: str, hours: float, basis: str, n: int) -> Figure:
    """Below an hour in minutes."""
    return (
        Figure(label, round(hours, 1), basis, n, "h") if hours >= 1 else Figure(label, round(hours * 60, 1), basis, n, "min")
    )


def _expected_interval(expected: float, most: int) -> tuple[float, float] | tuple[None, None]:
    """Where the number of wrong ones among ``most`` would lie if the probabilities held: Poisson's interval, wider than that
    of a sum of unequal chances with the same mean; none where there are none."""
    if not most:
        return None, None
    low, high = poisson.interval(LEVEL, expected) if expected > 0 else (0.0, 0.0)
    return float(low), float(min(high, most))
