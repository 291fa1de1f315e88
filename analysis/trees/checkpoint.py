"""Where an interrupted pass over a tree goes on: its sums so far, kept beside the other cached arrays."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.errors import UnreadableInput
from data.relabelled.tree import RelabelledTree

SECONDS_BETWEEN_SAVES = 10.0
SAVE_SHARE = 20
"""Saving takes at most one part in this many of the time: the sums of a large tree are hundreds of megabytes."""

Arrays = Mapping[str, np.ndarray]


def identity(tree: RelabelledTree, positions: Sequence[int], *parameters: object) -> str:
    """Another for other files, files changed since, or other parameters. Looks at each file's size and time of change.

    Raises UnreadableInput where a file is gone.
    """
    digest = hashlib.sha256(repr((str(tree.root), tree.kind, tree.side, tree.num_classes, tree.evidence)).encode())
    for position in positions:
        file = tree.files[position]
        try:
            status = file.path.stat()
        except OSError as error:
            raise UnreadableInput(f"{file.path} cannot be read ({error.strerror}); open the set again.") from error
        digest.update(repr((str(file.path), file.epoch, file.rows, status.st_size, status.st_mtime_ns)).encode())
    for parameter in parameters:
        digest.update(parameter.tobytes() if isinstance(parameter, np.ndarray) else repr(parameter).encode())
    return digest.hexdigest()


class Checkpoint:
    """One file in ``folder`` (nothing is kept where None), there only while a pass is unfinished."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self._path = None if folder is None else folder / f"crops-{key}.npz"
        self._due = time.monotonic() + SECONDS_BETWEEN_SAVES

    def load(self) -> Arrays | None:
        """What was saved last; None where nothing was, or where it is damaged."""
        if self._path is None:
            return None
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self._path is not None and time.monotonic() >= self._due

    def save(self, arrays: Callable[[], Arrays]) -> None:
        """Save ``arrays()``; a reader sees the last whole save or this one."""
        if self._path is None:
            return
        began = time.monotonic()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays())
            os.replace(part, self._path)
        finally:
            part.unlink(missing_ok=True)
        ended = time.monotonic()
        self._due = ended + max(SECONDS_BETWEEN_SAVES, SAVE_SHARE * (ended - began))

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
