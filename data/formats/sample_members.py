"""Labels in the small members of a WebDataset sample: .cls, .json, and soft labels in .npy, .npz, .pt or .pth."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from data.errors import UnreadableInput
from data.formats.array_files import (
    MOST_INFLATED,
    as_array,
    as_tensor,
    npz_headers,
    read_npy_bytes,
    read_npz,
    write_npz,
)
from data.formats.common import MOST_CLASSES
from data.torch_files import read_torch, write_torch

MOST_MEMBER_BYTES = 16 << 20
LABEL_KEYS = ("label", "class", "cls", "class_id", "target")
SOFT_KEYS = ("soft_label", "soft_labels", "logits", "probabilities", "probs")
ROW_SUFFIXES = ("npy", "npz", "pt", "pth")
UNSAFE_SUFFIXES = ("pyd", "pickle", "pkl")
_INDEX = re.compile(rb"\s*(\d{1,9})\s*")

Row = torch.Tensor


def suffix_of(member: str) -> str:
    """The last part of what a member is: ``npy`` of ``soft_label.npy``."""
    return member.rsplit(".", 1)[-1]


def read_class(data: bytes, where: str) -> int:
    """The class index of a .cls member."""
    found = _INDEX.fullmatch(data[:64])
    if found is None or len(data) > 64:
        raise UnreadableInput(f"{where}: {data[:20]!r} is no class index; write it as digits.")
    return int(found[1])


def read_json(data: bytes, where: str) -> dict[str, object]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableInput(f"{where} is not JSON ({' '.join(str(error)[:120].split())}); correct it.") from error
    if not isinstance(said, dict):
        raise UnreadableInput(f"{where} is not a JSON object; write the label under the key {LABEL_KEYS[0]}.")
    return said


def json_label(said: Mapping[str, object], where: str) -> int | None:
    """The class index in a JSON object, if it has one."""
    key = next((key for key in LABEL_KEYS if key in said), None)
    if key is None:
        return None
    value = said[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise UnreadableInput(f"{where}: {key} {str(value)[:40]!a} is no class index; write it as a number.")
    return value


def json_row(said: Mapping[str, object], where: str) -> Row | None:
    """The soft label in a JSON object, float32 (C,), if it has one."""
    key = next((key for key in SOFT_KEYS if key in said), None)
    if key is None:
        return None
    value = said[key]
    if not isinstance(value, list) or not value or not all(type(number) in (int, float) for number in value):
        raise UnreadableInput(f"{where}: {key} is no list of numbers; write one a class.")
    try:
        return torch.tensor(value, dtype=torch.float64).float()
    except (OverflowError, ValueError, RuntimeError) as error:
        raise UnreadableInput(f"{where}: {key} holds a number that is too large; correct it.") from error


def changed_json(data: bytes, label: int | None, row: Row | None) -> bytes:
    """The same JSON object with another class and soft label where it has them."""
    said = json.loads(data)
    label_key, soft_key = (next((key for key in keys if key in said), None) for keys in (LABEL_KEYS, SOFT_KEYS))
    if label_key is not None and label is not None:
        said[label_key] = label
    if soft_key is not None and row is not None:
        said[soft_key] = row.tolist()
    return json.dumps(said, ensure_ascii=False).encode()


def read_row(data: bytes, suffix: str, where: str) -> Row:
    """The one soft label in a member, (C,) in its stored dtype. Raises UnreadableInput on anything else."""
    return _only_row(_tensors(data, suffix, where), where)[1]


def changed_row(data: bytes, suffix: str, row: Row, as_stored: bool = True) -> bytes:
    """The member with ``row`` in place of its soft label, in the same shape and, ``as_stored``, dtype, all else in it as it
    was."""
    tensors = _tensors(data, suffix, "the member")
    key, old = _only_row(tensors, "the member")
    new = (row.to(old.dtype) if as_stored else row).reshape(tensors[key].shape)
    if suffix == "npy":
        return npy_bytes(new)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"member.{suffix}"
        place.write_bytes(data)
        if suffix == "npz":
            headers = npz_headers(place)
            arrays = {
                k: as_array(new) if k == key else np.array(read_npz(place, k, header)) for k, header in headers.items()
            }
            write_npz(arrays, place, frozenset(k for k, header in headers.items() if header.offset is None))
        else:
            value = read_torch(place)
            write_torch({**value, key: new} if isinstance(value, Mapping) else new, place)
        return place.read_bytes()


def npy_bytes(row: Row) -> bytes:
    """``row`` as a .npy file."""
    out = BytesIO()
    np.save(out, as_array(row), allow_pickle=False)
    return out.getvalue()


def _tensors(data: bytes, suffix: str, where: str) -> dict[str, torch.Tensor]:
    """All tensors of a member by key; one without keys is under "". Copies, so nothing refers to a file."""
    if suffix == "npy":
        return {"": as_tensor(read_npy_bytes(data, where), where)}
    with tempfile.TemporaryDirectory() as folder:  # the readers of these map files
        place = Path(folder) / f"member.{suffix}"
        place.write_bytes(data)
        try:
            if suffix == "npz":
                headers = npz_headers(place)
                if sum(header.nbytes for header in headers.values()) > min(MOST_INFLATED, MOST_MEMBER_BYTES):
                    raise UnreadableInput("it unpacks to too many bytes; save one row a sample.")
                floats = {key: header for key, header in headers.items() if header.dtype.kind == "f"}
                return {key: as_tensor(np.array(read_npz(place, key, h)), where) for key, h in floats.items()}
            value = read_torch(place)
        except UnreadableInput as error:
            raise UnreadableInput(f"{where}: {str(error).replace(place.name, 'it')}") from error
    named = value if isinstance(value, Mapping) else {"": value}
    tensors = {key: item for key, item in named.items() if isinstance(key, str) and isinstance(item, torch.Tensor)}
    return {key: item.clone() for key, item in tensors.items() if item.numel() <= MOST_CLASSES}


def _only_row(tensors: Mapping[str, torch.Tensor], where: str) -> tuple[str, Row]:
    rows = {k: t for k, t in tensors.items() if t.is_floating_point() and t.numel() and t.numel() == t.shape[-1:].numel()}
    key = next((key for key in SOFT_KEYS if key in rows), None)
    if key is None and len(rows) == 1:
        key = next(iter(rows))
    if key is None:
        shapes = ", ".join(f"{tuple(t.shape)} {t.dtype}" for t in list(tensors.values())[:4]) or "no array"
        raise UnreadableInput(f"{where} holds {shapes}; one row of real numbers, one a class, is needed.")
    return key, rows[key].reshape(-1)
