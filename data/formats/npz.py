"""NumPy archives: KIP's ``kip_*.npz`` and any .npz with images and labels under common names.

KIP (arXiv 2107.13034; read as dc_benchmark's data_loader/kip_data_loader.py does) stores ``images`` NHWC and float
``labels`` (N, C), learned or mean-centred one-hot. no-distillation's ``label_analysis_*.npz`` holds ``softlabels`` and
``hardlabels`` without images. Keys, dtypes, layout, compression and all other members are kept for writing back.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance
from data.errors import ImpossibleRequest
from data.formats.array_files import Header, as_array, as_tensor, npz_headers, read_npz, write_npz
from data.formats.array_layout import SOFT_KEYS, ArrayLayout, channels_first, fitting, hard_and_soft, understand
from data.formats.common import make_set, tensor_images
from data.formats.companions import HELD, Held
from data.images import Images
from data.pixels import PROFILES
from data.soft_labels import DenseSoftLabels

NAME = "npz"
TITLE = "npz archives with images and labels (KIP and others)"


@dataclass(frozen=True)
class NpzLayout(ArrayLayout):
    """Which member holds what, and the header of each."""

    headers: dict[str, Header]


def recognises(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() != ".npz":
        return False
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Open the archive; stored members are memory-mapped. Raises UnreadableInput on objects, damage or wrong shapes."""
    headers = npz_headers(path)
    floating = frozenset(key for key, header in headers.items() if header.dtype.kind == "f")
    arrays, warnings = understand({key: header.shape for key, header in headers.items()}, floating, path.name)
    layout = NpzLayout(**vars(arrays), headers=headers)
    is_kip = path.name.lower().startswith("kip_")
    labels, given = hard_and_soft(layout, lambda key: _tensor(path, layout, key), path.name, "scores" if is_kip else None)
    origin = Provenance(path, NAME, "KIP" if is_kip else "npz", (path,), options, warnings)
    return make_set(origin, labels, given, _images(path, layout, options, is_kip), {"npz": layout})


def as_written(curated: CuratedSet) -> CuratedSet:
    """The same, with what the archive itself says of labels where these were replaced."""
    layout = curated.original.extras.get("npz")
    if not curated.relabels_all:
        return curated
    apart = not isinstance(layout, NpzLayout) or (layout.labels is not None and layout.labels != _soft_key(layout))
    held = Held(frozenset([GIVEN]), hard_labels=apart)
    return replace(curated, set=replace(curated.set, extras={**curated.set.extras, HELD: held}))


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The same archive with the kept rows and changed labels; from another format, ``images``, ``labels`` and
    ``softlabels`` with the images (N, ch, H, W) as stored."""
    layout = curated.original.extras.get("npz")
    if not isinstance(layout, NpzLayout):
        return [_write_new(curated.set, out / f"{curated.set.name}.npz")]
    source = curated.original.provenance.path
    target = out / source.name
    if curated.unchanged:
        shutil.copyfile(source, target)
        return [target]
    arrays = {key: _member(curated, layout, key) for key in layout.headers}
    if curated.relabels_all and _soft_key(layout) is None:
        arrays[_free_key(layout)] = as_array(curated.set.label_sources[GIVEN].stored(np.arange(len(curated.set))))
    write_npz(arrays, target, frozenset(key for key, header in layout.headers.items() if header.offset is None))
    return [target]


def _images(path: Path, layout: NpzLayout, options: OpenOptions, is_kip: bool) -> Images | None:
    if layout.images is None:
        return None
    images = tensor_images(channels_first(_tensor(path, layout, layout.images), layout.axes), path, options)
    if is_kip and "zca" in path.name.lower() and options.profile is None:
        space = replace(PROFILES["zca"], evidence="'zca' in the name of a KIP file; KIP's transform is its own (reg 0.1)")
        return replace(images, pixel_space=space)
    return images


def _tensor(path: Path, layout: NpzLayout, key: str) -> torch.Tensor:
    return as_tensor(read_npz(path, key, layout.headers[key]), f"{path.name}, '{key}'")


def _member(curated: CuratedSet, layout: NpzLayout, key: str) -> np.ndarray:
    """One member of the archive to write. Members that are neither images nor labels stay as they are, but for those
    with a row a sample (N rows where N is not the number of classes), of which the kept rows are written."""
    header = layout.headers[key]
    original = read_npz(curated.original.provenance.path, key, header)
    everything = np.arange(len(curated.set))
    if key == layout.images:
        return _kept_rows(original, curated)
    given = curated.set.label_sources.get(GIVEN)
    if key == _soft_key(layout):
        assert given is not None
        rows = as_array(given.stored(everything))
        return rows if curated.relabels_all else rows.astype(header.dtype, copy=False)
    if key == layout.labels:
        return fitting(curated.set.labels, header.dtype).reshape(-1, *header.shape[1:])
    n = len(curated.original)
    per_sample = header.shape[:1] == (n,) and n != curated.original.num_classes
    return _kept_rows(original, curated) if per_sample else original


def _soft_key(layout: NpzLayout) -> str | None:
    """The member with the given soft labels: the soft one, or labels that are rows of real numbers."""
    if layout.soft is not None or layout.labels is None:
        return layout.soft
    header = layout.headers[layout.labels]
    return layout.labels if header.dtype.kind == "f" and len(header.shape) == 2 else None


def _free_key(layout: NpzLayout) -> str:
    taken = {key.lower() for key in layout.headers}
    free = next((name for name in SOFT_KEYS if name not in taken), None)
    if free is None:
        raise ImpossibleRequest("every name for soft labels is taken in this archive by something else; rename one of them.")
    return free


def _kept_rows(original: np.ndarray, curated: CuratedSet) -> np.ndarray:
    return original[curated.kept] if curated.pruned else original


def _write_new(opened: DistilledSet, target: Path) -> Path:
    arrays: dict[str, np.ndarray] = {}
    everything = np.arange(len(opened))
    if opened.images is not None:
        if opened.images.dtype == torch.bfloat16:
            raise ImpossibleRequest(f"the images of {opened.name} are bfloat16, which NumPy lacks; choose another format.")
        arrays["images"] = as_array(opened.images.stored(everything))
    arrays["labels"] = opened.labels
    given = opened.label_sources.get(GIVEN)
    if isinstance(given, DenseSoftLabels):
        arrays["softlabels"] = as_array(given.stored(everything))
    elif given is not None and given.one_row_each:
        raise ImpossibleRequest("an npz here holds whole rows of soft labels, not the top k; choose the set's own format.")
    write_npz(arrays, target)
    return target
