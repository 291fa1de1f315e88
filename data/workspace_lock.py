"""One process owns a workspace: a lock file that says which one."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from data.decisions import now
from data.errors import StillroomError

LOCK_FILE = "workspace.lock"


class WorkspaceBusy(StillroomError):
    """Another process has the workspace open; the sentence names it."""


class WorkspaceLock:
    """An exclusive lock on a folder, held until ``release`` or the death of the process, whichever comes first.

    The kernel drops an flock when its holder dies, however it dies, so a lock file left by a killed process is taken
    over. The file stays when released: removing it would let two processes lock two files of the same name.
    """

    def __init__(self, folder: Path, address: str = "") -> None:
        """Raises WorkspaceBusy where another has it, OSError where the folder cannot be written."""
        self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 4096, 0)
            os.close(self._file)
            raise WorkspaceBusy(_busy(folder, holder)) from None
        except OSError:
            os.close(self._file)
            raise
        self._write({"pid": os.getpid(), "address": address, "since": now()})

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def _write(self, holder: dict[str, object]) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(holder).encode(), 0)


def _busy(folder: Path, holder: bytes) -> str:
    try:
        known = json.loads(holder)
        who, address, since = f"process {known['pid']}", known["address"], f" since {known['since']}"
    except (ValueError, KeyError, TypeError):  # the holder has locked the file but not written it yet
        who, address, since = "another process", "", ""
    where = f" at {address}" if address else ""
    way_out = f"use it at {address}" if address else "use that one"
    return f"the workspace {folder} is open in {who}{where}{since}; {way_out}, stop it, or choose another --workspace."
