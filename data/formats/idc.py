"""IDC's data.pt (snu-mllab/Efficient-Dataset-Condensation, condense.py:572): a list [images, labels].

Pixels are about [0, 1], not normalised and not clamped. Each stored image packs factor x factor smaller ones, which training
cuts out and enlarges, so the effective images per class are IPC x factor².
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch

from data.curation import CuratedSet
from data.distilled_set import DistilledSet, OpenOptions, Provenance
from data.errors import UnreadableInput
from data.formats.common import (
    image_tensor,
    label_tensor,
    labels_of,
    make_set,
    soft_label_notes,
    tensor_images,
    unchecked,
)
from data.images import Images
from data.pixels import PROFILES, out_of_range
from data.torch_files import is_torch_file, outline, read_torch, write_torch

NAME = "idc"
TITLE = "IDC data.pt"
USUAL_FACTOR = 2
MOST_OUTSIDE = 0.25
"""IDC overshoots [0, 1] a little; normalised images lie outside it for about half of their values."""


def recognises(path: Path) -> bool:
    """A torch file that holds a list of two tensors, or a folder with such a data.pt."""
    file = _file(path)
    if not file.is_file() or not is_torch_file(file):
        return False
    try:
        return _is_pair(outline(file))
    except UnreadableInput:
        return False


def read(path: Path, options: OpenOptions = OpenOptions()) -> DistilledSet:
    """The images as stored, tiles and all. Raises UnreadableInput in one sentence."""
    file = _file(path)
    stored = read_torch(file)
    if not _is_pair(stored):
        raise UnreadableInput(f"{file.name} is no IDC file: it does not hold a list of images and labels.")
    images, labels = stored  # type: ignore[misc]
    hard, soft = labels_of(labels, file.name)
    factor = _factor(file)
    warnings = (*_tile_warnings(factor), *_phase_warnings(file), *unchecked(images), *soft_label_notes(soft))
    provenance = Provenance(path, NAME, "IDC", (file,), options, warnings)
    extras = {"stored type": type(stored), "labels": labels, **({} if factor is None else {"tiles": factor})}
    return make_set(provenance, hard, soft, _as_unit(tensor_images(images, file, options)), extras)


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """``data.pt``, or the name that the source has."""
    target, source = curated.set, curated.original.provenance
    ours = source.format == NAME
    path = out / (source.files[0].name if ours else "data.pt")
    like = target.extras["labels"] if ours else None
    kind = target.extras["stored type"] if ours else list
    write_torch(kind([image_tensor(target), label_tensor(target, like=like)]), path)  # type: ignore[operator, arg-type]
    return [path]


def _file(path: Path) -> Path:
    return path / "data.pt" if path.is_dir() else path


def _is_pair(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(isinstance(v, torch.Tensor) for v in value):
        return False
    return value[0].ndim == 4 and value[1].ndim in (1, 2)


def _factor(path: Path) -> int | None:
    """Tiles a side, where a folder says so: IDC names its runs ..._factor2_... (argument.py, "EXP tag")."""
    for part in path.parts[-4:]:
        if found := re.search(r"factor[-_=]?([1-9])(?!\d)", part):
            return int(found[1])
    return None


def _tile_warnings(factor: int | None) -> tuple[str, ...]:
    kept = "images are shown and kept as stored"
    if factor == 1:
        return ()
    if factor is not None:
        return (
            f"each stored image packs {factor} x {factor} tiles (the path says factor {factor}), so training uses "
            f"{factor**2} times the stored images per class; {kept}",
        )
    return (
        f"IDC packs several tiles into each stored image, and the file does not say how many: usually {USUAL_FACTOR} x "
        f"{USUAL_FACTOR}, which gives {USUAL_FACTOR**2} times the stored images per class, and 3 x 3 for ImageNet; {kept}",
    )


def _phase_warnings(path: Path) -> tuple[str, ...]:
    """IDC condenses ImageNet-100 in parts, {run}_20_phase{i}, each of which numbers its own classes from 0 (data.py,
    ImageFolder.find_subclasses), while its test.py joins the parts without renumbering them."""
    found = re.search(r"_(\d+)_phase(\d+)$", path.parent.name)
    if found is None:
        return ()
    return (
        f"phase {found[2]} of a set condensed in parts of {found[1]} classes: IDC numbers the classes of each part from 0, "
        "so parts are opened one by one, and their labels do not say which of all classes is meant",
    )


def _as_unit(images: Images) -> Images:
    """IDC's own pixel space, unless a person chose another or the values contradict it."""
    share = out_of_range(images.stored(images.sample_ids(256)), PROFILES["unit"])
    if images.pixel_space.chosen or images.pixel_space.kind == "uint8" or share is None or share > MOST_OUTSIDE:
        return images
    evidence = f"IDC keeps pixels in [0, 1] without clamping; {share:.1%} of the values looked at lie outside"
    return replace(images, pixel_space=replace(PROFILES["unit"], evidence=evidence))
