"""What lies beside a set and belongs to it: soft labels in files of their own, and what ``stillroom.json`` adds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, Reference, numbered_classes
from data.errors import UnreadableInput
from data.formats.array_files import as_tensor, read_npy
from data.formats.common import INTEGER_DTYPES, dataset_of
from data.formats.companion_manifest import FILE, ImageFiles, Manifest, find_manifest, read_manifest
from data.formats.folder_store import FolderStore
from data.formats.hf_metadata import FILES as METADATA_FILES
from data.formats.pictures import ViewableStore
from data.formats.soft_label_files import (
    HardLabelsOnly,
    OtherSamples,
    can_hold_any,
    find_beside,
    read_soft_labels,
    write_soft_labels,
)
from data.formats.trees_beside import names_tree, tree_of, with_tree
from data.images import Images, TensorStore
from data.known_datasets import class_names_of, guess_dataset
from data.own_labels import own_labels
from data.pixels import PROFILES, PixelSpace
from data.soft_labels import DenseSoftLabels, Kind, SoftLabels, detect_kind, hard_labels


@dataclass(frozen=True)
class Companions:
    """What was attached to a set: the file of each label source that has one of its own, and the manifest."""

    label_files: Mapping[str, Path] = field(default_factory=dict)
    manifest: Manifest | None = None


@dataclass(frozen=True)
class Held:
    """What a format's own files say, so that it need not be written beside them: names of label sources, whether all class
    names, and whether hard labels by themselves, not as the most probable classes of the soft ones. A format puts it into
    ``extras[HELD]`` of what its ``as_written`` returns, and nowhere else."""

    sources: frozenset[str] = frozenset()
    class_names: bool = False
    hard_labels: bool = False


HELD = "held"
_PLAIN_DTYPES = (torch.float16, torch.float32, torch.float64)


def reads_back(source: SoftLabels) -> bool:
    """Whether ``source`` is itself again from nothing but its rows: whole ones, in a common dtype, whose kind shows."""
    whole = isinstance(source, DenseSoftLabels) and source.dtype in _PLAIN_DTYPES
    return whole and detect_kind(source.values) == source.kind


def companions_of(opened: DistilledSet) -> Companions:
    """What was attached to the set, perhaps nothing."""
    found = opened.extras.get("companions")
    return found if isinstance(found, Companions) else Companions()


def attach(opened: DistilledSet) -> DistilledSet:
    """The set with everything that lies beside it or that its options name, and their files in its provenance.

    Soft labels named in the options or found beside the set become the given ones, or go by their file's name where the set
    has given ones already; ``stillroom.json`` overrules names, counts and detected pixel space. Raises UnreadableInput.
    """
    place = find_manifest(opened.provenance.path) or _beside_images(opened)
    manifest = read_manifest(place) if place is not None else None
    if manifest is not None:
        opened = _with_manifest(opened, manifest)
    opened, label_files = _with_soft_labels(opened)
    if manifest is None and not label_files:
        return opened
    named = {} if manifest is None else {name: source.file for name, source in manifest.label_sources.items()}
    companions = Companions({**label_files, **named}, manifest)
    return replace(opened, extras={**opened.extras, "companions": companions})


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """``stillroom.json`` and the files it names, so that the curated set opens again with all that was attached to it.

    Label sources that the set's own format does not hold are written for the kept samples in the order of ``curated.set``,
    which must be the order of the files in ``out`` (see ``as_written`` in data.formats). What was known from the names of
    folders around the set, and is not from ``out`` alone, is stated. Nothing is written where there is nothing to add.
    """
    companions = companions_of(curated.original)
    said: dict[str, object] = {}
    files: list[Path] = []
    dataset = _lost_dataset(curated, out)
    if space := _space_to_state(curated.set.pixel_space, dataset, out):
        said["pixel_space"] = space
    for name, source in _sources_to_write(curated.set, companions).items():
        path = _write_source(name, source, curated, companions.label_files.get(name), out)
        said.setdefault("label_sources", {})[name] = {"file": path.name, "kind": source.kind}  # type: ignore[index]
        files.append(path)
    if _loses_hard_labels(curated.set, companions):
        files.append(_write_hard_labels(curated.set.labels, out))
        said["hard_labels"] = files[-1].name
    for what, pair in _image_files(companions.manifest).items():
        images, labels = _copy(pair.images, out), _copy(pair.labels, out)
        said[what] = {"images": images.name, "labels": labels.name, "pixel_space": pair.pixel_space}
        files += [images, labels]
    if curated.set.class_counts is not None:
        said["class_counts"] = curated.set.class_counts.tolist()
    if not said and companions.manifest is None and not _loses_classes(curated.set, dataset, out):
        return files
    target = out / FILE
    content = {"class_names": list(curated.set.class_names), **said}
    target.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return [*files, target]


def _beside_images(opened: DistilledSet) -> Path | None:
    """The manifest in the folder of the images, where that lies in the folder that was opened."""
    store = opened.images.store if opened.images is not None else None
    return find_manifest(store.root) if isinstance(store, FolderStore) else None


def _with_manifest(opened: DistilledSet, manifest: Manifest) -> DistilledSet:
    names = manifest.class_names or opened.class_names
    counts = None if manifest.class_counts is None else np.asarray(manifest.class_counts, np.int64)
    read = {
        name: _of_kind(read_soft_labels(source.file, len(opened), len(names)), source.kind)
        for name, source in manifest.label_sources.items()
    }
    return replace(
        opened,
        labels=_hard_labels(manifest, opened, len(names)),
        class_names=names,
        class_counts=opened.class_counts if counts is None else counts,
        images=_in_space(opened, manifest),
        label_sources={**opened.label_sources, **read},
        reference=_reference(manifest.reference, len(names)) or opened.reference,
        test=_reference(manifest.test, len(names)) or opened.test,
        provenance=replace(opened.provenance, files=_joined(opened.provenance.files, manifest.files)),
    )


def _with_soft_labels(opened: DistilledSet) -> tuple[DistilledSet, dict[str, Path]]:
    """The set with the soft-label file that its options name, or else the one found beside it."""
    asked = opened.provenance.options.labels
    if asked is not None:
        path = Path(asked).resolve()
        if names_tree(asked):
            return (with_tree(opened, path) if tree_of(opened) is None else opened), {}
        return (opened, {}) if _was_read(path, opened) else _joined_labels(opened, path)
    beside = find_beside(opened.provenance.path)
    if beside is None or _was_read(beside, opened):
        return opened, {}
    try:
        return _joined_labels(opened, beside)
    except (OtherSamples, HardLabelsOnly, OtherClasses) as error:
        return _warned(opened, f"not used, though it lies beside the set: {error}"), {}


class OtherClasses(UnreadableInput):
    """The file holds soft labels for another number of classes."""


def _joined_labels(opened: DistilledSet, path: Path) -> tuple[DistilledSet, dict[str, Path]]:
    source = read_soft_labels(path, len(opened), opened.num_classes)
    classes, names = source.num_classes, opened.class_names
    if classes > len(names) and names == numbered_classes(len(names)) and not opened.label_sources:
        names = numbered_classes(classes)  # the highest class has no sample of its own
    if classes != len(names):
        raise OtherClasses(
            f"{path.name} holds soft labels for {classes} classes but the set has {len(names)}; is it of this set?"
        )
    name = GIVEN if GIVEN not in opened.label_sources else path.stem
    joined = replace(
        opened,
        class_names=names,
        label_sources={**opened.label_sources, name: source},
        provenance=replace(opened.provenance, files=_joined(opened.provenance.files, (path,))),
    )
    return joined, {name: path}


def _was_read(path: Path, opened: DistilledSet) -> bool:
    """Whether the format or the manifest has taken this file already."""
    return any(file.name == path.name and file.resolve() == path.resolve() for file in opened.provenance.files)


def _warned(opened: DistilledSet, warning: str) -> DistilledSet:
    origin = opened.provenance
    return replace(opened, provenance=replace(origin, warnings=(*origin.warnings, warning)))


def _joined(files: Sequence[Path], more: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((*files, *more)))


def _of_kind(source: SoftLabels, kind: Kind | None) -> SoftLabels:
    return source if kind is None else replace(source, kind=kind)  # type: ignore[type-var]


def _in_space(opened: DistilledSet, manifest: Manifest) -> Images | None:
    """The images in the manifest's pixel space, unless a person chose one when opening the set."""
    if manifest.pixel_space is None or opened.images is None or opened.provenance.options.profile is not None:
        return opened.images
    space = PROFILES[manifest.pixel_space]
    channels = opened.images.store.read(0).shape[0]
    if space.mean and len(space.mean) != channels:
        raise UnreadableInput(
            f"{manifest.path.name} names the pixel_space {space.name}, for {len(space.mean)} channels, but the images have "
            f"{channels}; correct it."
        )
    stated = replace(space, evidence=f"stated in {manifest.path.name}: {space.evidence}", chosen=True)
    return replace(opened.images, pixel_space=stated)


