"""What students did, as the tables and figures of findings: each number with the interval over seeds, and what it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.class_groups import GROUPS, HEAD, TAIL, group_classes, normalised_deviation
from analysis.findings import SHARE, Figure, per_class_table, per_sample_table
from analysis.intervals import FEWEST_FOR_A_MEAN
from analysis.students.comparison import Estimate, Paired, group_accuracies, holm, over_seeds
from analysis.students.options import schooled
from analysis.students.task import Exam, Marks, Schooling
from data.distilled_set import DistilledSet

POINTS = "percentage points"
FEW_SEEDS = "fewer than three seeds tell nothing about their spread"


@dataclass(frozen=True, eq=False)
class Marked:
    """The ``marks`` of all lessons on an exam with ``labels`` int64 (M,), ``how`` the students learnt in words, and the
    ``group`` of each class, int64 (C,)."""

    marks: Sequence[Marks]
    labels: np.ndarray
    group: np.ndarray
    how: str

    @classmethod
    def of(cls, distilled_set: DistilledSet, marks: Sequence[Marks], exam: Exam, taught: Schooling) -> Marked:
        """The ``marks`` that students of a set, ``taught`` so, got in the ``exam``."""
        return cls(marks, exam.labels.numpy(), class_groups(distilled_set), schooled(taught))

    @property
    def num_classes(self) -> int:
        return len(self.group)

    @property
    def divided(self) -> bool:
        """Whether there is a head and a tail to tell apart."""
        return bool((self.group == HEAD).any() and (self.group == TAIL).any())

    @property
    def seeds(self) -> int:
        return len(self.marks[0].predictions)

    @property
    def basis(self) -> str:
        held = "; the interval holds the chance of seeds" if self.seeds >= FEWEST_FOR_A_MEAN else ""
        return f"of {len(self.labels):,} real test images; {self.how}{held}"

    def accuracy(self, place: int) -> np.ndarray:
        """Each seed's share of right answers, (S,)."""
        return self.marks[place].accuracies(self.labels)

    def by_class(self, place: int) -> np.ndarray:
        """(S, C)"""
        return self.marks[place].class_accuracies(self.labels, self.num_classes)

    def by_group(self, place: int) -> np.ndarray:
        """(S, 3)"""
        return group_accuracies(self.marks[place], self.labels, self.group, len(GROUPS))


def class_groups(distilled_set: DistilledSet) -> np.ndarray:
    """Head, medium and tail by thirds of the original counts, or of the set's own where those are not known, int64 (C,)."""
    known = distilled_set.class_counts
    return group_classes(np.asarray(distilled_set.per_class if known is None else known), "thirds")


def with_interval(name: str, estimate: Estimate, within: tuple[float, float] | None = (0.0, 1.0)) -> dict[str, object]:
    """Columns ``name``, ``name_low`` and ``name_high`` of one value or of many; bounds no wider than ``within``."""
    low, high = estimate.low, estimate.high
    if within is not None:
        low, high = np.maximum(low, within[0]), np.minimum(high, within[1])
    columns = {name: estimate.mean, f"{name}_low": low, f"{name}_high": high}
    return {column: float(values) if np.ndim(values) == 0 else values for column, values in columns.items()}


def accuracy_columns(marked: Marked, place: int) -> dict[str, object]:
    """Accuracy and NSD of one lesson's students, with intervals."""
    return {
        **with_interval("accuracy", over_seeds(marked.accuracy(place))),
        **with_interval("nsd", over_seeds(normalised_deviation(marked.by_class(place))), (0.0, np.inf)),
    }


def per_class_of(distilled_set: DistilledSet, marked: Marked, sides: Mapping[str, int]) -> pd.DataFrame:
    """Per-class accuracies of the lessons at the places ``sides`` names and, of two, the second less the first as
    "difference"; intervals are over seeds, paired for the difference."""
    columns: dict[str, object] = {"group": np.array(GROUPS)[marked.group]} if marked.divided else {}
    columns["test_images"] = np.bincount(marked.labels, minlength=marked.num_classes)
    found = {name: marked.by_class(place) for name, place in sides.items()}
    for name, accuracies in found.items():
        columns |= with_interval(name, over_seeds(accuracies))
    if len(found) == 2:
        first, second = found.values()
        columns |= with_interval("difference", over_seeds(second - first), None)
    return per_class_table(distilled_set.class_names, distilled_set.per_class, **columns)


def groups_table(marked: Marked) -> pd.DataFrame:
    """One row a lesson and group of classes: its accuracy and how many test images that is of."""
    asked = np.bincount(marked.group[marked.labels], minlength=len(GROUPS))
    rows = []
    for place, marks in enumerate(marked.marks):
        found = over_seeds(marked.by_group(place))
        for g, name in enumerate(GROUPS):
            one = Estimate(found.mean[g], found.low[g], found.high[g])
            rows.append({"students": marks.lesson, "group": name, **with_interval("accuracy", one), "test_images": asked[g]})
    return pd.DataFrame(rows)


def curve_table(marked: Marked) -> pd.DataFrame:
    """The learning curves: mean over seeds of accuracy and loss at each step that was marked, one group a lesson."""
    rows = []
    for marks in marked.marks:
        for step, part in marks.curve.groupby("step", sort=True):
            accuracy = with_interval("accuracy", over_seeds(part["accuracy"].to_numpy()))
            rows.append({"step": step, "group": marks.lesson, **accuracy, "loss": part["loss"].mean()})
    return pd.DataFrame(rows)


