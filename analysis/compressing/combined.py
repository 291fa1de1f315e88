"""The kept images of a set combined into a new one, ready to be written or taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.compressing.mosaics import MosaicStore, Resampling, group_tiles, mean_labels
from data.combined_set import CombinedSet, write_combined
from data.curation import CuratedSet
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.images import Images
from data.relabelled.augmented import AugmentedSoftLabels
from data.soft_labels import SoftLabels

Progress = Callable[[float, str], None]
METHOD = "Prune, Combine, Augment (arXiv 2502.06434)"
MAKING = 0.6
"""The part of the progress that making the mosaics takes."""


@dataclass(frozen=True, eq=False)
class Wish:
    """What to combine: ``tile`` int64 (N,), each image's place among the kept ones of its class, -1 where it is not kept;
    ``factor`` tiles a side; ``plan`` is written into the manifest as it is."""

    tile: np.ndarray
    factor: int
    resampling: Resampling
    plan: Mapping[str, Any]


def combine(distilled_set: DistilledSet, wish: Wish, heard: Callable[[int], None] | None = None) -> tuple[CombinedSet, int]:
    """(the set of mosaics, whose images are made when they are read; how many kept images are in two mosaics).

    The hard label of a mosaic is its class; each label source of distributions gives the mean of its tiles'. Raises
    ImpossibleRequest where there are no images, they differ in size, none is kept or a tile would have no pixel.
    """
    tiles, classes = tiles_of(distilled_set, wish)
    images = distilled_set.images
    meant, derived = (_meant(sources, tiles) for sources in (distilled_set.label_sources, distilled_set.derived_sources))
    made = DistilledSet(
        name=f"{distilled_set.name} combined",
        labels=classes,
        class_names=distilled_set.class_names,
        provenance=replace(distilled_set.provenance, method=METHOD),
        images=Images(MosaicStore(images.store, tiles, wish.factor, wish.resampling, heard), images.pixel_space),
        label_sources=meant,
        derived_sources=derived,
        class_counts=distilled_set.class_counts,
        reference=distilled_set.reference,
        test=distilled_set.test,
    )
    notes = tuple(_notes(distilled_set, wish.factor))
    return CombinedSet(made, distilled_set, tiles, wish.plan, notes), tiles.size - len(np.unique(tiles))


def tiles_of(distilled_set: DistilledSet, wish: Wish) -> tuple[np.ndarray, np.ndarray]:
    """(ids int64 (M, factor²), classes int64 (M,)) of the images that ``combine`` makes. Raises ImpossibleRequest."""
    if why_not := sides_that_fit(distilled_set, wish.factor):
        raise ImpossibleRequest(why_not)
    tiles, classes = group_tiles(distilled_set.labels, wish.tile, wish.factor)
    if not len(tiles):
        raise ImpossibleRequest("no image is kept, so there is nothing to combine; give a larger budget.")
    return tiles, classes


def combine_and_write(curated: CuratedSet, wish: Wish, out: Path, progress: Progress) -> Path:
    """Combine what people left of a set, under the labels they gave, and write it; returns the manifest.

    ``wish.tile`` is of the set as it came, and so are the ids in the manifest. Raises as ``combine`` and ``write_combined``.
    """
    done = 0

    def heard(mosaics: int) -> None:
        nonlocal done
        done += mosaics
        if done <= total:
            progress(MAKING * done / total, f"making mosaic {done:,} of {total:,}")

    total = 1
    of_kept = replace(wish, tile=np.asarray(wish.tile)[curated.kept])
    combined, _ = combine(curated.set, of_kept, heard)
    total = len(combined.tiles)
    original = replace(curated.original, labels=_labels_now(curated))
    return write_combined(replace(combined, original=original, tiles=curated.kept[combined.tiles]), out, progress)


def sides_that_fit(distilled_set: DistilledSet, factor: int) -> str:
    """Why the set's images cannot be tiles of ``factor`` x ``factor`` mosaics, or ""."""
    if distilled_set.images is None:
        return f"{distilled_set.name} holds no images, so there is nothing to combine."
    if distilled_set.images.shape is None:
        return f"the images of {distilled_set.name} differ in size, and tiles need one; resize them first."
    if factor > min(distilled_set.images.shape[1:]):
        return f"tiles of {factor} x {factor} mosaics would have no pixel left; take a smaller factor."
    return ""


def _meant(sources: Mapping[str, SoftLabels], tiles: np.ndarray) -> dict[str, SoftLabels]:
    """The mean label of each mosaic from every source of distributions."""
    return {name: mean_labels(labels, tiles) for name, labels in sources.items() if labels.kind != "scores"}


def _labels_now(curated: CuratedSet) -> np.ndarray:
    """The class of each sample, int64 (N,): the one that people gave it, where they did."""
    labels = curated.original.labels.copy()
    labels[curated.kept] = curated.set.labels
    return labels


def _notes(distilled_set: DistilledSet, factor: int) -> Iterator[str]:
    sources = distilled_set.label_sources
    for name in (name for name, labels in sources.items() if labels.kind == "scores"):
        yield f"'{name}' holds unconstrained scores, whose mean is no soft label: it was left out."
    logits = [name for name, labels in sources.items() if labels.kind == "logits"]
    if logits and factor > 1:
        yield (
            f"the logits of {', '.join(repr(name) for name in logits)} are the logarithm of the tiles' mean distribution at "
            "temperature 1, so their scale is another than that of the stored ones."
        )
    if any(isinstance(labels, AugmentedSoftLabels) for labels in sources.values()):
        yield "labels of many crops were averaged to one a tile; relabel the mosaics with the teacher to have crops again."
    space = distilled_set.pixel_space
    if space is not None and not space.displayable and factor > 1:
        yield (
            "the pixels have no displayable range (whitened or unknown): tiles are averaged as stored, which is not what "
            "making the mosaic first and whitening it would give."
        )
