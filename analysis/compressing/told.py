"""A compression plan as Findings: what is kept of each class, by what, and what it would make of the set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.compressing.mosaics import group_tiles
from analysis.compressing.planning import Plan
from analysis.compressing.what_if import Told
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import ratio
from analysis.label_sources import few_samples_caveat
from data.distilled_set import DistilledSet

NO_FAULT = (
    "No image is flagged: what a budget leaves out is not at fault. Nothing is pruned or written until somebody says so "
    "below; augmentation, the third step of PCA, happens in training and is the students' parameter."
)


def findings(distilled_set: DistilledSet, plan: Plan, tried: Told) -> Findings:
    """Per sample the plan and each score with its rank; per class what is there and kept; no score, no flag."""
    mosaics, classes = group_tiles(distilled_set.labels, plan.tile, plan.factor)
    per_class = np.bincount(classes, minlength=distilled_set.num_classes)
    return Findings(
        per_sample=_per_sample(distilled_set, plan),
        per_class=_per_class(distilled_set, plan, per_class),
        summary=(*_figures(distilled_set, plan, mosaics), *tried.figures),
        caveats=(*_caveats(distilled_set, plan), *plan.caveats, *tried.caveats, NO_FAULT),
        headline="kept",
        tables={**tried.tables, "scores": _scores(plan)},
    )


def _per_sample(distilled_set: DistilledSet, plan: Plan) -> pd.DataFrame:
    n = len(distilled_set)
    columns = {}
    for score in plan.scores:
        columns[score.name] = score.values
        columns[f"{score.name}_rank"] = plan.ranking.of_score[score.name]
    # No score and no flag: being left out by a budget is no fault of an image, and would look like one.
    return per_sample_table(
        np.full(n, np.nan),
        np.zeros(n, bool),
        kept=plan.kept,
        rank_score=1 - plan.ranking.place,
        tile=plan.tile,
        **columns,
    )


def _per_class(distilled_set: DistilledSet, plan: Plan, mosaics: np.ndarray) -> pd.DataFrame:
    there = distilled_set.per_class
    return per_class_table(
        distilled_set.class_names,
        there,
        kept=plan.budget,
        share_kept=ratio(plan.budget, there),
        mosaics=mosaics,
        floor_hit=_at_floor(plan, there),
        all_kept=(plan.budget == there) & (there > 0),
    )


def _at_floor(plan: Plan, there: np.ndarray) -> np.ndarray:
    return (plan.budget == np.minimum(plan.floor, there)) & (there > 0)


def _figures(distilled_set: DistilledSet, plan: Plan, mosaics: np.ndarray) -> Iterator[Figure]:
    n, there = len(distilled_set), distilled_set.per_class
    has = int((there > 0).sum())
    held = plan.budget[there > 0]
    kept = int(plan.kept.sum())
    yield Figure("Images kept", kept, f"{kept / n:.1%} of {n:,}; {plan.words}", n, "images")
    yield Figure(
        "Fewest kept in a class", int(held.min()), f"of {has:,} classes with images; most: {held.max():,}", has, "images"
    )
    told = f"of {has:,}; they keep no more than the floor of {plan.floor:,} guarantees"
    yield Figure("Classes at their floor", int(_at_floor(plan, there).sum()), told, has, "classes")
    if plan.factor > 1 and distilled_set.images is not None:
        repeated = mosaics.size - kept
        told = f"{plan.factor} x {plan.factor} tiles of one class" + (
            f"; {repeated:,} tiles are repeated" if repeated else ""
        )
        yield Figure("Mosaics these make", len(mosaics), told, kept, "images")


def _scores(plan: Plan) -> pd.DataFrame:
    """What the ranks come from, and how far each agrees with all of them together (Spearman's correlation)."""
    place = pd.Series(plan.ranking.place)
    rows = []
    for score in plan.scores:
        ranks = pd.Series(plan.ranking.of_score[score.name])
        agreement = ranks.corr(place, method="spearman") if ranks.nunique() > 1 and place.nunique() > 1 else np.nan
        rows.append((score.name.replace("_", " "), agreement, score.weight, int(ranks.notna().sum()), score.basis))
    return pd.DataFrame(rows, columns=["score", "agreement_with_the_rank", "weight", "images", "what_it_is"])


def _caveats(distilled_set: DistilledSet, plan: Plan) -> Iterator[str]:
    asked, there = plan.floor * (distilled_set.per_class > 0), distilled_set.per_class
    short = int((there < asked).sum())
    if short:
        yield f"{short} of {(there > 0).sum()} classes have fewer images than the floor of {plan.floor:,}: all are kept."
    if plan.kept.all():
        yield "The budget is not less than what is there, so every image is kept."
    yield from few_samples_caveat(there)
