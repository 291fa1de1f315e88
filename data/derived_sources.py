"""Label sources computed from others: kept in folders of their own, never over what they came from.

values.npy     float32 (N, C) logits, whatever the source they came from holds
recipe.json    how they were made: correction, parameters, source, what was found
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.disk_room import reserve
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest, StillroomError, UnreadableInput
from data.formats.array_files import read_npy
from data.formats.common import check_finite
from data.new_folder import new_folder
from data.soft_labels import DenseSoftLabels

VALUES, RECIPE = "values.npy", "recipe.json"
MOST_RECIPE_BYTES = 1 << 22
MOST_LEVELS = 20
MOST_LETTERS = 120

Rows = Iterable[tuple[np.ndarray, torch.Tensor]]


@dataclass(frozen=True)
class DerivedSource:
    """``name`` is what people choose it by; ``recipe`` plain JSON values that say how it was made."""

    name: str
    folder: Path
    recipe: Mapping[str, Any]


def write_derived(folder: Path, name: str, shape: tuple[int, int], rows: Rows, recipe: Mapping[str, Any]) -> DerivedSource:
    """Write logits (N, C) = ``shape`` into the new ``folder`` from parts of them, (ids int64 (n,), float (n, C)).

    The folder appears whole or not at all. Raises ImpossibleRequest where the name will not do, a value is not finite, a row
    is missing, or the folder cannot be written.
    """
    _check_name(name)
    said = {"name": name, **recipe}
    with new_folder(folder, folder / VALUES) as place:
        stored = _new_values(place / VALUES, shape)
        written = np.zeros(shape[0], dtype=bool)
        for ids, values in rows:
            if not bool(torch.isfinite(values).all()):
                raise ImpossibleRequest(
                    f"'{name}' would hold values that are not finite; nothing was kept, so choose other parameters "
                    "or another label source."
                )
            stored[ids] = values.numpy()
            written[ids] = True
        if not written.all():
            raise ImpossibleRequest(f"'{name}' lacks sample {int(written.argmin())}; nothing was kept.")
        stored.flush()
        text = json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False)
        (place / RECIPE).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return DerivedSource(name, folder, said)


def read_derived(folder: Path) -> DerivedSource:
    """What the folder says of itself. Raises UnreadableInput."""
    file = folder / RECIPE
    if not os.path.isfile(file):  # a pipe or a device may never end; unlike is_file, False for too long a name
        raise UnreadableInput(f"{folder} holds no corrected labels, for it has no file {RECIPE}; name a folder that does.")
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST_RECIPE_BYTES + 1)
        if len(text) > MOST_RECIPE_BYTES:
            raise UnreadableInput(f"{file} is larger than {MOST_RECIPE_BYTES:,} bytes; it is no recipe.")
        said = json.loads(text.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableInput(f"{file} cannot be read ({error}); leave that folder out, or remove it.") from error
    if not isinstance(said, dict) or not isinstance(said.get("name"), str) or not _is_plain(said):
        raise UnreadableInput(f"{file} is no recipe of a label source; leave that folder out, or remove it.")
    return DerivedSource(said["name"], folder, said)


def open_derived(opened: DistilledSet, folder: Path) -> tuple[DerivedSource, DenseSoftLabels]:
    """The derived source in ``folder``, its values mapped. Raises UnreadableInput where it does not fit the set."""
    held = read_derived(folder)
    _check_name(held.name)
    if held.name in opened.selectable_sources or held.name == GIVEN:
        raise UnreadableInput(f"there is another label source called '{held.name}'; remove one of them.")
    file = folder / VALUES
    _check_values(file, (len(opened), opened.num_classes), _stamp(file))
    return held, DenseSoftLabels(torch.from_numpy(_values(file)), "logits")


def attach_derived(opened: DistilledSet, folders: Iterable[Path]) -> DistilledSet:
    """The set with the derived sources in ``folders`` to choose from. One that is damaged or does not fit the set is left
    out, and a warning of the set says why: it must not stand between people and their set."""
    warnings = []
    for folder in folders:
        try:
            held, values = open_derived(opened, folder)
        except StillroomError as error:
            warnings.append(f"a corrected label source is left out: {error}")
        else:
            opened = replace(opened, derived_sources={**opened.derived_sources, held.name: values})
    if not warnings:
        return opened
    origin = opened.provenance
    return replace(opened, provenance=replace(origin, warnings=(*origin.warnings, *warnings)))


def check_new_name(opened: DistilledSet, name: str) -> None:
    """Raises ImpossibleRequest where a derived source of the set cannot be called ``name``."""
    _check_name(name)
    if name in opened.selectable_sources or name == GIVEN:
        raise ImpossibleRequest(f"there is a label source called '{name}' already; choose another name.")


def versions_named(folders: Iterable[Path], text: str | None) -> list[str]:
    """Of each derived source in ``folders`` whose name ``text`` names or contains, or of all where it is None, which one it
    is: another one may get the name of one that was removed, and findings of that are none of this."""
    found = []
    for folder in folders:
        name = _name_in(folder)
        if name is not None and (text is None or name in text):
            with suppress(OSError):
                found.append(f"{name} {(folder / RECIPE).stat().st_mtime_ns}")
    return found


def with_derived(opened: DistilledSet, names: Iterable[str]) -> DistilledSet:
    """The set with those of its derived sources as label sources like others, as they are written beside it."""
    chosen = {name: opened.derived_sources[name] for name in names}
    return replace(opened, label_sources={**opened.label_sources, **chosen}, derived_sources={})


class DerivedFolders:
    """The derived sources of the sets of a workspace: ``root``/<set id>/<number>."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, set_id: str) -> tuple[Path, ...]:
        """The folders of a set, oldest first; what was never finished has a name that is no number."""
        place = self._root / set_id
        numbers = sorted(int(entry.name) for entry in place.iterdir() if entry.name.isdecimal()) if place.is_dir() else []
        return tuple(place / str(number) for number in numbers)

    def next(self, set_id: str) -> Path:
        last = self.of(set_id)
        return self._root / set_id / str(int(last[-1].name) + 1 if last else 1)

    def remove(self, set_id: str, which: str | Path) -> None:
        """The one of a name, or in a folder, which may be damaged. Raises ImpossibleRequest where there is none."""
        for folder in self.of(set_id):
            if folder == which or (isinstance(which, str) and _name_in(folder) == which):
                gone = folder.with_name(f".{uuid.uuid4().hex}.gone")
                folder.rename(gone)  # whole or not at all; who reads the values goes on with what is mapped
                shutil.rmtree(gone, ignore_errors=True)
                return
        raise ImpossibleRequest(f"there is no derived label source '{which}' any more.")


