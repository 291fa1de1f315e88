"""What a person names beside a set when opening it: class counts, and real images to compare with and to test on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from data.class_counts import read_class_counts
from data.distilled_set import DistilledSet, Provenance
from data.errors import UnreadableInput
from data.formats.trees_beside import SeveralFiles
from data.real_images import real_images

Opener = Callable[[str], DistilledSet]


def with_elsewhere(opened: DistilledSet, open_other: Opener) -> DistilledSet:
    """``opened`` with what its options name: ``counts``, ``reference`` and ``test``, which overrule what came with it.

    The files read count among its own, so that a change in them is noticed. Raises UnreadableInput.
    """
    options, itself = opened.provenance.options, opened.provenance
    if options.counts is not None:
        path = Path(options.counts).absolute()
        counts = read_class_counts(path, opened.class_names)
        opened = _with_files(replace(opened, class_counts=counts), (path,))
    for what, named in (("reference", options.reference), ("test", options.test)):
        if named is not None:
            opened = _with_real_images(opened, what, _opened_other(named, what, itself, open_other))
    return opened


def _opened_other(named: str, what: str, itself: Provenance, open_other: Opener) -> DistilledSet:
    try:
        found = open_other(named)
    except UnreadableInput as error:
        raise UnreadableInput(f"the {what} cannot be opened: {error}") from error
    other = found.provenance
    if other.path == itself.path or _read_from(other, itself.path) or _read_from(itself, other.path):
        raise UnreadableInput(f"the {what} is the set itself; name a file or folder of real images.")
    return found


def _read_from(origin: Provenance, file: Path) -> bool:
    """Whether ``file`` is one of those read for what was opened as a folder around it."""
    return file.is_relative_to(origin.path) and file in origin.files


def _with_real_images(opened: DistilledSet, what: str, found: DistilledSet) -> DistilledSet:
    real = real_images(found, opened.class_names, what)
    held = {what: real.reference}
    return _with_files(replace(opened, **held), real.files, real.warnings)  # type: ignore[arg-type]


def _with_files(opened: DistilledSet, files: Sequence[Path], warnings: tuple[str, ...] = ()) -> DistilledSet:
    origin = opened.provenance
    joined = SeveralFiles((origin.files, files))
    return replace(opened, provenance=replace(origin, files=joined, warnings=(*origin.warnings, *warnings)))
