"""Which classes overlap, and which might rather be one."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from analysis.context import Context
from analysis.device import pick
from analysis.encoders import EFFICIENTNET
from analysis.findings import SHARE, Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import share_figure
from analysis.label_sources import MOST_CLASSES_IN_A_MATRIX, class_matrix_caveat
from analysis.overlap.class_mass import NO_PARTNER, shares_of_partner
from analysis.overlap.class_neighbours import MOST_IMAGES, Mixing, mixing
from analysis.overlap.pairs import Judged, Rules, judge
from analysis.overlap.tables import order_table, overlap_matrix, pairs_table, super_class_table, tree_table
from analysis.probes.label_evidence import Evidence, Origin, ProbeSettings, gather
from analysis.registry import Between, Embedding, LabelSource, analysis
from data.distilled_set import DistilledSet

IN_OVERLAP = 0.5
"""From this share of the partner's probability on a sample is as much of the partner as of its own class."""


@analysis(
    title="Class overlap",
    meaning=(
        "Finds pairs of classes whose images are taken for one another more often than chance explains, and groups of "
        "classes that might rather be one. The score is how little of the evidence says that an image belongs to the class "
        "that overlaps its own."
    ),
    paper=(
        "Confident Learning (Northcutt, Jiang, Chuang, arXiv 1911.00068, the joint of given and true labels); corrected for "
        "the number of pairs after Benjamini and Hochberg (JRSS B 57, 1995)"
    ),
)
def class_overlap(
    distilled_set: DistilledSet,
    context: Context,
    *,
    probabilities_from: Origin = "automatic",
    source: Annotated[str, LabelSource()] = "",
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    neighbours: Annotated[int, Between(0, 100)] = 10,
    merge_at: Annotated[float, Between(0.01, 1)] = 0.3,
    alpha: Annotated[float, Between(0.0001, 0.5)] = 0.05,
    min_per_class: Annotated[int, Between(1, 1000)] = 10,
    pairs: Annotated[int, Between(1, 10_000)] = 200,
    folds: Annotated[int, Between(2, 20)] = 5,
) -> Findings:
    """Findings from three witnesses: the confident joint, exchanged soft labels, and nearest neighbours where images are.

    Two classes' overlap is the share of a that is surely of b plus the share of b that is surely of a: 1 where they cannot
    be told apart. A pair overlaps where its corrected p-value is at most ``alpha`` (``class_pairs.p_values``); groups are
    proposed for merging by average linkage over the lower bounds of sure overlaps, cut at ``merge_at``. Classes with fewer
    than ``min_per_class`` samples that are surely of some class are never merged. The ``pairs`` table keeps so many rows.
    ``neighbours`` is how many nearest neighbours of each image to look at, 0 for none. The probabilities are found as in
    ``label_errors``; ``folds`` belong to its probe.
    """
    probe = ProbeSettings(embedding, folds)
    evidence = gather(distilled_set, probabilities_from, source, probe, context.part(0, 0.5))
    rules, device = Rules(min_per_class, alpha, merge_at), pick(context.device)
    judged = judge(distilled_set, evidence, source, rules, pairs, device, context.part(0.5, 0.7))
    near = None
    if neighbours and distilled_set.images is not None and len(distilled_set) > 1:
        near = mixing(distilled_set, embedding, neighbours, context.part(0.7, 0.9))
    per_sample = _per_sample(distilled_set, judged, evidence, context.part(0.9, 1))
    names = distilled_set.class_names
    kept = judged.informed and len(names) <= MOST_CLASSES_IN_A_MATRIX
    return Findings(
        per_sample=per_sample,
        per_class=_per_class(distilled_set, judged),
        summary=(*_summary(judged, names, per_sample, evidence.basis), *evidence.figures),
        caveats=(*evidence.caveats, *judged.exchange.caveats, *_caveats(judged, near)),
        matrices={"overlap": overlap_matrix(judged, names)} if kept else {},
        headline="overlap",
        tables={
            "pairs": pairs_table(judged, names, near, pairs),
            "super-classes": super_class_table(judged, names),
            "tree": tree_table(judged.tree, names),
            "order of the tree": order_table(judged, names),
        },
    )


def _per_sample(distilled_set: DistilledSet, judged: Judged, evidence: Evidence, context: Context) -> pd.DataFrame:
    labels, n = judged.learned.labels, len(distilled_set)
    _, partner = judged.partners(judged.sure)
    part = shares_of_partner(labels, partner, evidence.probabilities, pick(context.device), context)
    told = judged.enough[labels] & judged.informed
    score, flag, of_partner = np.full(n, np.nan), np.zeros(n, dtype=bool), np.full(n, np.nan)
    of_partner[judged.ids] = np.where(told, part, np.nan)
    score[judged.ids] = 1 - of_partner[judged.ids]
    flag[judged.ids] = told & (part >= IN_OVERLAP)
    return per_sample_table(
        score,
        flag,
        given_label=distilled_set.labels,
        overlapping_label=partner[distilled_set.labels],
        share_of_overlapping=of_partner,
    )


