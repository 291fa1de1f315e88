"""Folders of picture files: torchvision's ImageFolder, SRe2L's, RDED's and D4M's naming, Hugging Face's metadata.

Samples are in the order in which torchvision's ImageFolder lists them, because files that hold something for every sample
(soft labels, relabelling batches) were made by a loader over it; with a metadata file, in its order. The class is the
number in a folder's name where folders are numbered.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.curation import CuratedSet
from data.distilled_set import DistilledSet, OpenOptions, Provenance
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import pictures
from data.formats.common import make_set, pixel_space
from data.formats.companions import HELD, Held
from data.formats.folder_classes import ClassFolders, renamed, understand
from data.formats.folder_listing import Listing, has_class_folders, list_everything, list_images
from data.formats.folder_store import FilesBelow, FolderStore, Look, look_at
from data.formats.hf_metadata import Metadata, find_metadata, read_metadata, write_metadata
from data.images import Images
from data.known_datasets import class_names_of, guess_dataset
from data.soft_labels import SoftLabels

NAME = "folder"
TITLE = "image folders (ImageFolder, SRe2L, RDED, D4M, Hugging Face metadata)"


@dataclass(frozen=True)
class FolderLayout:
    """How the folder says its classes: by ``folders`` or by ``metadata``."""

    folders: ClassFolders | None = None
    metadata: Metadata | None = None


def recognises(path: Path) -> bool:
    if not path.is_dir():
        return False
    try:
        return find_metadata(path) is not None or has_class_folders(path)
    except UnreadableInput:
        return True  # a metadata file is there and broken: reading it says how


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Open the folder: one walk, and the headers of a few images. Raises UnreadableInput where it is no set of images."""
    if not path.is_dir():
        raise UnreadableInput(f"{path.name} is not a folder; an image folder is one.")
    metadata = find_metadata(path)
    return _read_classes(path, options) if metadata is None else _read_metadata(path, read_metadata(metadata), options)


def as_written(curated: CuratedSet) -> CuratedSet:
    """The curated set as the written folder will be read: a relabelled image lies in another class's folder and so at
    another place in the order, and pixels that are not pictures yet become uint8."""
    if _layout(curated) is None:
        curated = pictures.replaced_images(curated, pictures.viewable(curated.set.images, curated.set.name))
    if curated.relabels_all:  # beside the pictures, whose folders say the classes
        extras = {**curated.set.extras, HELD: Held(hard_labels=True)}
        curated = replace(curated, set=replace(curated.set, extras=extras))
    names = _targets(curated)
    order = np.asarray(sorted(range(len(names)), key=lambda row: _walk_key(names[row])), np.int64)
    in_place = _uses_metadata(curated) or (order == np.arange(len(order))).all()
    return curated if in_place else _reordered(curated, order)


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """Kept pictures byte for byte, under their own names; a relabelled one under its new class. Sets of other formats
    become PNG files named as SRe2L names them, which clamps and rounds their pixels. A class that lost all its images
    keeps its folder, or later classes would move up.
    """
    names = _targets(curated)
    layout = _layout(curated)
    for folder in _folders_to_make(curated, names):
        (out / folder).mkdir(parents=True, exist_ok=True)
    if layout is None:
        return _write_new(curated, names, out)
    store = _store(curated)
    files = [_place(store.root / source, out / name) for source, name in zip(store.names, names, strict=True)]
    if layout.metadata is None:
        return files
    target = out / layout.metadata.path.name
    return [*files, write_metadata(layout.metadata, curated.kept, curated.set.labels, target)]


def _read_classes(path: Path, options: OpenOptions) -> DistilledSet:
    listing = list_images(path)
    if not listing.names:
        raise UnreadableInput(f"{path.name} has no folder with images in it; an image folder has one folder a class.")
    folders = understand(listing.folders, listing.names[0])
    images, look = _open_images(path, listing.names, options)
    warnings = (*folders.warnings(), *_warnings(listing, folders, look))
    origin = Provenance(path, NAME, folders.method, FilesBelow(path, listing.names), options, warnings)
    names = folders.names
    known = class_names_of(guess_dataset(path)) if folders.pattern is not None else ()
    return DistilledSet(
        name=path.name,
        labels=folders.labels_of(listing.names),
        class_names=known if len(known) == len(names) else names,
        provenance=origin,
        images=images,
        extras={"folder": FolderLayout(folders=folders)},
    )