def _hard_labels(manifest: Manifest, opened: DistilledSet, classes: int) -> np.ndarray:
    """Those that the manifest names, int64 (N,), or the set's. Raises UnreadableInput."""
    file, n = manifest.hard_labels, len(opened)
    if file is None:
        return opened.labels
    values = as_tensor(read_npy(file), file.name)
    if values.dtype not in INTEGER_DTYPES or values.shape != (n,):
        raise UnreadableInput(
            f"{file.name}: {tuple(values.shape)} {values.dtype} does not label {n} samples; give an integer for each."
        )
    if int(values.min()) < 0 or int(values.max()) >= classes:
        raise UnreadableInput(f"{file.name}: labels are not all in 0 to {classes - 1}, the set's classes; correct them.")
    return values.long().numpy()


def _reference(files: ImageFiles | None, classes: int) -> Reference | None:
    """uint8 images (M, ch, H, W), (M, H, W, ch) or (M, H, W), memory-mapped, and their labels (M,)."""
    if files is None:
        return None
    pixels, labels = (as_tensor(read_npy(file), file.name) for file in (files.images, files.labels))
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.ndim == 4 and pixels.shape[1] not in (1, 3) and pixels.shape[3] in (1, 3):
        pixels = pixels.permute(0, 3, 1, 2)
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.numel() == 0 or pixels.shape[1] not in (1, 3):
        raise UnreadableInput(
            f"{files.images.name}: {tuple(pixels.shape)} {pixels.dtype} is no set of images; uint8 (M, ch, H, W) is needed."
        )
    if labels.dtype not in INTEGER_DTYPES or labels.shape != (len(pixels),):
        raise UnreadableInput(
            f"{files.labels.name}: {tuple(labels.shape)} {labels.dtype} does not label {len(pixels)} images; give integers."
        )
    values = labels.long().numpy()
    if values.min() < 0 or values.max() >= classes:
        raise UnreadableInput(
            f"{files.labels.name}: labels are not all in 0 to {classes - 1}, the set's classes; correct them."
        )
    return Reference(Images(TensorStore(pixels), PROFILES[files.pixel_space]), values)


