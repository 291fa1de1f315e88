"""A pass over a tree as tables: by batch and epoch, as pruning ranks them, and by head, medium and tail classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.class_groups import GROUPS, group_classes
from analysis.intervals import ratio
from analysis.trees.estimates import Clusters, ratio_interval
from analysis.trees.regions import treated
from analysis.trees.scan import CropScan
from data.distilled_set import DistilledSet
from data.relabelled.tree import RelabelledTree


def batch_table(scan: CropScan, tree: RelabelledTree) -> pd.DataFrame:
    """One line a batch read: ``epoch``, ``batch``, ``rows`` (usable ones), ``own_share``, and what LPLD ranks batches by:
    ``distinct_top1`` (different first choices), mean ``confidence`` and ``margin``; also mean ``entropy`` (nats) and the
    share of rows voting another class, ``vote_other``. Every row counts alike."""
    files = [tree.files[position] for position in scan.positions]
    rows = scan.of_batches("rows")
    means = {name: ratio(scan.of_batches(name), rows) for name in ("confidence", "margin", "entropy", "other")}
    return pd.DataFrame(
        {
            "epoch": np.asarray([file.epoch for file in files], np.int64),
            "batch": np.asarray([file.number for file in files], np.int64),
            "rows": rows.astype(np.int64),
            "own_share": scan.sums.own,
            "distinct_top1": scan.sums.distinct,
            **means,
        }
    ).rename(columns={"other": "vote_other"})


def epoch_table(scan: CropScan, tree: RelabelledTree) -> pd.DataFrame:
    """The same by epoch, ``batches`` in each, and ``p_given``, the mean probability of the folder's class weighted by own
    share."""
    table = batch_table(scan, tree)
    means = ["own_share", "confidence", "margin", "entropy", "vote_other"]
    totals = table[means].mul(table["rows"], axis=0).fillna(0).assign(rows=table["rows"], batches=1)
    by_epoch = totals.groupby(table["epoch"]).sum()
    result = pd.DataFrame({"epoch": by_epoch.index.to_numpy(), "batches": by_epoch["batches"].to_numpy()})
    result["rows"] = by_epoch["rows"].to_numpy()
    result["distinct_top1"] = scan.sums.seen.sum(axis=1)
    for name in means:
        result[name] = ratio(by_epoch[name].to_numpy(), by_epoch["rows"].to_numpy())
    result["p_given"] = ratio(scan.of_epochs("given"), scan.of_epochs("rows"))
    return result


def group_table(
    opened: DistilledSet, regions: np.ndarray, sums: Callable[[str, str], np.ndarray]
) -> dict[str, pd.DataFrame]:
    """{"groups": a line each for head, medium and tail classes}; nothing where original counts are not known or alike."""
    if opened.class_counts is None or len(np.unique(opened.class_counts)) == 1:
        return {}
    group = group_classes(opened.class_counts, "thirds")
    of_sample, count = group[opened.labels], len(GROUPS)
    other, low, high = ratio_interval(Clusters(sums("other", "own"), sums("rows", "own")), of_sample, count)
    counts = np.stack([np.bincount(of_sample, column, count) for column in regions.T], axis=1)
    table = pd.DataFrame(
        {
            "group": list(GROUPS),
            "classes": np.bincount(group, minlength=count),
            "n": np.bincount(of_sample, minlength=count),
            "crops": counts.sum(axis=1).astype(np.int64),
            "vote_other_share": other,
            "vote_other_low": low.clip(0, 1),
            "vote_other_high": high.clip(0, 1),
            "p_given": ratio(*(np.bincount(of_sample, sums(name, "own"), count) for name in ("given", "rows"))),
            "discarded": ratio(treated(counts, "discarded"), counts.sum(axis=1)),
            "softened": ratio(treated(counts, "softened"), counts.sum(axis=1)),
        }
    )
    return {"groups": table}
