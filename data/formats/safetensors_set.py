""".safetensors files that hold a whole set: images, labels and soft labels under usual names.

Names and axes are understood as in .npz archives. The metadata may have ``class_names``, a JSON list, and ``kind``: what the
soft labels are. Every other tensor and text is kept (huggingface/safetensors, README "Format").
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance
from data.errors import UnreadableInput
from data.formats.array_files import read_safetensors, safetensors_metadata, write_safetensors
from data.formats.array_layout import (
    IMAGE_KEYS,
    LABEL_KEYS,
    SOFT_KEYS,
    ArrayLayout,
    channels_first,
    find,
    fitting,
    hard_and_soft,
    understand,
)
from data.formats.common import (
    MOST_CLASSES,
    image_tensor,
    make_set,
    method_of,
    soft_label_notes,
    tensor_images,
    unchecked,
)
from data.formats.companions import HELD, Held
from data.soft_labels import KINDS, DenseSoftLabels, Kind

NAME = "safetensors"
TITLE = ".safetensors files with images, labels and soft labels"
SUFFIX = ".safetensors"
MOST_HEADER_BYTES = 1 << 24
NAMES_KEY, KIND_KEY = "class_names", "kind"


@dataclass(frozen=True)
class SafetensorsLayout(ArrayLayout):
    """Which tensor holds what, and the file's metadata."""

    metadata: dict[str, str]


def recognises(path: Path) -> bool:
    """A .safetensors file with a tensor that is called as images or labels are, or a broken one: reading it says how."""
    if not path.is_file() or path.suffix.lower() != SUFFIX:
        return False
    keys = _keys(path)
    return keys is None or find(keys, (*IMAGE_KEYS, *LABEL_KEYS, *SOFT_KEYS)) is not None


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Open the file, memory-mapped. Raises UnreadableInput on damage, wrong shapes or values, and missing labels."""
    if not path.is_file():
        raise UnreadableInput(f"{path.name} is not a file; point at the {SUFFIX} file.")
    tensors, metadata = read_safetensors(path), safetensors_metadata(path)
    floating = frozenset(key for key, tensor in tensors.items() if tensor.is_floating_point())
    arrays, warnings = understand({key: tuple(tensor.shape) for key, tensor in tensors.items()}, floating, path.name)
    layout = SafetensorsLayout(**vars(arrays), metadata=metadata)
    hard, given = hard_and_soft(layout, tensors.__getitem__, path.name, _kind(metadata))
    images = None
    if layout.images is not None:
        pixels = channels_first(tensors[layout.images], layout.axes)
        images = tensor_images(pixels, path, options)
        warnings = (*warnings, *unchecked(pixels))
    said = () if KIND_KEY in metadata else soft_label_notes(given)
    origin = Provenance(path, NAME, method_of(path), (path,), options, (*warnings, *said))
    opened = make_set(origin, hard, given, images, {NAME: layout})
    names = _class_names(metadata, path.name)
    return opened if names is None else replace(opened, class_names=names)


def as_written(curated: CuratedSet) -> CuratedSet:
    """The same, with what the file itself says of labels and classes."""
    layout, given = _layout(curated), curated.set.label_sources.get(GIVEN)
    if layout is None:
        held = Held(frozenset([GIVEN] if isinstance(given, DenseSoftLabels) else []), class_names=True, hard_labels=True)
    else:
        names, key = _class_names(layout.metadata, "the file"), _soft_key(curated, layout)
        holds = key is not None or curated.relabels_all
        apart = layout.labels is not None and layout.labels != key
        held = Held(frozenset([GIVEN] if holds else []), names == curated.set.class_names, hard_labels=apart)
    return replace(curated, set=replace(curated.set, extras={**curated.set.extras, HELD: held}))


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The same file with the kept rows and changed labels, every other tensor and the metadata as they were; from another
    format, ``images`` (N, ch, H, W) as stored, ``labels`` and ``soft_labels``, with the names of the classes."""
    layout = _layout(curated)
    if layout is None:
        return [_write_new(curated.set, out / f"{curated.set.name}{SUFFIX}")]
    source = curated.original.provenance.path
    target = out / source.name
    if curated.unchanged:
        shutil.copyfile(source, target)
    else:
        tensors = read_safetensors(source)
        changed = {key: _member(curated, layout, key, tensor) for key, tensor in tensors.items()}
        metadata = layout.metadata
        if curated.relabels_all:
            key = _soft_key(curated, layout) or "soft_labels"
            changed[key] = curated.set.label_sources[GIVEN].stored(np.arange(len(curated.set)))
            metadata = {**metadata, KIND_KEY: curated.set.label_sources[GIVEN].kind}
        write_safetensors(changed, target, metadata)
    return [target]


def _layout(curated: CuratedSet) -> SafetensorsLayout | None:
    layout = curated.original.extras.get(NAME)
    return layout if isinstance(layout, SafetensorsLayout) else None


def _keys(path: Path) -> dict[str, object] | None:
    """The names in the header, without reading further; None where there is no such header."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            said = json.loads(file.read(size)) if size <= MOST_HEADER_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _kind(metadata: dict[str, str]) -> Kind | None:
    return next((kind for kind in KINDS if kind == metadata.get(KIND_KEY)), None)


def _class_names(metadata: dict[str, str], where: str) -> tuple[str, ...] | None:
    if NAMES_KEY not in metadata:
        return None
    try:
        names = json.loads(metadata[NAMES_KEY])
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not 0 < len(names) <= MOST_CLASSES or not all(isinstance(n, str) and n for n in names):
        raise UnreadableInput(f"{where}: {NAMES_KEY} in its metadata is no JSON list of names; correct or remove it.")
    return tuple(names)


def _soft_key(curated: CuratedSet, layout: SafetensorsLayout) -> str | None:
    """The tensor with the given soft labels: the soft one, or labels that are rows of real numbers."""
    if layout.soft is not None or layout.labels is None:
        return layout.soft
    tensor = read_safetensors(curated.original.provenance.path)[layout.labels]
    return layout.labels if tensor.is_floating_point() and tensor.ndim == 2 else None


def _member(curated: CuratedSet, layout: SafetensorsLayout, key: str, original: torch.Tensor) -> torch.Tensor:
    """One tensor to write. Those that are neither images nor labels stay as they are, but for those with a row a sample
    (N rows where N is not the number of classes), of which the kept rows are written."""
    if key == _soft_key(curated, layout):
        return curated.set.label_sources[GIVEN].stored(np.arange(len(curated.set))).to(original.dtype)
    if key == layout.labels:
        whole = original.dtype if not original.is_floating_point() else torch.int64
        labels = fitting(curated.set.labels, torch.empty(0, dtype=whole).numpy().dtype)
        return torch.from_numpy(labels).to(original.dtype).reshape(-1, *original.shape[1:])
    n = len(curated.original)
    per_sample = original.shape[:1] == (n,) and n != curated.original.num_classes
    if curated.pruned and (key == layout.images or per_sample):
        return original[torch.from_numpy(curated.kept)]
    return original


def _write_new(opened: DistilledSet, target: Path) -> Path:
    tensors = {} if opened.images is None else {"images": image_tensor(opened)}
    tensors["labels"] = torch.from_numpy(opened.labels)
    metadata = {"format": "pt", NAMES_KEY: json.dumps(list(opened.class_names), ensure_ascii=False)}
    given = opened.label_sources.get(GIVEN)
    if isinstance(given, DenseSoftLabels):
        tensors["soft_labels"] = given.stored(np.arange(len(given)))
        metadata[KIND_KEY] = given.kind
    write_safetensors(tensors, target, metadata)
    return target
