"""What the teacher saw in the crops and mixes of each image, as relabelled trees store it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from analysis.context import Context
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import ratio
from analysis.registry import Between, LabelSource, analysis
from analysis.trees.caveats import caveats
from analysis.trees.estimates import Clusters, ratio_figure, ratio_interval
from analysis.trees.regions import REGIONS, Thresholds, region_shares, region_table, treated
from analysis.trees.scan import NEARLY_UNMIXED, ScanOptions, scan_crops
from analysis.trees.seen import Seen, choose_crops
from analysis.trees.tables import batch_table, epoch_table, group_table
from data.distilled_set import DistilledSet

MOST_OTHER = 0.5
"""Flagged: images whose crops, weighted, mostly vote for a class that they do not show."""


@analysis(
    title="Crops and mixes",
    meaning=(
        "Shows what the teacher saw in the many crops and mixes of each image that its soft labels were made from: how sure "
        "it was, how much the crops differ, and which of them it took for a class that they do not show. An image whose "
        "crops mostly look like another class teaches that class, whatever its folder says."
    ),
    paper=(
        "Are Large-scale Soft Labels Necessary for Large-scale Dataset Distillation? (LPLD, arXiv 2410.15919); "
        "regions from FerKD: Surgical Label Adaptation for Efficient Distillation (arXiv 2312.17473)"
    ),
    needs=("crops",),
)
def crops(
    distilled_set: DistilledSet,
    context: Context,
    *,
    source: Annotated[str, LabelSource()] = "",
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
    epochs: Annotated[int, Between(0, 100_000)] = 0,
    low: Annotated[float, Between(0, 1)] = 0.15,
    middle: Annotated[float, Between(0, 1)] = 0.5,
    top: Annotated[float, Between(0, 1)] = 0.95,
    nearly_unmixed: Annotated[float, Between(0, 1)] = NEARLY_UNMIXED,
) -> Findings:
    """Every crop's first choice, confidence and entropy, by image, class, batch and epoch, and FerKD's regions.

    ``temperature`` 1 shows what the teacher saw; those who train on such trees divide by 20, which makes every crop look
    unsure and puts nearly all of them into one region. ``epochs`` reads only so many, evenly spread (0: all). ``low``,
    ``middle`` and ``top`` are FerKD's thresholds on a crop's largest probability. A row is ``nearly_unmixed`` from that
    share of its own image on.
    """
    name, labels = choose_crops(distilled_set, source)
    options = ScanOptions(temperature, epochs, Thresholds(low, middle, top), nearly_unmixed)
    classes = np.full(labels.tree.num_images, -1, np.int64)
    classes[labels.images] = distilled_set.labels
    seen = Seen(distilled_set, name, labels, scan_crops(labels.tree, classes, context, options), options)
    return Findings(
        per_sample=_per_sample(seen),
        per_class=_per_class(seen),
        summary=_summary(seen),
        caveats=caveats(seen),
        headline="vote_other_share",
        tables=_tables(seen),
    )


def _per_sample(seen: Seen) -> pd.DataFrame:
    other = seen.mean("other").clip(0, 1)
    best, votes = (column[seen.labels.images] for column in seen.scan.other_class)
    names = np.asarray([*seen.distilled_set.class_names, ""], dtype=object)
    regions = region_shares(seen.regions())
    return per_sample_table(
        1 - other,
        other > MOST_OTHER,
        crops=seen.sums("rows", "plain").astype(np.int64),
        p_given=seen.mean("given"),
        p_given_error=_error_of_mean(seen),
        p_given_unmixed=seen.mean("given", "unmixed"),
        unmixed_crops=seen.sums("rows", "unmixed").astype(np.int64),
        entropy=seen.mean("entropy"),
        spread=seen.spread,
        vote_other_share=other,
        top_other=best,
        top_other_name=names[best],
        top_other_share=ratio(votes, seen.sums("rows")),
        **{_column(name): regions[:, place] for place, name in enumerate(REGIONS)},
    )


def _error_of_mean(seen: Seen) -> np.ndarray:
    """Standard error of each image's weighted mean of p(given) over its crops, as the ratio estimate that it is: smaller by
    the share of crops not read where only some epochs were. NaN for fewer than three crops."""
    n, weight, mean = seen.sums("rows", "plain"), seen.sums("rows"), seen.mean("given")
    squares, products, square = (seen.sums(value, "own squared") for value in ("given squared", "given", "rows"))
    residual = (squares - 2 * mean * products + mean**2 * square).clip(0)
    left = 1 - len(seen.scan.epochs) / seen.scan.epochs_there if seen.sampled else 1.0
    return np.where(n >= 3, np.sqrt(left * ratio(residual * n, n - 1)) / np.where(weight > 0, weight, np.nan), np.nan)


def _per_class(seen: Seen) -> pd.DataFrame:
    hard, count = seen.distilled_set.labels, seen.distilled_set.num_classes

    def interval(value: str, weight: str = "own") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return ratio_interval(Clusters(seen.sums(value, weight), seen.sums("rows", weight)), hard, count)

    other, low, high = interval("other")
    regions = np.stack([np.bincount(hard, column, count) for column in seen.regions().T], axis=1)
    shares = region_shares(regions)
    return per_class_table(
        seen.distilled_set.class_names,
        seen.distilled_set.per_class,
        crops=np.bincount(hard, seen.sums("rows", "plain"), count).astype(np.int64),
        vote_other_share=other,
        vote_other_low=low.clip(0, 1),
        vote_other_high=high.clip(0, 1),
        p_given=interval("given")[0],
        p_given_unmixed=interval("given", "unmixed")[0],
        entropy=interval("entropy")[0],
        spread=_mean_of_known(hard, seen.spread, count),
        top_other=_top_other(seen),
        discarded=ratio(treated(regions, "discarded"), regions.sum(axis=1)),
        softened=ratio(treated(regions, "softened"), regions.sum(axis=1)),
        **{_column(name): shares[:, place] for place, name in enumerate(REGIONS)},
    )


def _mean_of_known(groups: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    known = ~np.isnan(values)
    return ratio(np.bincount(groups[known], values[known], count), np.bincount(groups[known], minlength=count))


def _top_other(seen: Seen) -> np.ndarray:
    """The other class that each class's crops vote for most, by name; "" where they vote for none."""
    hard, names = seen.distilled_set.labels, seen.distilled_set.class_names
    keys, weights = seen.scan.sums.votes.pairs()
    classes = np.full(seen.labels.tree.num_images, -1, np.int64)
    classes[seen.labels.images] = hard
    images, voted = np.divmod(keys, len(names))
    pairs, where = np.unique(classes[images] * len(names) + voted, return_inverse=True)
    votes = np.bincount(where, weights, len(pairs))
    order = np.lexsort((-pairs, votes))
    named = np.full(len(names), "", dtype=object)
    given, other = np.divmod(pairs[order], len(names))
    named[given] = np.asarray(names, dtype=object)[other]
    return named