def _per_class(distilled_set: DistilledSet, judged: Judged) -> pd.DataFrame:
    names = distilled_set.class_names
    pair, partner = judged.partners(judged.tested)
    told = judged.enough & judged.informed
    found = told & (pair != NO_PARTNER)

    def of_pair(values: np.ndarray, otherwise: float) -> np.ndarray:
        column = np.where(told, otherwise, np.nan)
        column[found] = values[pair[found]]
        return column

    return per_class_table(
        names,
        distilled_set.per_class,
        overlap=of_pair(judged.overlap.value, 0.0),
        overlap_low=of_pair(judged.overlap.low, np.nan),
        overlap_high=of_pair(judged.overlap.high, np.nan),
        most_overlapping=np.where(found, np.array(names, dtype=object)[partner], ""),
        corrected_p=of_pair(judged.q, np.nan),
        surely=judged.surely,
        super_class=judged.super_class,
    )


def _summary(judged: Judged, names: tuple[str, ...], per_sample: pd.DataFrame, basis: str) -> tuple[Figure, ...]:
    n, labels = len(judged.ids), ("Pairs that overlap", "Classes proposed for merging")
    reason = _why_nothing(judged)
    if reason:
        return tuple(Figure(label, None, reason, n) for label in labels)
    tested = f"{judged.tests} pairs of classes tested together, at {judged.rules.alpha:g} after correction; {basis}"
    merged = sum(map(len, judged.groups))
    told = int(per_sample["score"].notna().sum())
    return (
        Figure(labels[0], int(judged.sure.sum()), tested, n, "pairs"),
        Figure(labels[1], merged, f"{len(judged.groups)} groups that overlap by {judged.rules.merge_at:.0%} or more", n),
        *_top_pair(judged, names, basis),
        share_figure("Samples in an overlap", int(per_sample["flag"].sum()), told, "classes with enough samples; " + basis),
    )


def _top_pair(judged: Judged, names: tuple[str, ...], basis: str) -> tuple[Figure, ...]:
    """The joint probability of the pair that most samples lie between."""
    among = np.flatnonzero(judged.tested & (judged.joint.value > 0))
    if not len(among):
        return ()
    top = among[np.argmax(judged.joint.value[among])]
    pairs, joint = judged.pairs, judged.joint
    label = f"Samples between {names[pairs.a[top]]} and {names[pairs.b[top]]}"
    n = int(pairs.n_a[top] + pairs.n_b[top])
    value, low, high = (float(bound[top]) for bound in (joint.value, joint.low, joint.high))
    return (Figure(label, value, f"share of all samples, by the calibrated joint; {basis}", n, SHARE, low, high),)


def _why_nothing(judged: Judged) -> str:
    """Why no pair can be judged, or ""."""
    if not judged.informed:
        return "the predictions know no more of the labels than chance"
    if judged.tests == 0:
        return f"too few: no two classes have {judged.rules.fewest} samples that are surely of some class"
    if (judged.per_class > 0).sum() < 3:
        return "with two classes there is no other pair to compare theirs with"
    return ""


def _caveats(judged: Judged, near: Mixing | None) -> tuple[str, ...]:
    classes, rules = judged.learned.num_classes, judged.rules
    caveats = [f"Mass exchanged is of {judged.exchange.basis}."]
    reason = _why_nothing(judged)
    if reason:
        caveats.append(f"Nothing is proposed: {reason}.")
    small = int((~judged.enough).sum())
    if small:
        caveats.append(
            f"Too few: {small} of {classes} classes have fewer than {rules.fewest} samples that are surely of some class, "
            "so nothing is said of them and they are never merged."
        )
    if judged.sure.any():
        caveats.append(
            "A confused pair may be two classes that the judge cannot tell apart, rather than two that are one: look at the "
            "samples, or ask a better teacher, before merging."
        )
    if classes > MOST_CLASSES_IN_A_MATRIX:
        caveats.append("Of so many classes only each sample's largest probabilities are summed: mass is a lower bound.")
    if near is not None and near.sampled.sum() < judged.exchange.n.sum():
        caveats.append(f"Neighbours were sought among {MOST_IMAGES:,} images drawn evenly from the classes.")
    if judged.tree.left_out:
        caveats.append(f"{len(judged.tree.left_out)} classes all hang together, too many to order: none of them is merged.")
    return (*caveats, *class_matrix_caveat(classes, "The matrix of overlaps"))
