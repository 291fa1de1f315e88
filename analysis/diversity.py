"""How varied the images of each class are, beside as many random real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pandas as pd

from analysis.context import Context
from analysis.embedding import embed
from analysis.encoders import EFFICIENTNET, why_apart
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.neighbours import nearest, unit_rows
from analysis.registry import Between, Embedding, analysis
from analysis.within_class import (
    NAN,
    Estimate,
    bandwidth,
    draw,
    kernel,
    mean_similarity,
    mmd2,
    mmd2_of_draws,
    range_of,
    similarity_of_draws,
)
from data.distilled_set import DistilledSet, Reference
from data.images import Images

MMD_SAMPLES = 2_000
NONE_DRAWN = np.zeros(0)


@dataclass(frozen=True, eq=False)
class _Within:
    """The images of one class among themselves; ``nearest_ids`` are sample ids, -1 for none."""

    similarity: Estimate
    to_others: np.ndarray
    nearest_similarity: np.ndarray
    nearest_ids: np.ndarray


@dataclass(frozen=True, eq=False)
class _Beside:
    """One class beside its reference, and the same figures for draws of real images, empty where none were drawn."""

    mmd2: float = NAN
    real_similarity: np.ndarray = field(default_factory=lambda: NONE_DRAWN)
    real_mmd2: np.ndarray = field(default_factory=lambda: NONE_DRAWN)


@analysis(
    title="Within-class diversity",
    meaning="A class whose distilled images all look alike teaches a student little more than one of them would. "
    "Each class's mean cosine similarity is set beside that of as many random real images, and each image beside its "
    "nearest neighbour in the class.",
    paper="LPLD, arXiv 2410.15919 (its layer and kernel are not published; those used here are Stillroom's choice)",
    needs=("images",),
)
def diversity(
    distilled_set: DistilledSet,
    context: Context,
    *,
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    duplicate_similarity: Annotated[float, Between(0.0, 0.9999)] = 0.9,
    reference_images: Annotated[int, Between(4, 2_000)] = 500,
    baseline_draws: Annotated[int, Between(20, 1_000)] = 100,
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0,
) -> Findings:
    """Findings on ``distilled_set`` from embeddings scaled to length 1.

    Per sample: ``similarity`` to its nearest image of the same class (``nearest_id``, -1 for none) and ``mean_similarity``
    to all of them. A sample is flagged where the former reaches ``duplicate_similarity`` t. The score is
    min(1, (1 - similarity) / (2 (1 - t))): 0 for an exact copy, 0.5 at the threshold; NaN for a class's only image.

    Per class: ``similarity`` S_c, the mean pairwise cosine, with its jackknife interval; ``real_similarity``, its mean
    over ``baseline_draws`` draws of as many reference images, with the range of 95 % of them; ``mmd2`` to the reference
    (unbiased U-statistic, Gaussian kernel, its width the median distance within the class's reference, so that two
    versions of a set are measured alike), with the range for real draws. At most ``reference_images`` a class are used.
    """
    vectors = embed(distilled_set.images, embedding, context.part(0, 0.4))
    why_not = _why_no_reference(distilled_set, embedding)
    if why_not:
        real, real_labels = vectors[:0], np.zeros(0, np.int64)
    else:
        chosen = _chosen(distilled_set.reference, reference_images, seed)
        real, real_labels = embed(chosen.images, embedding, context.part(0.4, 0.8)), chosen.labels
    within, beside = [], []
    for c in range(distilled_set.num_classes):
        part = context.part(0.8 + 0.2 * c / distilled_set.num_classes, 0.8 + 0.2 * (c + 1) / distilled_set.num_classes)
        part.report(0, "comparing images within classes")
        ids = np.flatnonzero(distilled_set.labels == c)
        unit = unit_rows(vectors[ids])
        within.append(_within(unit, ids, part))
        beside.append(_beside(unit, unit_rows(real[real_labels == c]), baseline_draws, np.random.default_rng([seed, c])))
    per_sample = _per_sample(len(distilled_set), distilled_set.labels, within, duplicate_similarity)
    return Findings(
        per_sample=per_sample,
        per_class=_per_class(distilled_set, within, beside, per_sample["flag"].to_numpy()),
        summary=(
            *_similarity_figures(distilled_set, within, beside, embedding, why_not),
            *_mmd_figures(distilled_set, beside, len(real_labels), why_not),
            _duplicate_figure(per_sample, duplicate_similarity),
        ),
        caveats=_caveats(distilled_set, beside, embedding, why_not),
        headline="similarity",
    )


def _within(unit: np.ndarray, ids: np.ndarray, context: Context) -> _Within:
    similarity, to_others = mean_similarity(unit)
    if len(ids) < 2:
        return _Within(similarity, to_others, np.full(len(ids), NAN), np.full(len(ids), -1, np.int64))
    found, nearest_similarity = nearest(unit, 1, context)
    return _Within(similarity, to_others, nearest_similarity[:, 0].astype(np.float64), ids[found[:, 0]])


def _beside(unit: np.ndarray, real: np.ndarray, times: int, rng: np.random.Generator) -> _Beside:
    """Draws are made only from at least twice as many real images as are drawn: from fewer they would hardly differ."""
    width = bandwidth(real)
    some = unit if len(unit) <= MMD_SAMPLES else unit[np.sort(rng.choice(len(unit), MMD_SAMPLES, replace=False))]
    distance = mmd2(some, real, width)
    if len(unit) < 2 or len(real) < 2 * len(unit):
        return _Beside(distance)
    draws = draw(len(real), len(unit), times, rng)
    real_mmd2 = mmd2_of_draws(kernel(real, real, width), draws) if np.isfinite(width) else NONE_DRAWN
    return _Beside(distance, similarity_of_draws(real, draws), real_mmd2)


def _why_no_reference(distilled_set: DistilledSet, embedding: str) -> str:
    """Why the set cannot be compared with real images, or "" where it can."""
    images, reference = distilled_set.images, distilled_set.reference
    if reference is None or len(reference.labels) == 0:
        return "the set came without reference images"
    own, real = images.pixel_space, reference.images.pixel_space
    if own.displayable != real.displayable:
        return f"the set's pixels ({own.name}) and the reference's ({real.name}) differ in kind"
    return why_apart(images, reference.images, embedding)


def _chosen(reference: Reference, most: int, seed: int) -> Reference:
    """At most ``most`` reference images of each class, in their order."""
    rng = np.random.default_rng(seed)
    parts = (np.flatnonzero(reference.labels == c) for c in np.unique(reference.labels))
    ids = np.sort(np.concatenate([rng.permutation(part)[:most] for part in parts]))
    return Reference(Images(reference.images.store.take(ids), reference.images.pixel_space), reference.labels[ids])


def _per_sample(n: int, labels: np.ndarray, within: list[_Within], threshold: float) -> pd.DataFrame:
    similarity, mean, nearest_id = np.full(n, NAN), np.full(n, NAN), np.full(n, -1, np.int64)
    for c, found in enumerate(within):
        ids = np.flatnonzero(labels == c)
        similarity[ids], mean[ids], nearest_id[ids] = found.nearest_similarity, found.to_others, found.nearest_ids
    score = np.clip((1 - similarity) / (2 * (1 - threshold)), 0, 1)
    return per_sample_table(
        score, similarity >= threshold, similarity=similarity, nearest_id=nearest_id, mean_similarity=mean
    )


def _per_class(distilled_set: DistilledSet, within: list[_Within], beside: list[_Beside], flag: np.ndarray) -> pd.DataFrame:
    own = [found.similarity for found in within]
    real, spread = [range_of(b.real_similarity) for b in beside], [range_of(b.real_mmd2) for b in beside]
    return per_class_table(
        distilled_set.class_names,
        distilled_set.per_class,
        similarity=np.array([e.value for e in own]),
        similarity_low=np.array([e.low for e in own]),
        similarity_high=np.array([e.high for e in own]),
        real_similarity=np.array([e.value for e in real]),
        real_similarity_low=np.array([e.low for e in real]),
        real_similarity_high=np.array([e.high for e in real]),
        mmd2=np.array([b.mmd2 for b in beside]),
        real_mmd2_low=np.array([e.low for e in spread]),
        real_mmd2_high=np.array([e.high for e in spread]),
        near_duplicates=np.bincount(distilled_set.labels[flag], minlength=distilled_set.num_classes),
    )


def _similarity_figures(
    distilled_set: DistilledSet, within: list[_Within], beside: list[_Beside], embedding: str, why_not: str
) -> list[Figure]:
    counts = distilled_set.per_class
    known = [c for c, found in enumerate(within) if np.isfinite(found.similarity.value)]
    label = "Mean similarity within a class"
    if not known:
        return [Figure(label, None, "no class has two images to compare", 0)]
    values, errors = (np.array([getattr(within[c].similarity, name) for c in known]) for name in ("value", "error"))
    mean, margin = float(values.mean()), 1.96 * float(np.sqrt((errors**2).sum())) / len(known)
    interval = (mean - margin, mean + margin) if np.isfinite(margin) else (None, None)
    basis = f"mean pairwise cosine of '{embedding}' vectors, mean of {_of(known, counts)}; interval by jackknife over images"
    own = Figure(label, mean, basis, int(counts[known].sum()), "", *interval)
    return [own, *_baseline_figures(within, beside, counts, why_not)]


def _baseline_figures(within: list[_Within], beside: list[_Beside], counts: np.ndarray, why_not: str) -> list[Figure]:
    """Random real images at the same IPC, and how much more alike the set is, both over the classes that have a baseline."""
    drawn = [c for c, found in enumerate(beside) if len(found.real_similarity)]
    label = "The same for random real images"
    if not drawn:
        return [Figure(label, None, why_not or "no class has twice as many reference images as distilled ones", 0)]
    draws = np.mean([beside[c].real_similarity for c in drawn], axis=0)
    real, own = range_of(draws), float(np.mean([within[c].similarity.value for c in drawn]))
    n = int(counts[drawn].sum())
    basis = f"{len(draws)} random draws of as many reference images, mean of {_of(drawn, counts)}; range of 95 % of them"
    return [
        Figure(label, real.value, basis, n, "", real.low, real.high),
        Figure(
            "More alike than random real images",
            own - real.value,
            f"difference over the same {_of(drawn, counts)}",
            n,
            "",
            own - real.high,
            own - real.low,
        ),
    ]


def _mmd_figures(distilled_set: DistilledSet, beside: list[_Beside], references: int, why_not: str) -> list[Figure]:
    label = "MMD² to the reference"
    counts = distilled_set.per_class
    known = [c for c, found in enumerate(beside) if np.isfinite(found.mmd2)]
    if not known:
        return [Figure(label, None, why_not or "no class has two images and two differing reference images", 0)]
    value = float(np.mean([beside[c].mmd2 for c in known]))
    basis = f"unbiased, Gaussian kernel, against {references} reference images, mean of {_of(known, counts)}"
    figures = [Figure(label, value, basis, int(counts[known].sum()))]
    drawn = [c for c, found in enumerate(beside) if len(found.real_mmd2)]
    if drawn:
        real = range_of(np.mean([beside[c].real_mmd2 for c in drawn], axis=0))
        basis = f"the draws above against the other reference images, mean of {_of(drawn, counts)}; 0 is expected"
        n = int(counts[drawn].sum())
        figures.append(Figure("MMD² of random real images", real.value, basis, n, "", real.low, real.high))
    return figures


def _duplicate_figure(per_sample: pd.DataFrame, threshold: float) -> Figure:
    n = int(per_sample["similarity"].notna().sum())
    label, basis = "Near duplicates", f"images whose nearest neighbour in their class is at least {threshold:g} similar"
    if n == 0:
        return Figure(label, None, "no class has two images to compare", 0)
    return Figure(label, float(per_sample["flag"].sum()), basis, n, "images")


def _caveats(distilled_set: DistilledSet, beside: list[_Beside], embedding: str, why_not: str) -> tuple[str, ...]:
    counts, classes = distilled_set.per_class, distilled_set.num_classes
    few = int((counts < 2).sum())
    without = sum(not len(found.real_similarity) for c, found in enumerate(beside) if counts[c] >= 2)
    said = {
        f"{few} of {classes} classes have fewer than 2 images: nothing can be compared within them.": few,
        f"Nothing is said about real images: {why_not}.": why_not,
        f"{without} of {classes} classes have fewer than twice as many reference images as distilled ones: no random real "
        "baseline for them.": not why_not and without,
        f"MMD² uses {MMD_SAMPLES:,} random images of each class that has more.": (counts > MMD_SAMPLES).any()
        and not why_not,
        f"The usual threshold for near duplicates was set for '{EFFICIENTNET}' (real CIFAR-10 images of a class reach 0.87, "
        f"shifted copies 0.94); '{embedding}' needs its own.": embedding != EFFICIENTNET,
    }
    return tuple(sentence for sentence, holds in said.items() if holds)


def _of(classes: list[int], counts: np.ndarray) -> str:
    return f"{len(classes)} of {len(counts)} classes"
