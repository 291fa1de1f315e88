"""Whether soft labels hand the tail's mass to the head of a long-tailed distilled set."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from analysis.balance.calibration import agreement_caveat, calibration_figures, reliability_table
from analysis.balance.counts import CountsFrom, original_counts
from analysis.balance.curve_report import curve_report
from analysis.balance.masses import Balance, masses_of
from analysis.balance.tables import class_table, group_table, leakage_matrices, sample_table
from analysis.class_groups import GROUPS, HEAD, TAIL, Grouping, group_classes
from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.intervals import FEWEST_FOR_A_MEAN, mean_figure
from analysis.label_sources import choose, class_matrix_caveat, few_samples_caveat
from analysis.registry import Between, LabelSource, analysis
from data.distilled_set import DistilledSet


@analysis(
    title="Head and tail",
    meaning=(
        "Shows how much soft-label mass the classes that were rare in the original training data lose to the common ones, "
        "as teachers trained on unbalanced data tend to make them. A class that receives less mass than its share of "
        "labels is taught more weakly than the set's balance suggests."
    ),
    paper="Rectifying Soft-Label Entangled Bias in Long-Tailed Dataset Distillation (ADSA, arXiv 2511.17914)",
    needs=("soft labels",),
)
def head_tail(
    distilled_set: DistilledSet,
    context: Context,
    *,
    source: Annotated[str, LabelSource()] = "",
    counts_from: CountsFrom = "automatic",
    grouping: Grouping = "thirds",
    head_above: Annotated[int, Between(1, 10**9)] = 100,
    tail_below: Annotated[int, Between(1, 10**9)] = 20,
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
    most_tau: Annotated[float, Between(0.1, 100)] = 3.0,
    taus: Annotated[int, Between(3, 1_001)] = 61,
    calibration_bins: Annotated[int, Between(2, 100)] = 15,
) -> Findings:
    """Mass by group of classes, grouped by their original training counts.

    ``counts_from`` says where these are from: "automatic" takes the set's, else the reference's, else its own labels.
    ``grouping`` "thirds" splits classes by rank of count, tied classes together; "counts" takes more than ``head_above``
    images for head and fewer than ``tail_below`` for tail, as the long-tailed literature does. The class confidence is
    ADSA's (mean own-class probability), drawn for ``taus`` values of its tau from 0 to ``most_tau``. The normalised standard
    deviation is ABSLD's (arXiv 2312.05508); the expected calibration error (arXiv 1706.04599) uses ``calibration_bins`` of
    equal width. All of it is of the labels read at ``temperature``.
    """
    chosen, known = choose(distilled_set, source), original_counts(distilled_set, counts_from)
    group = group_classes(known.counts, grouping, head_above, tail_below)
    masses = masses_of(chosen.labels, distilled_set.labels, group, temperature, context.part(0, 0.4))
    balance = Balance(distilled_set.labels, known.counts, group, masses)
    basis = f"label source '{chosen.name}'" + (f" at temperature {temperature:g}" if temperature != 1 else "")
    grid = np.linspace(0, most_tau, taus)
    curve = curve_report(chosen.labels, balance, grid, temperature, basis, context.part(0.4, 0.7))
    calibration = calibration_figures(balance, calibration_bins, basis, context.part(0.7, 1))
    figures = (*_leak_figures(balance, basis), *_received_figures(balance, basis), *_spread_figures(balance, basis))
    return Findings(
        per_sample=sample_table(balance),
        per_class=class_table(distilled_set.class_names, balance),
        summary=(*figures, *curve.figures, *calibration),
        caveats=(*chosen.caveats, *known.caveats, *_caveats(balance), *curve.caveats),
        matrices=leakage_matrices(balance, distilled_set.class_names),
        headline="received_to_given",
        tables={
            "groups": group_table(balance, calibration_bins),
            **curve.tables,
            "calibration": reliability_table(balance, calibration_bins),
        },
    )


def _leak_figures(balance: Balance, basis: str) -> tuple[Figure, ...]:
    label, against = "Tail-to-head leakage", "Tail-to-head leakage against an even spread"
    tail = balance.group_of_sample == TAIL
    n = int(tail.sum())
    if not balance.divided:
        return (Figure(label, None, "these counts leave no head or no tail", 0),)
    if n < FEWEST_FOR_A_MEAN:
        return (Figure(label, None, f"only {n} samples of tail classes, too few for a mean", n),)
    elsewhere = balance.masses.elsewhere[tail]
    even = (balance.group == HEAD).sum() / (len(balance.group) - 1)
    relative = float(elsewhere[:, HEAD].sum() / elsewhere.sum() / even) if elsewhere.sum() > 0 else None
    said = f"head's part of what tail samples put outside their class, over head's part of those classes; {basis}"
    return (
        mean_figure(label, elsewhere[:, HEAD], f"mean mass that tail samples put on head classes; {basis}"),
        Figure(against, relative, said if relative is not None else "tail samples put no mass elsewhere", n, "times"),
    )


def _received_figures(balance: Balance, basis: str) -> tuple[Figure, ...]:
    if not balance.divided:
        return ()
    figures = []
    for g in (TAIL, HEAD):
        given = int((balance.group_of_sample == g).sum())
        received = float(balance.masses.received[balance.group == g].sum())
        said = f"mass that {GROUPS[g]} classes receive over the samples labelled so; {basis}"
        value = received / given if given else None
        label = f"Mass received by the {GROUPS[g]}"
        figures.append(Figure(label, value, said if given else f"no sample is labelled {GROUPS[g]}", given, "times"))
    return tuple(figures)


def _spread_figures(balance: Balance, basis: str) -> tuple[Figure, ...]:
    label, n = "Spread of class confidence", len(balance.labels)
    confidence = balance.class_mean(balance.masses.own)
    confidence = confidence[~np.isnan(confidence)]
    if len(confidence) < 2:
        return (Figure(label, None, "fewer than two classes have samples", n),)
    said = f"standard deviation over {len(confidence)} classes of the mean own-class probability; {basis}"
    return (Figure(label, float(confidence.std()), said, n),)


def _caveats(balance: Balance) -> tuple[str, ...]:
    caveats: tuple[str, ...] = ()
    if not balance.divided:
        caveats = (
            "All classes have the same count, so there is no head and no tail."
            if len(np.unique(balance.counts)) == 1
            else "With these cut-offs there is no head or no tail; change them, or group by thirds.",
        )
    else:
        caveats = class_matrix_caveat(len(balance.group), "The matrix of tail classes against head classes")
    return (*caveats, *agreement_caveat(balance), *few_samples_caveat(balance.per_class))
