"""Real images of a set's classes that lie elsewhere, in any file or folder that Stillroom opens.

Their classes are brought to the set's: by name where both have real names, else by number, which a warning says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.distilled_set import DistilledSet, Reference, numbered_classes
from data.errors import UnreadableInput
from data.images import Images

UNKNOWN = -1


@dataclass(frozen=True)
class RealImages:
    """``reference`` in the set's classes, in a pixel space of its own; ``files`` it was read from; what to know of it."""

    reference: Reference
    files: Sequence[Path]
    warnings: tuple[str, ...]


def real_images(found: DistilledSet, class_names: Sequence[str], what: str) -> RealImages:
    """The images of ``found``, opened as ``what`` ("reference" or "test"), for a set of these classes.

    Images of other classes are left out. Raises UnreadableInput in one sentence where there are no images, or their
    classes cannot be the set's.
    """
    where = found.provenance.path.name
    if found.images is None:
        raise UnreadableInput(f"the {what} {where} holds labels only; name a file or folder with real images.")
    places, how = _places(found.class_names, class_names, f"the {what} {where}")
    labels = places[found.labels]
    known = np.flatnonzero(labels != UNKNOWN)
    if not len(known):
        raise UnreadableInput(f"the {what} {where} holds no image of the set's classes; name one that does.")
    images, left_out = found.images, len(labels) - len(known)
    if left_out:
        images, labels = replace(images, store=images.store.take(known)), labels[known]
        how = (*how, f"{left_out:,} of {len(found):,} images are of classes that the set does not have and are left out")
    said = (*how, *_absent(labels, len(class_names)), _space(images), *found.provenance.warnings)
    notes = tuple(f"{what} {where}: {sentence}" for sentence in said)
    return RealImages(Reference(images, labels), found.provenance.files, notes)


def _places(theirs: Sequence[str], ours: Sequence[str], who: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Our class for each of theirs, int64, UNKNOWN for none, and how it was found where that is a guess."""
    if _are_names(theirs) and _are_names(ours):
        return _by_name(theirs, ours, who), ()
    numbers = [int(name) for name in theirs] if _are_digits(theirs) else list(range(len(theirs)))
    own = [int(name) for name in ours] if _are_digits(ours) else list(range(len(ours)))
    if not set(numbers) <= set(own):
        raise UnreadableInput(
            f"{who} numbers {len(theirs):,} classes up to {max(numbers):,} and the set {len(ours):,} up to {max(own):,}, so "
            "their numbers cannot be matched; give both class names."
        )
    place = {number: i for i, number in enumerate(own)}
    how = () if list(theirs) == list(ours) and _are_digits(ours) else ("classes were matched by number, not by name",)
    return np.array([place[number] for number in numbers], np.int64), how


def _by_name(theirs: Sequence[str], ours: Sequence[str], who: str) -> np.ndarray:
    place = {name: i for i, name in enumerate(ours)}
    found = np.array([place.get(name, UNKNOWN) for name in theirs], np.int64)
    if (found == UNKNOWN).all():
        raise UnreadableInput(
            f"{who} shares no class name with the set ({theirs[0][:80]!a} and {ours[0][:80]!a}, for instance); rename its "
            "classes, or leave the names out of one of them so that numbers are matched."
        )
    return found


def _are_names(names: Sequence[str]) -> bool:
    """Whether the classes are named, each its own, rather than numbered."""
    numbered = tuple(names) == numbered_classes(len(names)) or _are_digits(names)
    return not numbered and len(set(names)) == len(names)


def _are_digits(names: Sequence[str]) -> bool:
    """Whether every name is a number of its own, as folders of numbered classes are called."""
    written = all(name.isascii() and name.isdecimal() and len(name) < 10 for name in names)
    return written and len({int(name) for name in names}) == len(names)


def _absent(labels: np.ndarray, classes: int) -> tuple[str, ...]:
    absent = classes - len(np.unique(labels))
    return (f"{absent} of the set's {classes} classes have no image there",) if absent else ()


def _space(images: Images) -> str:
    space = images.pixel_space
    return f"{len(images):,} images, pixel space {space.name}: {space.evidence}"