def _summary(seen: Seen) -> tuple[Figure, ...]:
    basis, most = seen.basis, float(np.log(seen.distilled_set.num_classes))
    rows, unmixed = (int(seen.sums("rows", weight).sum()) for weight in ("plain", "unmixed"))
    over = "epochs" if seen.sampled else "images"
    weighted = f"crops weighted by own share, interval over {over}; {basis}"
    alone = f"crops of own share {seen.options.nearly_unmixed:g} or more, interval over {over}; {basis}"
    return (
        ratio_figure("Crops voting another class", seen.clusters("other", "own"), weighted, rows),
        ratio_figure("Probability of the folder's class", seen.clusters("given", "own"), weighted, rows),
        ratio_figure("The same, nearly unmixed", seen.clusters("given", "unmixed"), alone, unmixed),
        ratio_figure(
            "Entropy of a crop", seen.clusters("entropy", "own"), f"of at most {most:.3g}; {weighted}", rows, "nats", most
        ),
        _spread_figure(seen),
        *_region_figures(seen, rows),
    )


def _spread_figure(seen: Seen) -> Figure:
    known = seen.spread[~np.isnan(seen.spread)]
    said = f"mean over images of the Jensen-Shannon divergence of an image's crops; {seen.basis}"
    clusters = Clusters(known, np.ones(len(known)))
    most = float(np.log(seen.distilled_set.num_classes))
    return ratio_figure("Spread of an image's crops", clusters, said, len(known), "nats", most)


def _region_figures(seen: Seen, rows: int) -> tuple[Figure, ...]:
    """What FerKD would discard and soften, of all crops."""
    thresholds, figures = seen.options.thresholds, []
    discarded = f"largest probability below {thresholds.low:g} or above {thresholds.top:g}"
    softened = f"largest probability from {thresholds.low:g} to {thresholds.middle:g}"
    for treatment, rule in (("discarded", discarded), ("softened", softened)):
        clusters = seen.clusters("rows", "plain")
        held = [seen.clusters(name, "plain").above for name in REGIONS]
        above = treated(np.stack(held, axis=1), treatment)
        said = f"{rule}; each crop counts once; {seen.basis}"
        figures.append(
            ratio_figure(f"Crops FerKD {treatment[:-2]}s", Clusters(above, clusters.below, clusters.of_all), said, rows)
        )
    return tuple(figures)


def _tables(seen: Seen) -> dict[str, pd.DataFrame]:
    opened = seen.distilled_set
    regions = region_table(opened.class_names, opened.labels, seen.regions(), seen.regions("unmixed"))
    tables = {"epochs": epoch_table(seen.scan, seen.labels.tree), "batches": batch_table(seen.scan, seen.labels.tree)}
    return {**tables, "regions": regions, **group_table(opened, seen.regions(), seen.sums)}


def _column(region: str) -> str:
    return region.replace(" ", "_")
