"""Open what an export has written and compare it with what it should have written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import open_set
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.curate_rows import plan_rows
from data.relabelled.read_back import compare
from data.soft_labels import SoftLabels, TopKSoftLabels


@dataclass(frozen=True)
class ReadBack:
    """``images`` were compared, evenly spread where there are many; ``notes`` say what the format could not keep."""

    images: int
    notes: tuple[str, ...]


def check_written(
    written: CuratedSet, curated: CuratedSet, module: ModuleType, folder: Path, files: Sequence[Path]
) -> ReadBack:
    """Compare the files with ``written``, the curated set as the format holds it: labels all, images bit for bit.

    Raises ImpossibleRequest where they differ: such files would not be what people decided.
    """
    place = _place(module, folder, curated.original.provenance.path, files)
    try:
        found = open_set(place, _options(curated, module))
    except UnreadableInput as error:
        raise ImpossibleRequest(
            f"this set cannot be written as '{module.NAME}': what was written does not open again ({error})"
        ) from error
    _check_samples(written.set, found, module)
    return ReadBack(_check_images(written.set, found, module), tuple(_notes(written, curated, found, module)))


def _place(module: ModuleType, folder: Path, source: Path, files: Sequence[Path]) -> Path:
    """What to open: the file named as the source is, or the folder, or the file that the format knows."""
    for place in (folder / source.name, folder, *files):
        if place.exists() and module.recognises(place):
            return place
    return folder


def _options(curated: CuratedSet, module: ModuleType) -> OpenOptions:
    """As the source was opened where it has the same layout; labels kept elsewhere are now beside the set."""
    origin = curated.original.provenance
    if origin.format != module.NAME:
        return OpenOptions(format=module.NAME)
    return OpenOptions(repeat=origin.options.repeat, ipc=origin.options.ipc, format=module.NAME)


def _check_samples(wanted: DistilledSet, found: DistilledSet, module: ModuleType) -> None:
    if len(found) != len(wanted):
        raise _difference(module, f"{len(found):,} samples instead of {len(wanted):,}")
    wrong = np.flatnonzero(found.labels != wanted.labels)
    if len(wrong):
        first = int(wrong[0])
        raise _difference(module, f"sample {first} has class {found.labels[first]} instead of {wanted.labels[first]}")


def _check_images(wanted: DistilledSet, found: DistilledSet, module: ModuleType) -> int:
    """How many images were compared."""
    if wanted.images is None or found.images is None:
        return 0
    ids = wanted.images.sample_ids()
    for i in ids.tolist():
        if not _same_bits(wanted.images.store.read(i), found.images.store.read(i)):
            raise _difference(module, f"image {i} differs")
    return len(ids)


def _notes(written: CuratedSet, curated: CuratedSet, found: DistilledSet, module: ModuleType) -> Iterator[str]:
    before, after = curated.set.images, written.set.images
    if before is not None and found.images is None:
        yield f"'{module.NAME}' holds no images: they were left out."
    elif before is not None and after is not None and before.dtype != after.dtype:
        yield (
            f"images, {_plain(before.dtype)} in pixel space {before.pixel_space.name}, are written as "
            f"{_plain(after.dtype)}, clamped to the displayable range and rounded."
        )
    for name, source in written.set.label_sources.items():
        other = found.label_sources.get(name)
        if isinstance(source, AugmentedSoftLabels) and other is not None:
            yield from _tree_notes(source, other, written, module)
        else:
            replaced = name == GIVEN and curated.relabels_all
            if replaced and other is None:
                raise ImpossibleRequest(
                    f"'{module.NAME}' cannot hold these soft labels as the set's own; choose another layout, or write them "
                    "beside it."
                )
            exactly = replaced or curated.original.provenance.format == module.NAME
            yield from _source_notes(name, source, other, exactly, module)
    if np.any(np.diff(curated.original.labels) < 0) < np.any(np.diff(written.set.labels) < 0):
        yield "relabelled samples break the class order: read classes from the labels, not from the order."
    if not np.array_equal(written.kept, curated.kept):
        yield "samples are written in another order than they had, class by class; original_ids says which is which."


def _source_notes(
    name: str, wanted: SoftLabels, found: SoftLabels | None, exactly: bool, module: ModuleType
) -> Iterator[str]:
    """What became of one label source. Raises ImpossibleRequest where it is not as it was, bit for bit, and should be."""
    if found is None:
        yield f"'{module.NAME}' holds no soft labels '{name}': they were left out."
        return
    error = _largest_error(wanted, found)
    if error > 0 and (exactly or not np.isfinite(error)):
        raise _difference(module, f"soft labels '{name}' are not the same")
    if error > 0:
        yield f"soft labels '{name}' are rounded in '{module.NAME}', by at most {error:.2g}."
    if found.kind != wanted.kind:
        yield f"soft labels '{name}' are {wanted.kind}; '{module.NAME}' does not say so, and they look like {found.kind}."


def _tree_notes(wanted: AugmentedSoftLabels, found: SoftLabels, written: CuratedSet, module: ModuleType) -> Iterator[str]:
    """How far a relabelled tree was compared. Raises ImpossibleRequest where it is not what was planned."""
    planned = plan_rows(written)
    if planned is None or not isinstance(found, AugmentedSoftLabels) or found.tree.rows != planned.after:
        raise _difference(module, "the relabelled tree has other rows than it should")
    compared, wrong = compare(wanted, found)
    if wrong is not None:
        raise _difference(module, wrong)
    yield f"of the relabelled tree {compared:,} of {len(found.tree):,} batches, evenly spread, were compared bit for bit."


def _largest_error(wanted: SoftLabels, found: SoftLabels) -> float:
    """How far a stored value is off, at most: 0 where all bits are the same, infinity where rows cannot be compared."""
    largest = 0.0
    for ids in wanted.chunks():
        first, second = wanted.stored(ids), found.stored(ids)
        if first.shape != second.shape or not _same_indices(wanted, found, ids):
            return float("inf")
        if not _same_bits(first, second):
            off = float((first.double() - second.double()).abs().max())
            largest = max(largest, off, float(torch.finfo(first.dtype).tiny))  # the same numbers in another dtype
    return largest


def _same_indices(wanted: SoftLabels, found: SoftLabels, ids: np.ndarray) -> bool:
    if not isinstance(wanted, TopKSoftLabels):
        return True
    return isinstance(found, TopKSoftLabels) and torch.equal(wanted.indices[ids].long(), found.indices[ids].long())


def _same_bits(wanted: torch.Tensor, found: torch.Tensor) -> bool:
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return False
    return torch.equal(wanted.contiguous().view(torch.uint8), found.contiguous().view(torch.uint8))


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _difference(module: ModuleType, what: str) -> ImpossibleRequest:
    return ImpossibleRequest(
        f"this set cannot be written as '{module.NAME}': read back, {what}; nothing was written, so choose another format."
    )
