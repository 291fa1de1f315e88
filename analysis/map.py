"""The set as a picture: every image a point, images that look alike side by side."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Literal

import numpy as np
from scipy import stats

from analysis.context import Context
from analysis.embedding import embed
from analysis.encoders import EFFICIENTNET
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.neighbours import nearest, unit_rows
from analysis.registry import Between, Embedding, analysis
from data.distilled_set import DistilledSet

NEIGHBOURS_KEPT = 6
LEAST_FOR_UMAP = 4
TRUST_SAMPLES = 1_000
TRUST_ROWS_A_CHUNK = 64
NAN = float("nan")


@analysis(
    title="Map",
    meaning="Each point is an image, and images that a network finds alike lie close together; a point amid another "
    "class's points is worth a look. Only nearness can be read from it: neither distances between groups nor their sizes "
    "mean anything.",
    paper="UMAP, arXiv 1802.03426; trustworthiness, Venna and Kaski 2001",
    needs=("images",),
)
def map(
    distilled_set: DistilledSet,
    context: Context,
    *,
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    method: Literal["umap", "pca"] = "umap",
    n_neighbors: Annotated[int, Between(2, 200)] = 15,
    min_dist: Annotated[float, Between(0.0, 0.99)] = 0.1,
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0,
) -> Findings:
    """A position for every sample, ``x`` and ``y``, its nearest ``neighbours``, and how its neighbourhood is labelled.

    The score is the share of a sample's ``n_neighbors`` nearest images, by cosine in the embedding and not in the picture,
    that carry its label, of as many as could; NaN for the only image of a class. A sample is flagged where none does.
    (umap-learn counts a sample among its own neighbours: 15 here are its 16.)
    The layout is the same for the same seed. With fewer than four images, or method "pca", it is the first two
    principal components.
    """
    unit = unit_rows(embed(distilled_set.images, embedding, context.part(0, 0.6)))
    ids, similarity = nearest(unit, n_neighbors, context.part(0.6, 0.75))
    use_umap = method == "umap" and len(unit) >= LEAST_FOR_UMAP
    context.report(
        0.75, "laying out the map; the first one of a process takes about 20 s longer" if use_umap else "laying out"
    )
    if use_umap:
        places = umap_layout(unit, ids, similarity, min_dist=min_dist, seed=seed, context=context.part(0.76, 0.95))
    else:
        places = principal_components(unit, seed)
    context.report(0.95, "checking how far the map can be trusted")
    score = _label_agreement(distilled_set.labels, ids)
    return Findings(
        per_sample=per_sample_table(
            score, score == 0, x=places[:, 0], y=places[:, 1], neighbours=ids[:, :NEIGHBOURS_KEPT].tolist()
        ),
        per_class=per_class_table(
            distilled_set.class_names,
            distilled_set.per_class,
            label_agreement=_class_means(score, distilled_set.labels, distilled_set.num_classes),
        ),
        summary=(_agreement_figure(score, ids.shape[1]), trust_figure(unit, places, ids.shape[1], seed)),
        caveats=_caveats(distilled_set, n_neighbors, use_umap),
        headline="label_agreement",
    )


def principal_components(vectors: np.ndarray, seed: int) -> np.ndarray:
    """The first two principal components of ``vectors`` (N, D), float32 (N, 2); zero where there are fewer."""
    from sklearn.decomposition import PCA

    places = np.zeros((len(vectors), 2), np.float32)
    columns = min(2, *vectors.shape)
    if len(vectors) > 1 and columns:
        with np.errstate(invalid="ignore"):  # identical vectors have no variance to explain
            places[:, :columns] = PCA(columns, random_state=seed).fit_transform(vectors)
    return np.nan_to_num(places)


def umap_layout(
    unit: np.ndarray, ids: np.ndarray, similarity: np.ndarray, *, min_dist: float, seed: int, context: Context
) -> np.ndarray:
    """UMAP's layout, float32 (N, 2), of unit rows (N, D) from what ``analysis.neighbours.nearest`` says of them."""
    import umap

    own = np.arange(len(ids), dtype=np.int64)[:, None]  # UMAP counts each sample as its own first neighbour
    distances = np.hstack([np.zeros((len(ids), 1), np.float32), np.maximum(1 - similarity, 0)])
    start = principal_components(unit, seed)
    reducer = umap.UMAP(
        n_neighbors=ids.shape[1] + 1,
        min_dist=min_dist,
        random_state=seed,
        n_jobs=1,
        init=start if (np.ptp(start, axis=0) > 0).all() else "random",
        precomputed_knn=(np.hstack([own, ids]), distances),
        tqdm_kwds={"disable": False, "file": _Progress(context), "bar_format": "{n_fmt}/{total_fmt}"},
    )
    with warnings.catch_warnings():
        # It warns that new points cannot be placed later, which nobody asks for.
        warnings.simplefilter("ignore")
        # With neighbours given, UMAP takes only the number of rows from its input.
        return reducer.fit_transform(start)


