"""SHA-256 of files, so that anyone can check that a set is the set that was looked at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from data.errors import UnreadableInput


@dataclass(frozen=True)
class FileRecord:
    """A file as it was: ``path`` relative to its set's folder with forward slashes, ``bytes`` long, ``sha256`` in hex."""

    path: str
    bytes: int
    sha256: str


def file_records(
    files: Iterable[Path], base: Path, progress: Callable[[float], None] = lambda fraction: None
) -> list[FileRecord]:
    """One record a file, in the order given; a file outside ``base`` is named by its relative path to it.

    Raises UnreadableInput where a file cannot be read any more. ``progress`` hears the fraction of files done.
    """
    listed = list(files)
    records = []
    for done, file in enumerate(listed, 1):
        records.append(_record(file, base))
        progress(done / len(listed))
    return records


def _record(file: Path, base: Path) -> FileRecord:
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        raise UnreadableInput(f"{file} cannot be read any more ({error.strerror}); open the set again.") from error
    return FileRecord(Path(os.path.relpath(file, base)).as_posix(), size, digest)