def accuracy_figure(label: str, marked: Marked, place: int) -> Figure:
    return estimate_figure(label, over_seeds(marked.accuracy(place)), f"mean accuracy {marked.basis}", len(marked.labels))


def nsd_figure(label: str, marked: Marked, place: int) -> Figure:
    basis = f"standard deviation over mean of the classes' accuracies, 0 being all alike; {marked.basis}"
    return estimate_figure(label, over_seeds(normalised_deviation(marked.by_class(place))), basis, len(marked.labels), "")


def estimate_figure(label: str, estimate: Estimate, basis: str, n: int, unit: str = SHARE) -> Figure:
    """One estimate over seeds; shares and differences of shares as they are, or in percentage points."""
    value, low, high = (float(number) for number in (estimate.mean, estimate.low, estimate.high))
    if np.isnan(value):
        return Figure(label, None, f"no test image to tell from; {basis}", 0, unit)
    times = 100 if unit == POINTS else 1
    if unit == SHARE:
        low, high = max(low, 0.0) if low == low else low, min(high, 1.0) if high == high else high
    bounds = (None, None) if np.isnan(low) else (times * low, times * high)
    return Figure(label, times * value, basis, n, unit, *bounds)


def difference_figures(label: str, paired: Paired, marked: Marked, adjusted: float = np.nan) -> tuple[Figure, Figure]:
    """The difference twice, as each interval holds one kind of chance: over seeds, and over the exam's images.

    ``adjusted`` is what Holm's correction leaves of its p where several comparisons are made.
    """
    n, least = len(marked.labels), 2.0 ** (1 - marked.seeds)
    seeds = f"t-test p = {_p(paired.t_p)}, exact sign flips p = {_p(paired.flip_p)} (with so few seeds at least {least:.2g})"
    by_seed = f"difference of accuracies paired by seed: {seeds if marked.seeds >= FEWEST_FOR_A_MEAN else FEW_SEEDS}"
    by_image = f"the same students, other test images: bootstrap; exact sign flips over images p = {_p(paired.images_p)}"
    by_image += "" if np.isnan(adjusted) else f"; after Holm's correction for several comparisons {_p(adjusted)}"
    low, high = 100 * paired.images_low, 100 * paired.images_high
    return (
        estimate_figure(f"{label} (chance of seeds)", paired.seeds, by_seed, n, POINTS),
        Figure(f"{label} (chance of test images)", 100 * paired.difference, by_image, n, POINTS, low, high),
    )


def differences_table(names: Sequence[str], compared: Sequence[Paired]) -> pd.DataFrame:
    """One row a comparison: the same difference with each of its two intervals, every p, and what Holm leaves of them."""
    adjusted = holm([paired.p for paired in compared])
    rows = zip(names, compared, adjusted, strict=True)
    return pd.DataFrame([differences_row(name, paired, p) for name, paired, p in rows])


def differences_row(name: str, paired: Paired, adjusted: float) -> dict[str, object]:
    """One comparison; ``adjusted`` is what Holm's correction leaves of its p."""
    return {
        "comparison": name,
        **with_interval("difference", paired.seeds, None),
        "difference_on_other_images": paired.difference,
        "difference_on_other_images_low": paired.images_low,
        "difference_on_other_images_high": paired.images_high,
        "t_test_p_value": paired.t_p,
        "seed_flips_p_value": paired.flip_p,
        "image_flips_p_value": paired.images_p,
        "larger_p_value": paired.p,
        "p_value_after_holm": adjusted,
    }


def _p(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.2g}"


def no_scores(n: int, **evidence: np.ndarray) -> pd.DataFrame:
    """A per-sample table that scores and flags no image: students are marked together, and say nothing against one."""
    return per_sample_table(np.full(n, np.nan), np.zeros(n, bool), **evidence)


def common_caveats(marked: Marked, counts_known: bool) -> tuple[str, ...]:
    """What holds for all marks."""
    asked, seeds = len(marked.labels), marked.seeds
    caveats = [
        f"The exam has {asked:,} test images; with as many others an accuracy near 50% would move by about "
        f"{98 / asked**0.5:.1f} points either way, which intervals over seeds do not hold."
    ]
    if seeds < FEWEST_FOR_A_MEAN:
        caveats.append(f"{seeds} seed{'s' if seeds > 1 else ''} a lesson: too few for an interval; use at least three.")
    elif seeds < 10:
        caveats.append(
            f"Intervals over {seeds} seeds are rough, and say nothing about another distillation of the same data."
        )
    if not marked.divided:
        caveats.append(
            "All classes have the same count, or there are too few, so there is no head and no tail to tell apart."
        )
    elif not counts_known:
        caveats.append("The original training counts are not known; classes are grouped by this set's own labels instead.")
    caveats += _diverged(marked)
    missing = int((np.bincount(marked.labels, minlength=marked.num_classes) == 0).sum())
    if missing:
        caveats.append(f"The exam asks nothing of {missing:,} of {marked.num_classes:,} classes.")
    return tuple(caveats)


def _diverged(marked: Marked) -> list[str]:
    """Lessons with students whose loss left all numbers: what they answer is no measure of what they were taught."""
    caveats = []
    for marks in marked.marks:
        broken = marks.curve.loc[~np.isfinite(marks.curve["loss"].to_numpy(dtype=float)), "seed"].nunique()
        if broken:
            caveats.append(
                f"{broken} of {marked.seeds} students of '{marks.lesson}' diverged: their loss is no number any more and "
                "their answers tell nothing of the labels, yet they count in every figure; take a smaller learning rate."
            )
    return caveats
