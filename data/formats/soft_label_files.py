"""Files that hold soft labels and nothing else, for a set whose images lie elsewhere.

``.pt``/``.pth``, ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv`` and ``.txt``: a matrix (N, C), or the k
largest values a row with their class indices. Written back in the same format, under the same keys, in the same dtype.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import parquet_labels
from data.formats.array_files import (
    as_array,
    as_tensor,
    npz_headers,
    read_npy,
    read_npz,
    read_safetensors,
    write_npz,
    write_safetensors,
)
from data.formats.common import INTEGER_DTYPES, MOST_CLASSES, check_finite
from data.formats.numeric_text import read_numbers, write_numbers
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels, detect_kind, detect_top_k_kind
from data.torch_files import read_torch, write_torch

SUFFIXES = (".safetensors", ".npy", ".npz", ".pt", ".pth", ".parquet", ".csv")
ALL_SUFFIXES = (*SUFFIXES, ".txt")
_DENSE = ("soft_labels", "softlabels", "labels", "logits", "probabilities", "probs", "values")
_VALUES = ("topk_values", "top_k_values", "values", "logits", "probabilities")
_INDICES = ("topk_indices", "top_k_indices", "indices")
_COUNT = "num_classes"

Members = dict[str, torch.Tensor]


class HardLabelsOnly(UnreadableInput):
    """The file is a list of class indices, not of soft labels."""


class OtherSamples(UnreadableInput):
    """The file holds soft labels for another number of samples."""


def read_soft_labels(path: Path, n: int, num_classes_hint: int | None = None) -> SoftLabels:
    """The soft labels of ``n`` samples in ``path``, memory-mapped where the format allows.

    Raises UnreadableInput where the file is damaged or unsafe, HardLabelsOnly where it holds class indices, OtherSamples
    where it has not as many rows as there are samples.
    """
    members = _members(path)
    indices_key = _named(members, _INDICES)
    if indices_key is not None:
        source = _top_k(members, indices_key, num_classes_hint, path.name)
    else:
        source = _dense(members[_dense_key(members, path.name)], path.name)
    if len(source) != n:
        raise OtherSamples(
            f"{path.name} holds soft labels for {len(source)} samples but the set has {n}; check that they belong together."
        )
    return source


def write_soft_labels(source: SoftLabels, path: Path, like: Path | None = None, rows: np.ndarray | None = None) -> Path:
    """``source`` in the format that ``path``'s suffix names.

    ``like`` is the file the labels came from: its keys, dtypes and other contents are kept, and it is copied byte for byte
    where ``rows`` is None. ``rows`` (M,) int64 are the rows of ``like`` that ``source``'s M rows replace.
    """
    suffix = _suffix(path)
    if like is not None and rows is None:
        return Path(shutil.copyfile(like, path))
    everything = np.arange(len(source))
    values = source.stored(everything).contiguous()
    if suffix == ".parquet":
        parquet_labels.write(_only_dense(source, values), path, like, rows)
    elif suffix in (".csv", ".txt"):
        _write_text(_only_dense(source, values), path, like)
    else:
        _save(_changed(source, values, path, like), path, like)
    return path


def can_hold_any(path: Path) -> bool:
    """Whether the file's format and keys can hold a full row of float32 for each sample, bit for bit."""
    return path.suffix.lower() not in (".csv", ".txt") and _named(_members(path), _INDICES) is None


def find_beside(path: Path) -> Path | None:
    """A soft-label file that goes by its name with the set at ``path``, or None.

    In an image folder ``soft_labels.*``, ``labels.pt`` or ``labels.npy``; beside it the same, or with the folder's name in
    front; beside a file ``soft_labels.*`` with the file's name in front, or without.
    """
    named = [f"{path.name if path.is_dir() else path.stem}_soft_labels{suffix}" for suffix in SUFFIXES]
    plain = [f"soft_labels{suffix}" for suffix in SUFFIXES]
    bare = ["labels.pt", "labels.npy"]
    places = [path / name for name in (*plain, *bare)] if path.is_dir() else []
    places += [path.parent / name for name in (*named, *plain, *(bare if path.is_dir() else []))]
    return next((place for place in places if os.path.isfile(place)), None)  # unlike is_file, False for too long a name


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in ALL_SUFFIXES:
        raise UnreadableInput(f"{path.name}: soft labels are kept in {', '.join(ALL_SUFFIXES)}; use one of them.")
    return suffix


def _members(path: Path) -> Members:
    """Every tensor of the file by key; one without keys is under ""."""
    suffix = _suffix(path)
    if not os.path.isfile(path):  # unlike is_file, False for too long a name
        raise UnreadableInput(f"{path} is not a file; check the path of the soft labels.")
    if suffix == ".npy":
        return {"": as_tensor(read_npy(path), path.name)}
    if suffix == ".npz":
        headers = npz_headers(path)
        wanted = {key: header for key, header in headers.items() if header.dtype.kind in "fiu"}
        return {key: as_tensor(read_npz(path, key, header), f"{path.name}, '{key}'") for key, header in wanted.items()}
    if suffix == ".safetensors":
        return read_safetensors(path)
    if suffix == ".parquet":
        return {"": parquet_labels.read(path)}
    if suffix in (".csv", ".txt"):
        return {"": read_numbers(path).values}
    return _torch_members(read_torch(path), path.name)


def _torch_members(value: object, where: str) -> Members:
    if isinstance(value, torch.Tensor):
        return {"": value.detach()}
    if isinstance(value, Mapping):
        named = ((key, item) for key, item in value.items() if isinstance(key, str))
        found = {key: item.detach() for key, item in named if isinstance(item, torch.Tensor)}
        count = value.get(_COUNT)
        return {**found, _COUNT: torch.tensor(count)} if isinstance(count, int) and abs(count) < 1 << 62 else found
    raise UnreadableInput(f"{where} holds a {type(value).__name__}; a tensor or a dict of tensors is needed.")


