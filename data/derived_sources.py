"""Label sources computed from others: kept in folders of their own, never over what they came from.

values.npy     float32 (N, C) logits, whatever the source they came from holds
recipe.json    how they were made: correction, parameters, source, what was found
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats.array_files import read_npy
from data.new_folder import new_folder
from data.soft_labels import DenseSoftLabels

VALUES, RECIPE = "values.npy", "recipe.json"
MOST_RECIPE_BYTES = 1 << 20
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
        stored = np.lib.format.open_memmap(place / VALUES, "w+", np.float32, shape)
        written = np.zeros(shape[0], dtype=bool)
        for ids, values in rows:
            if not bool(torch.isfinite(values).all()):
                raise ImpossibleRequest(f"'{name}' would hold values that are not finite; nothing was kept.")
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
    try:
        if file.stat().st_size > MOST_RECIPE_BYTES:
            raise UnreadableInput(f"{file} is larger than {MOST_RECIPE_BYTES:,} bytes; it is no recipe.")
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableInput(f"{file} cannot be read ({error}); remove that folder.") from error
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise UnreadableInput(f"{file} is no recipe of a label source; remove that folder.")
    return DerivedSource(said["name"], folder, said)


def attach_derived(opened: DistilledSet, folders: Iterable[Path]) -> DistilledSet:
    """The set with the derived sources in ``folders`` to choose from. Raises UnreadableInput where one does not fit it."""
    found = [read_derived(folder) for folder in folders]
    values = {held.name: DenseSoftLabels(torch.from_numpy(read_npy(held.folder / VALUES)), "logits") for held in found}
    return replace(opened, derived_sources={**opened.derived_sources, **values}) if values else opened


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

    def remove(self, set_id: str, name: str) -> None:
        """Raises ImpossibleRequest where there is none of that name."""
        for folder in self.of(set_id):
            if read_derived(folder).name == name:
                shutil.rmtree(folder)
                return
        raise ImpossibleRequest(f"there is no derived label source '{name}'.")


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MOST_LETTERS:
        raise ImpossibleRequest(f"a label source needs a name of 1 to {MOST_LETTERS} printable letters.")