def _read_metadata(path: Path, metadata: Metadata, options: OpenOptions) -> DistilledSet:
    known = list_everything(path)
    missing = [name for name in metadata.file_names if name not in known]
    if missing:
        raise UnreadableInput(
            f"{metadata.path.name} names {len(missing)} files that are not in {path.name} as images (first: "
            f"{missing[0]}); add them or correct it."
        )
    images, look = _open_images(path, metadata.file_names, options)
    extra = len(known) - len(set(metadata.file_names))
    warnings = [f"{extra} images are not named in {metadata.path.name} and are left out."] if extra else []
    files = (metadata.path, *(path / name for name in dict.fromkeys(metadata.file_names)))
    origin = Provenance(path, NAME, "image folder", files, options, (*warnings, *look.warnings()))
    opened = make_set(origin, metadata.labels, None, images, {"folder": FolderLayout(metadata=metadata)})
    names = metadata.class_names
    return replace(opened, name=path.name, class_names=opened.class_names if names is None else names)


def _open_images(path: Path, names: Sequence[str], options: OpenOptions) -> tuple[Images, Look]:
    look = look_at(path, names)
    store = FolderStore(path, names, look)
    return Images(store, pixel_space(store.read(0)[None], path, options)), look


def _warnings(listing: Listing, folders: ClassFolders, look: Look) -> tuple[str, ...]:
    said = list(look.warnings())
    empty = len(set(folders.folders)) - len({name.split("/", 1)[0] for name in listing.names})
    if empty:
        said.append(f"{empty} class folders hold no images.")
    if listing.strays:
        said.append(f"{listing.strays} files in the class folders are no images and are left out.")
    return tuple(said)


def _layout(curated: CuratedSet) -> FolderLayout | None:
    """How the original folder was laid out; None for sets of other formats."""
    layout = curated.original.extras.get("folder")
    return layout if isinstance(layout, FolderLayout) else None


def _uses_metadata(curated: CuratedSet) -> bool:
    layout = _layout(curated)
    return layout is not None and layout.metadata is not None


def _store(curated: CuratedSet) -> FolderStore:
    assert curated.set.images is not None and isinstance(curated.set.images.store, FolderStore)
    return curated.set.images.store


def _targets(curated: CuratedSet) -> list[str]:
    """The relative name under which each sample of ``curated.set`` is written."""
    layout = _layout(curated)
    if layout is None:
        return _new_names(curated.set.labels)
    names = list(_store(curated).names)
    if layout.folders is None:
        return names
    moved = np.flatnonzero(curated.set.labels != layout.folders.labels_of(names))
    taken = set(names) - {names[row] for row in moved}
    for row in moved:
        names[row] = renamed(names[row], layout.folders, int(curated.set.labels[row]), taken)
        taken.add(names[row])
    return names


def _new_names(labels: np.ndarray) -> list[str]:
    """``new{class:03d}/class{class:03d}_id{i:03d}.png``, wider where needed so that names sort as numbers do."""
    classes, ids = np.unique(labels, return_counts=True)
    class_width, id_width = max(3, len(str(classes.max()))), max(3, len(str(ids.max() - 1)))
    seen: dict[int, int] = {}
    names = []
    for label in labels.tolist():
        number = seen.get(label, 0)
        seen[label] = number + 1
        spelled = f"{label:0{class_width}d}"
        names.append(f"new{spelled}/class{spelled}_id{number:0{id_width}d}.png")
    return names


def _walk_key(name: str) -> tuple[str, str, str]:
    """Where torchvision's ImageFolder comes upon a file: class folder, then folder, then file."""
    folder, _, file = name.rpartition("/")
    return name.split("/", 1)[0], folder, file


def _reordered(curated: CuratedSet, order: np.ndarray) -> CuratedSet:
    opened = curated.set
    sources: dict[str, SoftLabels] = {name: source.take(order) for name, source in opened.label_sources.items()}
    assert opened.images is not None
    images = Images(opened.images.store.take(order), opened.images.pixel_space)
    reordered = replace(opened, labels=opened.labels[order], label_sources=sources, images=images)
    return replace(curated, set=reordered, kept=curated.kept[order])


def _folders_to_make(curated: CuratedSet, names: Sequence[str]) -> set[str]:
    folders = {name.rpartition("/")[0] for name in names}
    layout = _layout(curated)
    return folders | set(layout.folders.folders) if layout is not None and layout.folders is not None else folders


def _write_new(curated: CuratedSet, names: Sequence[str], out: Path) -> list[Path]:
    images = pictures.viewable(curated.set.images, curated.set.name)
    for row, name in enumerate(names):
        pictures.to_picture(images.store.read(row)).save(out / name)
    return [out / name for name in names]


def _place(source: Path, target: Path) -> Path:
    """A copy, never a hard link: editing an exported picture in place must not change the authors' own."""
    if target.exists() and not filecmp.cmp(source, target, shallow=False):  # metadata may list one picture twice
        raise ImpossibleRequest(f"{target} is there already; export to an empty folder.")
    shutil.copyfile(source, target)
    return target
