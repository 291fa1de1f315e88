"""Prune and relabel images in a relabelled tree: which rows go, and where the others' images are afterwards.

Rows are known to the loaders by their place in a list of images, so a batch that lost rows cannot lie in SRe2L's or LPLD's
layout, which cuts each epoch's list into batches of one size; and rows of different batches cannot be put together to fill
one up, because a batch has one mix box. Hence two layouts are written:

* where every kept file is whole ("batch", or nothing pruned is in it), the family's own, batches packed into epochs of as
  many as the remaining images fill, with LPLD's ``sampler_indices_epoch.json`` where no index is in the files;
* where batches became unequal, LPQLD's flat one, whose index names the images of each batch; EDC's files then name them no
  more, but for those with shuffled patches, which no other family's loader can read anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from data.curation import CuratedSet
from data.distilled_set import GIVEN
from data.errors import ImpossibleRequest
from data.relabelled import places
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.batch import LAYOUTS, Batch
from data.relabelled.batch_items import with_images, without_images
from data.relabelled.batch_writer import LEADING, Index, Progress, loader_notes, stored_index, write_batches
from data.relabelled.places import Placed
from data.relabelled.plans import WrittenTree
from data.relabelled.rescaled import RescaledTree
from data.relabelled.row_fates import ImageChanges, RowFate, applied, fate
from data.relabelled.tree import RelabelledTree
from data.relabelled.write import EDC_NOTE, MOVED_NOTE, SEEDED_NOTE, ends_early

UNEQUAL_NOTE = (
    "batches have lost rows and are of several sizes, which loaders of epoch_*/batch_*.tar cannot read: the tree is written "
    "in LPQLD's flat layout, with sampler_indices_batch.json, for LPQLD's loader; with mixes 'batch' whole mixed batches go "
    "instead, and the layout stays."
)
PATCHES_NOTE = "no authors' loader reads labels of shuffled patches there, and EDC's only reads batches of one size."
COUNTING = 0.3
"""The part of the writing, in progress, that counting the rows takes."""


@dataclass(frozen=True)
class RowsPlan:
    """What a curation does to the rows of a tree, counted before anything is written.

    Of ``before`` rows ``after`` are written; ``pruned`` are of pruned images, ``dropped_along`` are others that cannot stay
    (before = after + pruned + dropped_along). ``batches_dropped`` files of ``batches`` go whole. ``partners_lost`` rows are
    written whose partner's image was pruned ("self"), and ``foreign_share`` is the mean share of their label that is of it,
    0 to 1 (0 where there are none). ``exchanged`` rows have two classes' values exchanged by a relabel;
    ``relabelled_partners`` are unchanged rows that show a relabelled image only beside their own, and ``mostly_foreign``
    unchanged rows of a relabelled image that are more of their partner's. ``notes`` say what it means for loaders.
    """

    before: int
    after: int
    pruned: int
    dropped_along: int
    batches: int
    batches_dropped: int
    partners_lost: int
    foreign_share: float
    exchanged: int
    relabelled_partners: int
    mostly_foreign: int
    notes: tuple[str, ...] = ()


def plan_rows(curated: CuratedSet, progress: Progress | None = None) -> RowsPlan | None:
    """What ``write_curated`` would do, with nothing written; None where the given labels are no relabelled tree.

    Only batches that hold a pruned or relabelled image are opened, and the last answer of each tree is remembered. The
    order of the images in ``curated`` does not matter. Raises ImpossibleRequest where no row would be left.
    """
    source = curated.original.label_sources.get(GIVEN)
    if not isinstance(source, AugmentedSoftLabels):
        return None
    changes = _changes(curated)
    survey = _surveyed(source.tree, changes, curated, progress)
    return replace(survey.plan, notes=_laid_out(source.tree, changes, survey, curated).notes)


def write_curated(curated: CuratedSet, out: Path, progress: Progress | None = None) -> WrittenTree:
    """Write the tree of the given labels into ``out``, new or empty, without the rows that pruning takes.

    ``curated`` is as its images are written (``as_written`` of the image folder's format): place i of ``curated.kept`` has
    image i of the written folder in ImageFolder's order. ``curated.mixes`` is applied (data/curation.py). Each row that
    stays keeps its image, crop, flip, mix and label; a relabel exchanges two classes' values in the rows that are mostly of
    its image. Where nothing was decided every file is a hard link to the original. Raises ImpossibleRequest where no row
    would be left or ``out`` is taken, and as ``progress`` does, leaving nothing behind.
    """
    source = curated.original.label_sources[GIVEN]
    assert isinstance(source, AugmentedSoftLabels)
    tree, changes = source.tree, _changes(curated)
    survey = _surveyed(tree, changes, curated, _part(progress, 0.0, COUNTING))
    layout = _laid_out(tree, changes, survey, curated)

    def edit(position: int) -> tuple[Batch | None, np.ndarray]:
        batch, images = _edited(tree, position, changes, curated)
        if batch is None and isinstance(tree, RescaledTree):  # its file holds other values
            batch = tree.batch(position)
        if not layout.drops_images:
            return batch, images
        return without_images(tree.batch(position) if batch is None else batch), images

    written = write_batches(tree, layout.placed, edit, layout.index, out, _part(progress, COUNTING, 1.0))
    return replace(written, notes=layout.notes)


def _part(progress: Progress | None, start: float, end: float) -> Progress | None:
    """Progress whose 0 to 1 is ``start`` to ``end`` of ``progress``."""
    if progress is None:
        return None
    return lambda done, message: progress(start + (end - start) * done, message)


@dataclass(frozen=True, eq=False)
class _Survey:
    """``rows`` that each of the tree's files has afterwards, 0 for those that go; the images of its first ``heads``."""

    rows: Sequence[int]
    heads: Sequence[np.ndarray]
    plan: RowsPlan


@dataclass(frozen=True)
class _Layout:
    placed: Sequence[Placed]
    index: Index
    notes: tuple[str, ...] = ()
    drops_images: bool = False


_LAST: WeakKeyDictionary[RelabelledTree, tuple[object, _Survey]] = WeakKeyDictionary()


def _changes(curated: CuratedSet) -> ImageChanges:
    before, after = curated.original.label_sources[GIVEN], curated.set.label_sources[GIVEN]
    assert isinstance(before, AugmentedSoftLabels) and isinstance(after, AugmentedSoftLabels)
    new_ids = np.full(before.tree.num_images, -1, np.int64)
    new_ids[before.images[curated.kept]] = np.arange(len(curated.kept))
    return ImageChanges(new_ids, after.exchanges)


def _surveyed(tree: RelabelledTree, changes: ImageChanges, curated: CuratedSet, progress: Progress | None) -> _Survey:
    asked = ((changes.new_ids < 0).tobytes(), tuple(sorted(changes.exchanges.items())), curated.mixes)
    if tree not in _LAST or _LAST[tree][0] != asked:
        _LAST[tree] = asked, _survey(tree, changes, curated, progress)
    return _LAST[tree][1]


def _survey(tree: RelabelledTree, changes: ImageChanges, curated: CuratedSet, progress: Progress | None) -> _Survey:
    """Go through all files once, opening those that the changes touch."""
    rows, heads, counts, foreign = [], [], np.zeros(5, np.int64), 0.0
    for position in range(len(tree)):
        if progress is not None:
            progress(position / len(tree), "counting rows")
        images, touched = _fate_of(tree, position, changes, curated)
        if touched is not None:
            batch, what = touched
            per_row = (what.lost, what.exchanged, what.relabelled_partner, what.mostly_foreign)
            counts += [(changes.new_ids[images] < 0).sum(), *(flags.sum() for flags in per_row)]
            foreign += int(what.lost.sum()) * (1 - batch.own_share(tree.side))
            images = images[what.rows]
        rows.append(len(images))
        heads.append(images[:LEADING].astype(np.int32))
    if not any(rows):
        raise ImpossibleRequest(
            "no row of the relabelled tree would be left, every batch being mixed with a pruned image; choose mixes 'self', "
            "or prune fewer images."
        )
    rows = _readable(tree, rows, len(curated.kept))
    before, after = tree.rows, sum(rows)
    pruned, lost, *relabels = counts.tolist()
    share = foreign / lost if lost else 0.0
    plan = RowsPlan(before, after, pruned, before - after - pruned, len(tree), rows.count(0), lost, share, *relabels)
    return _Survey(rows, heads, plan)


def _fate_of(
    tree: RelabelledTree, position: int, changes: ImageChanges, curated: CuratedSet
) -> tuple[np.ndarray, tuple[Batch, RowFate] | None]:
    """The images of a file's rows, and what becomes of these; None where all stay as they are."""
    images = tree.row_images.of_batch(tree.files[position])
    if curated.unchanged or not changes.touch(images):
        return images, None
    batch = tree.batch(position)
    return images, (batch, fate(batch, images, tree.side, changes, curated.mixes))


def _edited(
    tree: RelabelledTree, position: int, changes: ImageChanges, curated: CuratedSet
) -> tuple[Batch | None, np.ndarray]:
    """The batch to write for a file, None where it stays as it is, and the new images of its rows."""
    images, touched = _fate_of(tree, position, changes, curated)
    if touched is not None:
        batch, what = touched
        edited, new_ids = applied(batch, images, tree.side, what, changes)
        return (None if edited is batch else edited), new_ids
    new_ids = changes.new_ids[images]
    if not _names_images(tree) or np.array_equal(new_ids, images):
        return None, new_ids
    return with_images(tree.batch(position), new_ids), new_ids


def _names_images(tree: RelabelledTree) -> bool:
    return "images" in tree.batch(0).layout.slots


def _readable(tree: RelabelledTree, rows: list[int], num_images: int) -> list[int]:
    """``rows`` without the short batches for which no epoch has an end, where whole batches are packed into epochs anew."""
    keep = _kept(rows)
    if len(keep) == len(tree) or not _are_whole(tree, rows) or not _in_epochs(tree):
        return rows
    there = {place.position for place in _packed(tree, keep, rows, num_images)}
    return [count if position in there else 0 for position, count in enumerate(rows)]


def _laid_out(tree: RelabelledTree, changes: ImageChanges, survey: _Survey, curated: CuratedSet) -> _Layout:
    keep, whole, num_images = _kept(survey.rows), _are_whole(tree, survey.rows), len(curated.kept)
    if tree.batch(0).layout not in LAYOUTS:  # FKD: a file goes by the name of its image
        return _Layout(_own_names(tree, keep), "none")
    if whole and len(keep) == len(tree):
        return _in_place(tree, changes, curated)
    if whole and not places.is_flat(tree):
        placed = _packed(tree, keep, survey.rows, num_images)
        return _Layout(placed, "new", _order_notes(tree, placed))
    heads = (survey.heads[position] for position in keep)
    notes = loader_notes(heads, max(survey.rows), num_images)
    if places.is_flat(tree):
        return _Layout(places.flat(keep), "new", tuple(notes))
    if "patches" in tree.batch(0).layout.slots:
        return _Layout(places.flat(keep), "new", (UNEQUAL_NOTE, PATCHES_NOTE))
    return _Layout(places.flat(keep), "new", (UNEQUAL_NOTE, *notes), _names_images(tree))


def _in_place(tree: RelabelledTree, changes: ImageChanges, curated: CuratedSet) -> _Layout:
    placed, num_images = _own_names(tree, range(len(tree))), len(curated.kept)
    if np.array_equal(changes.new_ids, np.arange(tree.num_images)) and not curated.relabelled:
        return _Layout(placed, "stored")
    notes = () if places.is_flat(tree) else _order_notes(tree, placed)
    return _Layout(placed, "none" if _names_images(tree) and num_images == tree.num_images else "new", notes)


def _kept(rows: Sequence[int]) -> list[int]:
    return [position for position, count in enumerate(rows) if count]


def _are_whole(tree: RelabelledTree, rows: Sequence[int]) -> bool:
    """Whether every file that stays has all its rows."""
    return all(count in (0, file.rows) for count, file in zip(rows, tree.files, strict=True))


def _in_epochs(tree: RelabelledTree) -> bool:
    return tree.batch(0).layout in LAYOUTS and not places.is_flat(tree)


def _packed(tree: RelabelledTree, keep: Sequence[int], rows: Sequence[int], num_images: int) -> list[Placed]:
    """In epochs of as many batches as ``num_images`` images fill."""
    counts = [rows[position] for position in keep]
    an_epoch = -(-num_images // max(counts))
    shortest = num_images - (an_epoch - 1) * max(counts) if _names_images(tree) else 1
    return places.in_epochs(keep, counts, an_epoch, shortest)


def _own_names(tree: RelabelledTree, keep: Sequence[int]) -> list[Placed]:
    flat = places.is_flat(tree)
    files = [(position, tree.files[position]) for position in keep]
    return [
        Placed(position, file.path.relative_to(tree.root).as_posix(), str(file.number if flat else file.epoch))
        for position, file in files
    ]


def _order_notes(tree: RelabelledTree, placed: Sequence[Placed]) -> tuple[str, ...]:
    """What it means for the authors' loader that batches or images have other numbers now."""
    if _names_images(tree):
        return (EDC_NOTE,) if ends_early(placed) else ()
    return (SEEDED_NOTE,) if stored_index(tree) is None else (MOVED_NOTE,)
