"""Torch files, read safely and lazily, and written whole or not at all.

``torch.save`` has two layouts: a zip with one pickle and one member a storage (torch 1.6 and newer), and a sequence of
pickles followed by the storages (before, "legacy"). Neither needs torch.load: the pickle is read as plain data
(data/torch_pickle.py) and the storages are mapped from where they lie, privately, so that nothing can change the file.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from data.errors import UnreadableInput
from data.torch_pickle import (
    MOST_PICKLE_BYTES,
    NotPlainData,
    PickleSource,
    PlainUnpickler,
    StorageRecord,
    TensorRecord,
)
from data.torch_zip import ZIP_MAGIC, Allowance, Span, ZipMembers

LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
TORCH_SUFFIXES = (".pt", ".pth")
MOST_DEPTH = 64
MOST_DIMENSIONS = 32
MOST_REPEATED_BYTES = 256 << 20
"""How large a view may be that shows the same stored values several times."""
Outline = Callable[[TensorRecord], torch.Tensor]


def is_torch_file(path: Path) -> bool:
    """Whether ``path`` starts as a torch file does, whatever its suffix. Reads a few bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 10)
    except OSError:
        return False
    if head[:4] != ZIP_MAGIC:
        return head[:1] == b"\x80" and LEGACY_MAGIC in head[:32]
    first_name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return first_name.endswith(b"data.pkl") or path.suffix.lower() in TORCH_SUFFIXES


def read_torch(path: Path) -> object:
    """What was saved: tensors, numbers, strings, numpy arrays and scalars, in dicts, lists and tuples.

    Tensors are detached, on the CPU, and mapped from the file: their values are read when used. Parameters come as plain
    tensors. Storages that are compressed, big-endian or not aligned in the file have to be copied, within bounds. Raises
    UnreadableInput with one sentence for anything that is not such a file; no code from the file runs.
    """
    return _guarded(path, lambda: _parse(path).tree())


def outline(path: Path) -> object:
    """The same structure with every tensor on the "meta" device: shapes and dtypes without values. Cached; do not change."""
    status = _guarded(path, path.stat)
    return _outline(path, status.st_size, status.st_mtime_ns)  # type: ignore[attr-defined]


