"""Relabelled trees of soft labels, found beside images and made the given labels of a set."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np

from data.distilled_set import GIVEN, DistilledSet
from data.errors import UnreadableInput
from data.formats.folder_listing import has_class_folders, has_image, holds_batches, holds_soft_labels
from data.formats.folder_store import FolderStore
from data.plain_text import several
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.fkd import is_fkd, open_fkd
from data.relabelled.opening import open_tree
from data.relabelled.tree import RelabelledTree

MOST_LOOKED_INTO = 4096
DEEPEST = 4


@dataclass(frozen=True)
class Places:
    """What lies in a folder: ``images`` are folders of class folders, ``trees`` folders of soft labels; either may be the
    folder itself."""

    images: tuple[Path, ...]
    trees: tuple[Path, ...]


class _Files(Sequence[Path]):
    """Files by place, told one at a time."""

    @abstractmethod
    def _at(self, place: int) -> Path:
        """The file at ``place``, 0 or more and below the length."""

    @overload
    def __getitem__(self, place: int) -> Path: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Path]: ...

    def __getitem__(self, place: int | slice) -> Path | Sequence[Path]:
        if isinstance(place, slice):
            return [self._at(i) for i in range(*place.indices(len(self)))]
        return self._at(range(len(self))[place])


@dataclass(frozen=True)
class SeveralFiles(_Files):
    """Sequences of files one behind the other, none of them copied."""

    parts: tuple[Sequence[Path], ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def _at(self, place: int) -> Path:
        for part in self.parts:
            if place < len(part):
                return part[place]
            place -= len(part)
        raise IndexError(place)


@dataclass(frozen=True, eq=False)
class BatchFiles(_Files):
    """The batch files of a tree."""

    tree: RelabelledTree

    def __len__(self) -> int:
        return len(self.tree)

    def _at(self, place: int) -> Path:
        return self.tree.files[place].path


def look_for(path: Path) -> Places:
    """The images and trees in the folder ``path``, and in folders directly in it."""
    has_classes = has_class_folders(path, 0)
    others = [_core(folder) for folder in _folders(path) if not (has_classes and has_image(folder))]
    trees = [place for place in others if holds_soft_labels(place)]
    images = [path] if has_classes else [place for place in others if place not in trees and has_class_folders(place, 0)]
    if holds_batches(path):  # its epochs are no trees of their own
        trees = [path, *(tree for tree in trees if not tree.name.startswith("epoch_"))]
    elif not images and len(trees) > 1 and is_fkd(path):
        trees = [path]
    return Places(tuple(images), tuple(trees))


def names_tree(labels: str | None) -> bool:
    """Whether what a person gave as labels is a folder, as a tree is; label files are none."""
    return labels is not None and os.path.isdir(labels)


def with_tree(opened: DistilledSet, place: Path) -> DistilledSet:
    """The set with the tree at ``place`` as its given labels, and the tree's files in its provenance. The hard labels stay.

    Raises UnreadableInput where there is no tree, or it is not of this set.
    """
    tree = _open(opened, place)
    source = AugmentedSoftLabels(tree, np.arange(len(opened)))
    origin = opened.provenance
    files = SeveralFiles((origin.files, BatchFiles(tree), _index_files(tree.root)))
    partly = () if source.part.whole else (f"{source.reading}; the analysis of crops can read all.",)
    return replace(
        opened,
        label_sources={**opened.label_sources, GIVEN: source},
        provenance=replace(origin, files=files, warnings=(*origin.warnings, *tree.warnings, *partly)),
    )


def tree_of(opened: DistilledSet) -> AugmentedSoftLabels | None:
    """The set's given labels where they are a tree."""
    given = opened.label_sources.get(GIVEN)
    return given if isinstance(given, AugmentedSoftLabels) else None


def named(places: Sequence[Path], below: Path) -> str:
    """The first few places in words, relative to a folder."""
    return several([place.relative_to(below).as_posix() if place != below else "the folder itself" for place in places])


def _index_files(root: Path) -> list[Path]:
    """Regular files only: reading a pipe of that name would never end."""
    return sorted(place for place in root.glob("sampler_indices_*.json") if place.is_file())


def _open(opened: DistilledSet, place: Path) -> RelabelledTree:
    core = _core(place)
    if holds_batches(core):
        return open_tree(core, opened.labels, opened.num_classes)
    if is_fkd(core):
        store = opened.images.store if opened.images is not None else None
        if not isinstance(store, FolderStore):
            raise UnreadableInput(f"{place.name} holds one soft-label file an image, which needs an image folder; give one.")
        return open_fkd(core, store.names, opened.labels, opened.num_classes)
    raise UnreadableInput(
        f"{place.name} is a folder but no relabelled tree (epoch_*/batch_*.tar, batch_*.tar, or one .tar an image); give "
        "the folder that holds those."
    )


def _core(folder: Path) -> Path:
    """``folder``, or the only folder in it, and so on, where nothing else is in it: archives unpack into such."""
    for _ in range(DEEPEST):
        if holds_batches(folder):
            return folder
        with_only = _only_folder(folder)
        if with_only is None:
            return folder
        folder = with_only
    return folder


def _only_folder(folder: Path) -> Path | None:
    try:
        with os.scandir(folder) as entries:
            first, second = (next(entries, None) for _ in range(2))
            return Path(first.path) if first is not None and second is None and first.is_dir(follow_symlinks=False) else None
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    """The visible folders directly in ``path``, by name, the first MOST_LOOKED_INTO of them."""
    try:
        with os.scandir(path) as entries:
            found = [e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [path / name for name in sorted(found)[:MOST_LOOKED_INTO]]