def trustworthiness(unit: np.ndarray, places: np.ndarray, k: int, rows: np.ndarray) -> np.ndarray:
    """What each of ``rows`` adds to the trustworthiness of the picture (Venna and Kaski 2001), float64 (len(rows),).

    1 where the ``k`` nearest in the picture ``places`` (N, 2) are the ``k`` nearest by cosine among the unit rows (N, D);
    intruders cost the more, the further away they truly are. The mean over all rows is scikit-learn's ``trustworthiness``.
    """
    n = len(unit)
    worst = k * (2 * n - 3 * k - 1) / 2
    shares = np.empty(len(rows))
    for start in range(0, len(rows), TRUST_ROWS_A_CHUNK):
        some = rows[start : start + TRUST_ROWS_A_CHUNK]
        truth = -(unit[some] @ unit.T)
        shown = ((places[some, None] - places[None]) ** 2).sum(axis=2)
        own = np.arange(len(some)), some
        truth[own] = shown[own] = np.inf
        near = np.argpartition(shown, k - 1, axis=1)[:, :k]
        for i, (to_all, to_near) in enumerate(zip(truth, np.take_along_axis(truth, near, axis=1), strict=True)):
            rank = 1 + (to_all < to_near[:, None]).sum(axis=1)
            shares[start + i] = 1 - np.maximum(rank - k, 0).sum() / worst
    return shares


def trust_figure(unit: np.ndarray, places: np.ndarray, k: int, seed: int) -> Figure:
    """The trustworthiness of the picture; of ``TRUST_SAMPLES`` random images with an interval where there are more."""
    n, label = len(unit), "Trustworthiness of the map"
    k = min(k, (n - 1) // 2)
    if k < 1:
        return Figure(label, None, f"{n} images are too few to tell near from far", n)
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:TRUST_SAMPLES])
    shares = trustworthiness(unit, places, k, rows)
    value = float(shares.mean())
    basis = f"{k} nearest in the picture against the embedding, {len(rows)} of {n} images; 1 is perfect, 0.5 is chance"
    if len(rows) == n:
        return Figure(label, value, basis, n)
    margin = 1.96 * float(stats.sem(shares)) * float(np.sqrt(1 - len(rows) / n))
    return Figure(label, value, basis, len(rows), "", value - margin, min(1.0, value + margin))


class _Progress:
    """A file for tqdm to write to: turns "120/500" into a report, which is also how a layout is cancelled."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def write(self, text: str) -> None:
        counted = re.search(r"(\d+)/(\d+)", text)
        if counted:
            self.context.report(int(counted[1]) / max(int(counted[2]), 1), "laying out the map")

    def flush(self) -> None:
        return None


def _label_agreement(labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Share of each row's neighbours ``ids`` (N, k) with its label, of as many as could have it; NaN where none could."""
    possible = np.minimum(np.bincount(labels)[labels] - 1, ids.shape[1])
    agreeing = (labels[ids] == labels[:, None]).sum(axis=1)
    return np.divide(agreeing, possible, out=np.full(len(labels), NAN), where=possible > 0)


def _class_means(score: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    known = np.isfinite(score)
    n = np.bincount(labels[known], minlength=classes)
    sums = np.bincount(labels[known], weights=score[known], minlength=classes)
    return np.divide(sums, n, out=np.full(classes, NAN), where=n > 0)


def _agreement_figure(score: np.ndarray, k: int) -> Figure:
    known = score[np.isfinite(score)]
    label = "Neighbours with the same label"
    if len(known) < 2:
        return Figure(label, None, "no class has two images to be neighbours", len(known))
    value, margin = float(known.mean()), 1.96 * float(stats.sem(known))
    basis = f"mean share among the {k} nearest images in the embedding, of as many as the class has"
    return Figure(label, value, basis, len(known), "", max(0.0, value - margin), min(1.0, value + margin))


def _caveats(distilled_set: DistilledSet, n_neighbors: int, use_umap: bool) -> tuple[str, ...]:
    n, alone = len(distilled_set), int((distilled_set.per_class == 1).sum())
    said = {
        "Distances between groups, and the sizes of groups, mean nothing in this picture: only nearness does.": use_umap,
        f"{n} images are too few for UMAP: the picture shows principal components.": n < LEAST_FOR_UMAP,
        f"There are only {n} images: fewer neighbours than the {n_neighbors} asked for were used ({n - 1}).": n - 1
        < n_neighbors,
        f"{alone} of {distilled_set.num_classes} classes have one image, whose neighbours cannot share its label: it has no "
        "score.": alone,
    }
    return tuple(sentence for sentence, holds in said.items() if holds)
