"""Room on the disk, asked for before it is needed."""

from __future__ import annotations

import os


def reserve(file: int, size: int) -> None:
    """Make the open ``file`` at least ``size`` bytes long. Where the system can, the disk gives the room now: it could not
    refuse it later, when what is mapped into memory is written. Raises OSError where there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)