def _name_in(folder: Path) -> str | None:
    try:
        return read_derived(folder).name
    except UnreadableInput:
        return None


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        seen = file.stat()
    except OSError as error:
        raise UnreadableInput(
            f"{file} cannot be read ({error.strerror}); leave that label source out, or remove it."
        ) from error
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


@lru_cache(maxsize=64)
def _check_values(file: Path, shape: tuple[int, int], stamp: tuple[int, ...]) -> None:
    """Once for each file as it is: a set is attached anew for every page."""
    values = _values(file)
    if values.shape != shape or values.dtype != np.float32:
        raise UnreadableInput(
            f"{file} holds {values.shape} {values.dtype} instead of {shape} float32; it is not of this set: leave it out."
        )
    check_finite(torch.from_numpy(values), str(file), "corrected labels")


def _values(file: Path) -> np.ndarray:
    if not os.path.isfile(file):
        raise UnreadableInput(f"{file} is no regular file; leave that label source out, or remove it.")
    try:
        return read_npy(file)
    except UnreadableInput as error:
        raise UnreadableInput(f"{file.parent}: {error}") from error  # it names the file only


def _new_values(file: Path, shape: tuple[int, int]) -> np.memmap:
    stored = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    with file.open("r+b") as opened:
        reserve(opened.fileno(), file.stat().st_size)
    return stored


def _is_plain(value: object, levels: int = MOST_LEVELS) -> bool:
    """Whether a manifest can say it again: every number finite, nothing nested deeper than ``levels``."""
    if isinstance(value, float):
        return math.isfinite(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_plain(part, levels - 1) for part in parts)


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MOST_LETTERS:
        raise ImpossibleRequest(f"a label source needs a name of 1 to {MOST_LETTERS} printable letters.")
