"""NumPy archives: KIP's ``kip_*.npz`` and any .npz with images and labels under common names.

KIP (arXiv 2107.13034; read as dc_benchmark's data_loader/kip_data_loader.py does) stores ``images`` NHWC and float
``labels`` (N, C), learned or mean-centred one-hot. no-distillation's ``label_analysis_*.npz`` holds ``softlabels`` and
``hardlabels`` without images. Keys, dtypes, layout, compression and all other members are kept for writing back.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats.array_files import Header, as_array, as_tensor, npz_headers, read_npz, write_npz
from data.formats.common import labels_of, make_set, tensor_images
from data.images import Images
from data.pixels import PROFILES
from data.soft_labels import DenseSoftLabels, SoftLabels

NAME = "npz"
TITLE = "npz archives with images and labels (KIP and others)"

IMAGE_KEYS = ("images", "image", "x", "data", "imgs", "image_syn", "x_syn", "x_train")
SOFT_KEYS = ("softlabels", "soft_labels", "logits", "probabilities", "probs")
LABEL_KEYS = ("labels", "label", "y", "targets", "target", "label_syn", "y_syn", "y_train", "hardlabels", "hard_labels")
CHANNELS = (1, 3)


@dataclass(frozen=True)
class NpzLayout:
    """Which member holds what; the axes of the images as stored, ``NHWC``, ``NCHW`` or ``NHW``."""

    images: str | None
    axes: str
    labels: str | None
    soft: str | None
    headers: dict[str, Header]


def recognises(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() != ".npz":
        return False
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Open the archive; stored members are memory-mapped. Raises UnreadableInput on objects, damage or wrong shapes."""
    headers = npz_headers(path)
    layout, warnings = _understand(headers, path.name)
    is_kip = path.name.lower().startswith("kip_")
    labels, given = _labels(path, layout, is_kip)
    origin = Provenance(path, NAME, "KIP" if is_kip else "npz", (path,), options, warnings)
    return make_set(origin, labels, given, _images(path, layout, options, is_kip), {"npz": layout})


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
    write_npz(arrays, target, frozenset(key for key, header in layout.headers.items() if header.offset is None))
    return [target]


def _understand(headers: dict[str, Header], where: str) -> tuple[NpzLayout, tuple[str, ...]]:
    images = _find(headers, IMAGE_KEYS)
    labels = _find(headers, LABEL_KEYS)
    soft = _find({key: header for key, header in headers.items() if header.dtype.kind == "f"}, SOFT_KEYS)
    if soft is not None and labels is not None and headers[labels].dtype.kind == "f":
        labels = None  # a second matrix of floats is kept as it is, like any other member
    if labels is None and soft is None:
        raise UnreadableInput(
            f"{where} holds {', '.join(list(headers)[:8]) or 'nothing'} but no labels; name them one of "
            f"{', '.join((*LABEL_KEYS[:4], *SOFT_KEYS[:2]))}."
        )
    if images is None:
        return NpzLayout(None, "", labels, soft, headers), ()
    axes, warnings = _axes(headers[images].shape, f"{where}, '{images}'")
    return NpzLayout(images, axes, labels, soft, headers), warnings


def _find(headers: dict[str, Header], names: Sequence[str]) -> str | None:
    known = {key.lower(): key for key in headers}
    return next((known[name] for name in names if name in known), None)


def _axes(shape: tuple[int, ...], where: str) -> tuple[str, tuple[str, ...]]:
    if len(shape) == 3:
        return "NHW", (f"images have shape {shape}: read as grey images, (samples, height, width).",)
    if len(shape) != 4:
        raise UnreadableInput(
            f"{where}: images have shape {shape}; (samples, height, width, channels) or (samples, channels, height, width) "
            "is needed."
        )
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if not first and not last:
        raise UnreadableInput(f"{where}: shape {shape} has neither 1 nor 3 channels first or last; save it in one of them.")
    axes = "NHWC" if last and not (first and shape[2] == shape[3]) else "NCHW"
    spelled = "channels last" if axes == "NHWC" else "channels first"
    doubt = "; both ends could be channels, so check the pictures" if first and last else ""
    return axes, (f"images have shape {shape}: read as {axes} ({spelled}){doubt}.",)


def _images(path: Path, layout: NpzLayout, options: OpenOptions, is_kip: bool) -> Images | None:
    if layout.images is None:
        return None
    stored = as_tensor(read_npz(path, layout.images, layout.headers[layout.images]), f"{path.name}, '{layout.images}'")
    images = tensor_images(_channels_first(stored, layout.axes), path, options)
    if is_kip and "zca" in path.name.lower() and options.profile is None:
        space = replace(PROFILES["zca"], evidence="'zca' in the name of a KIP file; KIP's transform is its own (reg 0.1)")
        return replace(images, pixel_space=space)
    return images


def _channels_first(stored: torch.Tensor, axes: str) -> torch.Tensor:
    if axes == "NHW":
        return stored[:, None]
    return stored.permute(0, 3, 1, 2) if axes == "NHWC" else stored


def _labels(path: Path, layout: NpzLayout, is_kip: bool) -> tuple[np.ndarray, SoftLabels | None]:
    """Hard labels int64 (N,), and the soft ones where there are any; hard labels stored beside soft ones win."""
    parts = {}
    for key in filter(None, (layout.labels, layout.soft)):
        where = f"{path.name}, '{key}'"
        array = read_npz(path, key, layout.headers[key])
        if not math.prod(array.shape) or not array.ndim:
            raise UnreadableInput(f"{where}: no labels, shape {array.shape}; one a sample is needed.")
        parts[key] = labels_of(as_tensor(array, where), where, "scores" if is_kip and array.dtype.kind == "f" else None)
    hard, given = parts.get(layout.labels or "", (None, None))
    if layout.soft is not None:
        argmax, soft = parts[layout.soft]
        hard = argmax if hard is None else hard
        given = soft if soft is not None else given
    assert hard is not None
    return hard, given


def _member(curated: CuratedSet, layout: NpzLayout, key: str) -> np.ndarray:
    """One member of the archive to write. Members that are neither images nor labels stay as they are, but for those
    with a row a sample (N rows where N is not the number of classes), of which the kept rows are written."""
    header = layout.headers[key]
    original = read_npz(curated.original.provenance.path, key, header)
    everything = np.arange(len(curated.set))
    if key == layout.images:
        return _kept_rows(original, curated)
    given = curated.set.label_sources.get(GIVEN)
    is_matrix = header.dtype.kind == "f" and len(header.shape) == 2
    if key == layout.soft or (key == layout.labels and is_matrix):
        assert given is not None
        return as_array(given.stored(everything)).astype(header.dtype, copy=False)
    if key == layout.labels:
        return _fitting(curated.set.labels, header.dtype).reshape(-1, *header.shape[1:])
    n = len(curated.original)
    per_sample = header.shape[:1] == (n,) and n != curated.original.num_classes
    return _kept_rows(original, curated) if per_sample else original


def _kept_rows(original: np.ndarray, curated: CuratedSet) -> np.ndarray:
    return original[curated.kept] if curated.pruned else original


def _fitting(labels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    fitting = labels.astype(dtype)
    if not (fitting == labels).all():
        raise ImpossibleRequest(f"class {labels.max()} does not fit the file's label dtype {dtype}; choose another format.")
    return fitting


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
    elif given is not None:
        raise ImpossibleRequest("an npz here holds whole rows of soft labels, not the top k; choose the set's own format.")
    write_npz(arrays, target)
    return target
