"""Clusters of images that no class of the set explains: classes it may lack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pandas as pd

from analysis.clusters.new_class_clusters import REPRESENTATIVES, Cluster, Looked, find_clusters, largest_by_chance
from analysis.clusters.stable_ids import content_digests, name_groups
from analysis.clusters.unexplained import NOBODY, Explained, Near, Strictness
from analysis.context import Context
from analysis.encoders import EFFICIENTNET
from analysis.even_sample import evenly_over_classes
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import share, share_figure, wilson
from analysis.neighbours import nearest
from analysis.overlap.class_neighbours import MOST_IMAGES, embed_some
from analysis.registry import Between, Embedding, analysis
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

FEWEST_CLASSES = 3
"""Labels dealt at random among two classes agree too often to be told from a class."""
KNOWN = 0.5
RECORD = "new-class-ids.json"


@dataclass(frozen=True)
class _Found:
    """What was looked at (``ids`` int64 (M,) of the set's samples) and found there; ``reason`` why nothing can be told."""

    ids: np.ndarray
    looked: Looked
    explained: Explained
    clusters: list[Cluster]
    names: list[str]
    alpha: float
    reason: str

    @property
    def proposed(self) -> list[bool]:
        return [cluster.new and cluster.p <= self.alpha for cluster in self.clusters]


@analysis(
    title="New classes",
    meaning=(
        "Finds groups of images that look alike but that no class of the set explains, as when a class is missing and its "
        "images were filed under whatever came closest. The score is how many of an image's nearest neighbours speak for "
        "some class; below one half no class explains it."
    ),
    paper=(
        "Stillroom's own, of known parts: neighbours' votes at class-conditional robust distances, connected components of "
        "the mutual nearest-neighbour graph, redrawn labels; ids by min-hashing (Broder 1997)"
    ),
    needs=("images",),
)
def new_classes(
    distilled_set: DistilledSet,
    context: Context,
    *,
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    neighbours: Annotated[int, Between(5, 100)] = 15,
    votes: Annotated[int, Between(1, 50)] = 3,
    tolerance: Annotated[float, Between(0.5, 20)] = 3.0,
    min_size: Annotated[int, Between(3, 10_000)] = 8,
    min_per_class: Annotated[int, Between(2, 1000)] = 10,
    redraws: Annotated[int, Between(19, 9_999)] = 99,
    alpha: Annotated[float, Between(0.001, 0.5)] = 0.05,
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0,
) -> Findings:
    """Findings from the ``neighbours`` nearest neighbours of each image (of at most 20,000, drawn evenly from the classes).

    A class explains an image where ``votes`` of its neighbours are at that class's core and within ``tolerance`` robust
    deviations of the distance usual there (``clusters.unexplained``). Unexplained images that are mutual neighbours within
    such a distance form clusters; those of ``min_size`` or more are listed. p is the share of ``redraws`` of the labels, in
    which each cluster is of one class and labels go wrong as often as elsewhere, that leave a cluster as large. A cluster
    is proposed as new class where p <= ``alpha`` and its labels are of three classes or more: of two, it may as well lie
    between those. Classes of fewer than ``min_per_class`` images are not judged. Ids follow from the images' content
    (``clusters.stable_ids``); where ``context.cache`` is a folder, a cluster keeps the id that an earlier run gave it.
    """
    if votes > neighbours:
        raise ImpossibleRequest(f"{votes} votes cannot come from {neighbours} neighbours; ask for fewer votes.")
    ids = evenly_over_classes(distilled_set.labels, MOST_IMAGES)
    vectors = embed_some(distilled_set.images, ids, embedding, context.part(0, 0.6))
    labels, classes = distilled_set.labels[ids], distilled_set.num_classes
    found, similarity = nearest(vectors, neighbours, context.part(0.6, 0.8))
    judged = np.bincount(labels, minlength=classes)[labels] >= min_per_class
    looked = Looked(labels, Near(found, 1 - similarity), vectors, judged, classes, Strictness(votes, tolerance))
    explained = looked.explained(labels)
    reason = _why_nothing(looked, explained, min_per_class)
    clusters = [] if reason else find_clusters(looked, explained, min_size)
    if clusters:
        by_chance = largest_by_chance(looked, explained, clusters, redraws, seed, context.part(0.8, 1))
        clusters = [replace(c, p=float((1 + (by_chance >= len(c.members)).sum()) / (1 + redraws))) for c in clusters]
    names = _named(distilled_set, ids, clusters, context)
    result = _Found(ids, looked, explained, clusters, names, alpha, reason)
    return Findings(
        per_sample=_per_sample(distilled_set, result),
        per_class=_per_class(distilled_set, result),
        summary=_summary(result, embedding, min_size, redraws),
        caveats=_caveats(distilled_set, result, min_per_class),
        headline="unexplained",
        tables={"clusters": _cluster_table(distilled_set.class_names, result)},
    )


def _why_nothing(looked: Looked, explained: Explained, min_per_class: int) -> str:
    """Why no cluster can be told from chance, or ""."""
    large = len(np.unique(looked.labels[looked.judged]))
    if large < FEWEST_CLASSES:
        return f"too few: it takes {FEWEST_CLASSES} classes of {min_per_class} images or more to tell, and there are {large}"
    at_core, n = int(explained.core[looked.judged].sum()), int(looked.judged.sum())
    if wilson(at_core, n)[0] <= KNOWN:
        return (
            f"only {at_core:,} of {n:,} images lie mostly among their own class in this embedding, so it does not know the "
            "classes well enough to miss one"
        )
    return ""


def _named(distilled_set: DistilledSet, ids: np.ndarray, clusters: list[Cluster], context: Context) -> list[str]:
    record = None if context.cache is None else context.cache / RECORD
    store = distilled_set.images.store
    return [named.id for named in name_groups([content_digests(store, ids[c.members]) for c in clusters], record)]


def _per_sample(distilled_set: DistilledSet, result: _Found) -> pd.DataFrame:
    n, ids, explained = len(distilled_set), result.ids, result.explained
    score, flag = np.full(n, np.nan), np.zeros(n, dtype=bool)
    by, votes, cluster = np.full(n, NOBODY), np.full(n, np.nan), np.full(n, "", dtype=object)
    if not result.reason:
        told = result.looked.judged
        half = explained.votes / (2 * result.looked.strictness.votes)
        backed = np.where(explained.nobody, half, np.maximum(half, 0.5))  # a core sample is explained wherever it lies
        score[ids] = np.where(told, np.minimum(backed, 1), np.nan)
        by[ids], votes[ids] = explained.by, explained.votes
        for found, name, proposed in zip(result.clusters, result.names, result.proposed, strict=True):
            cluster[ids[found.members]] = name
            flag[ids[found.members]] = proposed
    return per_sample_table(
        score, flag, given_label=distilled_set.labels, explained_by=by, neighbours_for_it=votes, cluster=cluster
    )


def _per_class(distilled_set: DistilledSet, result: _Found) -> pd.DataFrame:
    classes, labels = distilled_set.num_classes, result.looked.labels
    told = result.looked.judged & (not result.reason)
    n = np.bincount(labels[told], minlength=classes)
    unexplained = np.bincount(labels[told & result.explained.nobody], minlength=classes)
    low, high = wilson(unexplained, n)
    members = [c.members for c, proposed in zip(result.clusters, result.proposed, strict=True) if proposed]
    in_new = np.bincount(labels[np.concatenate(members)], minlength=classes) if members else np.zeros(classes)
    return per_class_table(
        distilled_set.class_names,
        distilled_set.per_class,
        unexplained=share(unexplained, n),
        unexplained_low=low,
        unexplained_high=high,
        in_new_classes=np.where(n > 0, in_new, np.nan),
        looked_at=n,
    )


def _summary(result: _Found, embedding: str, min_size: int, redraws: int) -> tuple[Figure, ...]:
    n, label = int(result.looked.judged.sum()), "New classes proposed"
    if result.reason:
        return (Figure(label, None, result.reason, n),)
    basis = f"neighbours by '{embedding}' embeddings"
    members = sum(len(c.members) for c, proposed in zip(result.clusters, result.proposed, strict=True) if proposed)
    unexplained = int((result.explained.nobody & result.looked.judged).sum())
    how = f"clusters of {min_size} or more that at most {result.alpha:.0%} of {redraws} redraws of the labels match; {basis}"
    return (
        Figure(label, sum(result.proposed), how, n, "classes"),
        share_figure("Images in them", members, n, how),
        share_figure("Images that no class explains", unexplained, n, basis),
    )


def _cluster_table(class_names: tuple[str, ...], result: _Found) -> pd.DataFrame:
    """One row a cluster, largest first: what it is, how sure, how tight, what it is like, and what to look at."""
    rows = [
        {
            "cluster": name,
            "proposal": _proposal(cluster, proposed, class_names),
            "size": len(cluster.members),
            "p": cluster.p,
            "cohesion": cluster.cohesion.value,
            "cohesion_low": cluster.cohesion.low,
            "cohesion_high": cluster.cohesion.high,
            "nearest_class": class_names[cluster.nearest[0][0]],
            "similarity_to_it": cluster.nearest[0][1],
            "separation": cluster.cohesion.value - cluster.nearest[0][1],
            "next_classes": ", ".join(f"{class_names[c]} ({s:.2f})" for c, s in cluster.nearest[1:]),
            "labels": ", ".join(f"{class_names[c]} {cluster.labels[c]}" for c in cluster.classes),
            "representatives": ", ".join(map(str, result.ids[cluster.central[:REPRESENTATIVES]])),
        }
        for cluster, name, proposed in zip(result.clusters, result.names, result.proposed, strict=True)
    ]
    columns = ["cluster", "proposal", "size", "p", "cohesion", "cohesion_low", "cohesion_high", "nearest_class"]
    more = ["similarity_to_it", "separation", "next_classes", "labels", "representatives"]
    return pd.DataFrame(rows, columns=columns + more)


def _proposal(cluster: Cluster, proposed: bool, class_names: tuple[str, ...]) -> str:
    if proposed:
        return "new class"
    if cluster.new:
        return "none: chance may do as much"
    return f"none: {' and '.join(class_names[c] for c in cluster.classes)} hold nine tenths of it"


def _caveats(distilled_set: DistilledSet, result: _Found, min_per_class: int) -> tuple[str, ...]:
    caveats = [f"It cannot be told: {result.reason}."] if result.reason else []
    small = int((np.bincount(result.looked.labels, minlength=distilled_set.num_classes) < min_per_class).sum())
    if small:
        caveats.append(
            f"Too few: {small} of {distilled_set.num_classes} classes have fewer than {min_per_class} images here, so their "
            "images are not judged."
        )
    if len(result.ids) < len(distilled_set):
        caveats.append(
            f"{len(result.ids):,} of {len(distilled_set):,} images were looked at, drawn evenly from the classes; the "
            "others have no score."
        )
    if any(result.proposed):
        caveats.append(
            "A group that looks alike to the embedding may be a background, a style or a defect rather than a class: look "
            "at its representatives first."
        )
    return tuple(caveats)