def write_torch(value: object, path: Path) -> None:
    """``torch.save``, compactly (a view does not drag its storage along) and atomically (``path`` is whole or untouched)."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            save_torch(_compact(value, {}), file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_torch(value: object, file: BinaryIO) -> None:
    """``torch.save``; raises the OSError of a disk that is full, which torch hides behind an error of its own: it ends the
    archive all the same, and that does not add up."""
    try:
        torch.save(value, file)
    except RuntimeError as error:
        if isinstance(hidden := error.__context__, OSError):
            raise OSError(hidden.errno, hidden.strerror, file.name) from error
        raise


@lru_cache(maxsize=64)
def _outline(path: Path, size: int, changed: int) -> object:
    return _guarded(path, lambda: _parse(path).tree(_on_meta))


def _guarded(path: Path, work: Callable[[], object]) -> object:
    """``work()``, with whatever goes wrong in a hostile or damaged file turned into one sentence about it."""
    try:
        return work()
    except UnreadableInput:
        raise
    except NotPlainData as error:
        raise UnreadableInput(
            f"{path.name} {error}; Stillroom does not run code from files and reads only tensors, numbers and text in "
            "dicts, lists and tuples, so save the set again as those."
        ) from None
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read ({error.strerror or error}); check the file.") from error
    except Exception as error:  # a damaged pickle can raise anything
        detail = " ".join(str(error)[:120].split()) or type(error).__name__
        raise UnreadableInput(f"{path.name} is damaged or incomplete ({detail}); copy or download it again.") from error


@dataclass
class _Parsed:
    """A parsed file: its plain data, and where the bytes of each storage lie. ``copies`` bounds what may be copied."""

    root: object
    span: Callable[[str], Span]
    copies: Allowance
    swapped: bool = False

    def __post_init__(self) -> None:
        self._flat: dict[str, torch.Tensor] = {}

    def tree(self, make: Outline | None = None) -> object:
        """The data with real tensors, or those that ``make`` gives."""
        return _Builder(make or self._tensor).build(self.root)

    def _tensor(self, record: TensorRecord) -> torch.Tensor:
        flat = self._flat.get(record.storage.key)
        if flat is None:
            flat = self._flat[record.storage.key] = self._storage(record.storage)
        return torch.as_strided(flat, record.shape, record.stride, record.offset)

    def _storage(self, record: StorageRecord) -> torch.Tensor:
        """All values of a storage, (numel,), a view of the file where possible."""
        if record.numel == 0:
            return torch.empty(0, dtype=record.dtype)
        span = self.span(record.key)
        size = record.numel * record.dtype.itemsize
        if size > span.size:
            raise NotPlainData(f"promises {record.numel} values in its storage {record.key[:40]!r}, which are not there")
        data, start = span.data, span.start
        if self.swapped or start % record.dtype.itemsize:
            self.copies.take(size)
            data, start = bytearray(data[start : start + size]), 0
        flat = torch.frombuffer(data, dtype=torch.uint8, count=size, offset=start)
        if self.swapped:
            flat = torch.from_numpy(flat.numpy().reshape(-1, record.dtype.itemsize)[:, ::-1].copy().reshape(-1))
        return flat.view(record.dtype)


class _Builder:
    """Plain data -> the same with tensors. Shared parts stay shared; loops and absurd nesting are refused."""

    def __init__(self, make: Outline) -> None:
        self._make = make
        self._done: dict[int, tuple[object, int]] = {}
        self._open: set[int] = set()

    def build(self, value: object) -> object:
        return self._built(value, 0)[0]

    def _built(self, value: object, depth: int) -> tuple[object, int]:
        """(the result, how many levels it nests)"""
        if isinstance(value, np.ndarray | np.generic | str | bytes | int | float | None):
            return value, 0
        if id(value) not in self._done:
            if id(value) in self._open:
                raise NotPlainData("holds a list or dict that contains itself")
            self._open.add(id(value))
            self._done[id(value)] = self._new(value, depth + 1)
        result, height = self._done[id(value)]
        if depth + height > MOST_DEPTH:
            raise NotPlainData(f"nests deeper than {MOST_DEPTH} levels")
        return result, height

    def _new(self, value: object, depth: int) -> tuple[object, int]:
        if depth > MOST_DEPTH:
            raise NotPlainData(f"nests deeper than {MOST_DEPTH} levels")
        if isinstance(value, TensorRecord):
            _check_view(value)
            return self._make(value), 0
        if type(value) not in (dict, OrderedDict, list, tuple):
            raise NotPlainData(f"holds a bare {type(value).__name__.strip('_')}")
        inner = value.values() if isinstance(value, dict) else value
        parts = [self._built(item, depth) for item in inner]  # type: ignore[attr-defined]
        items = [item for item, _ in parts]
        result = type(value)(zip(value, items, strict=True)) if isinstance(value, dict) else type(value)(items)
        return result, 1 + max((height for _, height in parts), default=0)


def _check_view(record: TensorRecord) -> None:
    """Raises NotPlainData unless the view lies inside its storage and is of a size that something can be done with."""
    if len(record.shape) > MOST_DIMENSIONS:
        raise NotPlainData(f"has a tensor of {len(record.shape)} dimensions")
    values = 1
    for size in record.shape:
        values *= size
    last = record.offset + sum((size - 1) * step for size, step in zip(record.shape, record.stride, strict=True))
    inside = last < record.storage.numel if values else record.offset <= record.storage.numel
    repeats = values > record.storage.numel and values * record.storage.dtype.itemsize > MOST_REPEATED_BYTES
    if not inside or repeats or max((*record.shape, *record.stride), default=0) >= 1 << 40:
        raise NotPlainData(f"has a tensor of shape {record.shape} in a storage of {record.storage.numel} values")


def _on_meta(record: TensorRecord) -> torch.Tensor:
    return torch.empty_strided(record.shape, record.stride, dtype=record.storage.dtype, device="meta")


def _parse(path: Path) -> _Parsed:
    size = path.stat().st_size
    if size == 0:
        raise UnreadableInput(f"{path.name} is empty; copy or download it again.")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if data[:4] == ZIP_MAGIC:
            return _parse_zip(path, file, data)
    if LEGACY_MAGIC in data[:32]:
        return _parse_legacy(data)
    if data[257:262] == b"ustar":
        raise UnreadableInput(f"{path.name} is a tar archive, not a torch file; unpack it and open what is inside.")
    raise UnreadableInput(f"{path.name} is no torch file (neither of torch.save's layouts); check what it is.")


def _parse_zip(path: Path, file: BinaryIO, data: mmap.mmap) -> _Parsed:
    archive = ZipMembers(path.name, file, data)
    pickled = archive.span("data.pkl")
    if pickled.size > MOST_PICKLE_BYTES:
        raise NotPlainData(f"has a pickle of {pickled.size >> 20} MiB")
    unpickler = PlainUnpickler(PickleSource(pickled.data, pickled.start, pickled.start + pickled.size))
    order = archive.text("byteorder", "little")
    if order not in ("little", "big"):
        raise NotPlainData(f"has the unknown byte order {order[:20]!r}")
    return _Parsed(unpickler.load(), lambda key: archive.span(f"data/{key}"), archive.copies, order != sys.byteorder)


def _parse_legacy(data: mmap.mmap) -> _Parsed:
    """Five pickles (magic, version, system, object, storage keys), then each storage: its length in values, its bytes."""
    source = PickleSource(data, 0, len(data))
    for _ in range(3):
        PlainUnpickler(source).load()
    unpickler = PlainUnpickler(source)
    root = unpickler.load()
    keys = PlainUnpickler(source).load()
    spans: dict[str, Span] = {}
    position = source.position
    for key in keys:
        record = unpickler.storages[key]
        size = struct.unpack("<q", data[position : position + 8])[0] * record.dtype.itemsize
        if not 0 <= size <= len(data) - position - 8:
            raise EOFError("a storage reaches beyond the end of the file")
        spans[key] = Span(data, position + 8, size)
        position += 8 + size
    return _Parsed(root, spans.__getitem__, Allowance(len(data)), sys.byteorder == "big")


def _compact(value: object, done: dict[int, object]) -> object:
    """``value`` with every tensor that views a larger storage cloned; parts that are shared stay shared."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, torch.Tensor):
        result: object = value.detach().clone() if value.untyped_storage().nbytes() > value.nbytes else value.detach()
    elif isinstance(value, dict):
        result = type(value)((key, _compact(item, done)) for key, item in value.items())
    elif isinstance(value, list | tuple):
        result = type(value)(_compact(item, done) for item in value)
    else:
        return value
    done[id(value)] = result
    return result
