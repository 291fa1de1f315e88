"""A folder that appears whole or not at all: everything is written beside it and only then moved into its place."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data.errors import ImpossibleRequest


@contextmanager
def new_folder(out: Path, source: Path) -> Iterator[Path]:
    """A folder to write in that becomes ``out`` if all goes well, and vanishes with everything in it if not.

    ``out`` is new or empty and does not lie in ``source``, which is read meanwhile. Raises ImpossibleRequest where it is
    not, or where it cannot be written.
    """
    check_free(out, source)
    place = out.resolve()
    part = place.parent / f".{uuid.uuid4().hex}.part"
    made: list[Path] = []
    try:
        for missing in [p for p in (place.parent, *place.parent.parents) if not p.exists()][::-1]:
            missing.mkdir()
            made.append(missing)
        part.mkdir()
        yield part
        part.rename(place)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            for parent in reversed(made):
                parent.rmdir()
        if isinstance(error, OSError):
            raise ImpossibleRequest(f"{out} cannot be written ({_reason(error)}); nothing was changed.") from error
        raise


def check_outside(out: Path, source: Path, what: str = "the set itself") -> None:
    """Raises ImpossibleRequest where ``out`` lies in the folder that ``source`` is."""
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise ImpossibleRequest(f"{out} lies inside {what}, which would change it; choose a folder elsewhere.")


def check_free(out: Path, source: Path) -> None:
    """Raises ImpossibleRequest where ``new_folder`` would: to be found out before long work, not after it."""
    try:
        if os.path.lexists(out) and not out.is_dir():
            raise ImpossibleRequest(f"{out} is no folder; choose a new or empty folder to write into.")
        if out.exists() and any(out.iterdir()):
            raise ImpossibleRequest(f"{out} is not empty; choose a new or empty folder to write into.")
        if out.is_mount():
            raise ImpossibleRequest(f"{out} is a mount point, which cannot be put in place whole; choose a folder in it.")
        check_outside(out, source)
    except OSError as error:
        raise ImpossibleRequest(f"{out} cannot be written ({_reason(error)}); choose another folder.") from error


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
