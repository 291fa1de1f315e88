"""The on-disk families that Stillroom reads and writes: one module each, all with the same four names.

    NAME         the word for it on the command line and in manifests
    TITLE        one line for people
    recognises(path) -> bool           cheap: looks at names, magic bytes and structure, never reads pixels
    read(path, options) -> DistilledSet
    write(curated, out) -> list[Path]  the files written below ``out``, in the family's own layout
    as_written(curated) -> CuratedSet  only where the family changes what it writes: the samples in the order in which they
                                 will be read, the pixels as it holds them; ``companions.write`` wants this one

``read`` raises UnreadableInput with one clear sentence. ``write`` reproduces the stored tensors bit for bit where nothing
was decided. Formats are asked in the order below; the first that recognises the path reads it.
"""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from types import ModuleType

from data.distilled_set import DistilledSet, OpenOptions
from data.errors import UnreadableInput
from data.formats import (
    companions,
    dc_results,
    dd_results,
    elsewhere,
    grid_png,
    hf_parquet,
    idc,
    image_folder,
    label_text,
    npz,
    relabelled,
    safetensors_set,
    tensor_files,
    trees_beside,
    webdataset,
)

_TENSOR_FORMATS = (grid_png, npz, label_text, dc_results, idc, dd_results, tensor_files, safetensors_set)
FORMATS: dict[str, ModuleType] = {
    module.NAME: module for module in (*_TENSOR_FORMATS, relabelled, hf_parquet, webdataset, image_folder)
}


MOST_LOOKED_INTO = 16


def open_set(path: str | Path, options: OpenOptions = OpenOptions()) -> DistilledSet:
    """Open the distilled set at ``path`` as its authors saved it, lazily, with what lies beside it (formats.companions) and
    what the options name elsewhere (formats.elsewhere).

    Raises UnreadableInput where nothing is there, no format recognises it, or the one that does cannot read it.
    """
    if not str(path):
        raise UnreadableInput("the path of the set is empty; give the file or folder of a distilled set.")
    place = Path(path)
    _check_place(place)
    try:
        opened = companions.attach(_format_for(place, options).read(place.resolve(), options))
        return elsewhere.with_elsewhere(opened, open_set)
    except OSError as error:
        named = error.filename or place
        raise UnreadableInput(f"{named} cannot be read ({error.strerror or error}); check the file.") from error


def _check_place(place: Path) -> None:
    """Only regular files and folders are opened: reading a pipe or a device may never end."""
    try:
        mode = place.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(place).close()
    except FileNotFoundError:
        raise UnreadableInput(f"{place} does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"{place} cannot be opened ({getattr(error, 'strerror', error)}); check the path.") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UnreadableInput(f"{place} is neither a regular file nor a folder; give the file or folder of a distilled set.")


def _format_for(path: Path, options: OpenOptions) -> ModuleType:
    if options.format is not None:
        if options.format not in FORMATS:
            raise UnreadableInput(f"there is no format '{options.format}'; choose one of {', '.join(FORMATS)}.")
        return FORMATS[options.format]
    if trees_beside.names_tree(options.labels) and image_folder.recognises(path):
        return relabelled
    for module in FORMATS.values():
        if module.recognises(path):
            return module
    if inside := _sets_inside(path):
        raise UnreadableInput(f"{path} is no distilled set itself but holds {', '.join(inside)}; point at one of them.")
    raise UnreadableInput(
        f"{path} is no distilled set that Stillroom knows; it opens {'; '.join(m.TITLE for m in FORMATS.values())}."
    )


def _sets_inside(path: Path) -> list[str]:
    """The first few entries of a folder that are sets, by name: repeats, phases or steps that lie side by side."""
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        names = sorted(islice((entry.name for entry in entries), MOST_LOOKED_INTO))
    return [name for name in names if any(module.recognises(path / name) for module in FORMATS.values())]
