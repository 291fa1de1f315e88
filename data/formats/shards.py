"""What a set in several files of one folder has in common, whatever is in the files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MOST_ENTRIES = 20_000


@dataclass(frozen=True)
class Shards:
    """The files that are opened, in order, and what to say about them and the others."""

    files: tuple[Path, ...]
    warnings: tuple[str, ...] = ()


def names_in(folder: Path, suffix: str) -> list[str]:
    """The files directly in ``folder`` whose names end in ``suffix``, but for hidden ones, sorted; none of a folder that
    cannot be read. Of a folder with more than MOST_ENTRIES entries only so many are looked at."""
    try:
        with os.scandir(folder) as entries:
            some = islice(entries, MOST_ENTRIES)
            return sorted(e.name for e in some if e.name.endswith(suffix) and e.name[0] != "." and e.is_file())
    except OSError:
        return []
