"""Uploaded files, kept in the workspace under names that cannot lead anywhere else."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import Protocol

from data.errors import UnreadableInput

MOST_NAME = 120


class Uploaded(Protocol):
    """What Streamlit hands over: a named stream."""

    name: str

    def getbuffer(self) -> memoryview: ...


def keep_upload(files: list[Uploaded], folder: Path) -> Path:
    """Store ``files`` in a fresh folder below ``folder``; returns the file where there is one, else the folder.

    Raises UnreadableInput where two files would get the same name.
    """
    names = [safe_name(file.name) for file in files]
    if len(set(names)) < len(names):
        raise UnreadableInput("two of the uploaded files have the same name; upload the files of one set at a time.")
    place = folder / secrets.token_hex(8) / f"{Path(names[0]).stem}_upload"  # the last part is what the set is called
    place.mkdir(parents=True)
    try:
        for file, name in zip(files, names, strict=True):
            (place / name).write_bytes(file.getbuffer())
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise UnreadableInput(f"the upload could not be stored ({error.strerror}); make room and try again.") from error
    return place / names[0] if len(names) == 1 else place


def safe_name(name: str) -> str:
    """A plain file name of letters, digits, '.', '_' and '-', without leading dots; formats still recognise it."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".")
    return plain[-MOST_NAME:] or "file"