def _lost_dataset(curated: CuratedSet, out: Path) -> str | None:
    """The data set that the original's path names, where nothing written in ``out`` names it any more."""
    dataset = dataset_of(curated.original.provenance)
    return dataset if dataset not in {guess_dataset(Path(entry.name)) for entry in out.iterdir()} else None


def _space_to_state(space: PixelSpace | None, lost_dataset: str | None, out: Path) -> str | None:
    """The profile to write: a person's choice, or one that could not be detected again from what lies in ``out``."""
    if space is None or space.name not in PROFILES:
        return None
    lost_zca = space.kind == "zca" and not any("zca" in entry.name.lower() for entry in out.iterdir())
    lost_numbers = space.kind == "normalised" and lost_dataset is not None
    return space.name if space.chosen or lost_zca or lost_numbers else None


def _loses_classes(opened: DistilledSet, lost_dataset: str | None, out: Path) -> bool:
    """Whether the files in ``out`` alone would give other class names, or fewer classes."""
    names = opened.class_names
    if isinstance(held := opened.extras.get(HELD), Held) and held.class_names:
        return False
    if names == numbered_classes(len(names)):
        return not opened.per_class[-1]
    if names == class_names_of(dataset_of(opened.provenance)):
        return lost_dataset is not None
    return not ((out / names[0]).is_dir() or any((out / file).is_file() for file in METADATA_FILES))


def _sources_to_write(opened: DistilledSet, companions: Companions) -> dict[str, SoftLabels]:
    """All sources but the given one where the set's own format holds it; pictures made of a set hold none. Trees of crops,
    which no file beside a set can hold, are left out."""
    rows = {name: source for name, source in opened.label_sources.items() if source.one_row_each}
    if isinstance(held := opened.extras.get(HELD), Held):
        return {name: source for name, source in rows.items() if name not in held.sources}
    as_pictures = opened.images is not None and isinstance(opened.images.store, ViewableStore)
    beside = as_pictures or GIVEN in companions.label_files
    return {name: source for name, source in rows.items() if name != GIVEN or beside}


def _loses_hard_labels(opened: DistilledSet, companions: Companions) -> bool:
    """Whether the set's format would take other hard labels from the soft ones that are written: where these were replaced,
    or hard labels were stated beside the set already."""
    stated = companions.manifest is not None and companions.manifest.hard_labels is not None
    held, given = opened.extras.get(HELD), opened.label_sources.get(GIVEN)
    if (isinstance(held, Held) and held.hard_labels) or given is None or not (stated or own_labels(opened) is not None):
        return False
    return not np.array_equal(hard_labels(given), opened.labels)


def _write_hard_labels(labels: np.ndarray, out: Path) -> Path:
    target = _free(out / "hard_labels.npy")
    np.save(target, labels, allow_pickle=False)
    return target


def _write_source(name: str, source: SoftLabels, curated: CuratedSet, like: Path | None, out: Path) -> Path:
    if like is not None and name == GIVEN and curated.relabels_all and not can_hold_any(like):
        like = None  # digits or the largest classes alone: logits would not be the same again
    if like is None:
        plain = "soft_labels.pt" if name == GIVEN else f"{_plain(name)}.safetensors"
        return write_soft_labels(source, _free(out / plain))
    in_place = not curated.decided and np.array_equal(curated.kept, np.arange(len(curated.original)))
    as_it_was = in_place and not (name == GIVEN and curated.relabels_all)
    return write_soft_labels(source, _free(out / like.name), like, None if as_it_was else curated.kept)


def _image_files(manifest: Manifest | None) -> dict[str, ImageFiles]:
    pairs = {} if manifest is None else {"reference": manifest.reference, "test": manifest.test}
    return {what: pair for what, pair in pairs.items() if pair is not None}


def _copy(source: Path, out: Path) -> Path:
    target = _free(out / source.name)
    shutil.copyfile(source, target)
    return target


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "labels"


def _free(path: Path) -> Path:
    """``path``, or the first of its numbered variants that is not there yet."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}_{number}{path.suffix}"), number + 1
    return candidate