def _named(members: Mapping[str, torch.Tensor], names: tuple[str, ...]) -> str | None:
    known = {key.lower(): key for key in members}
    return next((known[name] for name in names if name in known), None)


def _dense_key(members: Members, where: str) -> str:
    matrices = [key for key, tensor in members.items() if tensor.ndim == 2 and tensor.is_floating_point()]
    if len(matrices) == 1:
        return matrices[0]
    named = _named({key: members[key] for key in matrices}, _DENSE)
    if named is not None:
        return named
    if any(t.dtype in INTEGER_DTYPES and t.ndim and t.numel() == len(t) for t in members.values()) and not matrices:
        raise HardLabelsOnly(f"{where} holds class indices, not soft labels; real numbers (samples, classes) are needed.")
    shapes = ", ".join(f"{key or 'it'}: {tuple(t.shape)} {t.dtype}" for key, t in list(members.items())[:6]) or "nothing"
    raise UnreadableInput(f"{where} has no one matrix of real numbers (samples, classes) but {shapes}; call it soft_labels.")


def _dense(values: torch.Tensor, where: str) -> DenseSoftLabels:
    if values.numel() == 0:
        raise UnreadableInput(f"{where} holds an empty matrix, shape {tuple(values.shape)}; one row a sample is needed.")
    check_finite(values, where, "soft labels")
    return DenseSoftLabels(values, detect_kind(values))


def _top_k(members: Members, indices_key: str, hint: int | None, where: str) -> TopKSoftLabels:
    values_key, indices = _named(members, _VALUES), members[indices_key]
    values = members.get(values_key or "")
    if values is None or values.ndim != 2 or values.shape != indices.shape or not values.is_floating_point():
        raise UnreadableInput(f"{where}: '{indices_key}' needs real 'topk_values' of the same shape {tuple(indices.shape)}.")
    if values.numel() == 0 or indices.dtype not in INTEGER_DTYPES:
        raise UnreadableInput(f"{where}: '{indices_key}' is empty or holds no integers; class indices are needed.")
    check_finite(values, where, "soft labels")
    low, high = int(indices.min()), int(indices.max())
    stated = members.get(_COUNT)
    if stated is not None and not bool(torch.isfinite(stated).all()):
        raise UnreadableInput(f"{where}: '{_COUNT}' is no number; correct or remove it.")
    classes = int(stated) if stated is not None and stated.numel() == 1 else hint or high + 1
    if low < 0 or high >= classes or classes > MOST_CLASSES:
        raise UnreadableInput(f"{where}: class indices {low} to {high} do not fit {classes} classes; check '{indices_key}'.")
    return TopKSoftLabels(values, indices, classes, detect_top_k_kind(values))


def _only_dense(source: SoftLabels, values: torch.Tensor) -> torch.Tensor:
    if isinstance(source, TopKSoftLabels):
        raise ImpossibleRequest("top-k soft labels need a file with keys; write .pt, .npz or .safetensors.")
    return values


def _changed(source: SoftLabels, values: torch.Tensor, path: Path, like: Path | None) -> Members:
    """The tensors to write, under the keys that ``like`` has them under."""
    if isinstance(source, TopKSoftLabels):
        if path.suffix.lower() == ".npy":
            _only_dense(source, values)
        members = {} if like is None else _members(like)
        values_key, indices_key = _named(members, _VALUES) or _VALUES[0], _named(members, _INDICES) or _INDICES[0]
        count = {} if like is not None else {_COUNT: torch.tensor(source.num_classes)}
        return {values_key: values, indices_key: source.indices.contiguous(), **count}
    if like is not None:
        return {_dense_key(_members(like), like.name): values}
    return {"" if path.suffix.lower() in (".npy", ".pt", ".pth") else _DENSE[0]: values}


def _save(changed: Members, path: Path, like: Path | None) -> None:
    """``changed`` and whatever else ``like`` holds."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        array = as_array(changed[""])
        np.save(path, array if like is None else _as_stored(array, read_npy(like).dtype), allow_pickle=False)
    elif suffix == ".npz":
        _save_npz(changed, path, like)
    elif suffix == ".safetensors":
        write_safetensors({**(read_safetensors(like) if like is not None else {}), **changed}, path)
    else:
        original = read_torch(like) if like is not None else None
        others = dict(original) if isinstance(original, Mapping) else {}
        write_torch(changed[""] if set(changed) == {""} else {**others, **changed}, path)


def _save_npz(changed: Members, path: Path, like: Path | None) -> None:
    arrays = {key: as_array(tensor) for key, tensor in changed.items()}
    if like is None:
        write_npz(arrays, path)
        return
    headers = npz_headers(like)
    for key, header in headers.items():
        arrays[key] = _as_stored(arrays[key], header.dtype) if key in arrays else read_npz(like, key, header)
    deflated = frozenset(key for key, header in headers.items() if header.offset is None)
    write_npz({key: arrays[key] for key in headers}, path, deflated)


def _as_stored(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """In the byte order that the file had; in another precision only what is of that precision itself stays as it is."""
    return array.astype(dtype, copy=False) if array.dtype == dtype.newbyteorder("=") else array


def _write_text(values: torch.Tensor, path: Path, like: Path | None) -> None:
    """Shortest spellings that read back as the same numbers."""
    form = read_numbers(like) if like is not None else None
    delimiter = "," if form is None else form.delimiter or " "
    header = [form.header] if form is not None and form.header is not None else []
    array = as_array(values)
    write_numbers((*header, *(delimiter.join(map(str, row.tolist())) for row in array)), path)
