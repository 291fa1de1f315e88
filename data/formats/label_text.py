"""Text files of learned soft labels, as SLDD writes them (ilia10000/dataset-distillation utils/io.py:172-187).

``visuals_step{i:03d}.txt`` holds one line a sample, its C values with 2 decimals and ", " between; binary tasks (IMDB) have
one value. They are regression targets, not distributions: kind ``scores``. The samples themselves (GloVe embeddings)
are elsewhere, so such a set has labels only. Which class a column is, the files do not say: classes are numbered.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance
from data.errors import ImpossibleRequest
from data.formats.common import labels_of, make_set
from data.formats.numeric_text import read_numbers, write_numbers

NAME = "label-text"
TITLE = "text files of soft labels (SLDD)"

_VALUE = r"\s*[-+]?(?:\d+\.\d+(?:[eE][-+]?\d+)?|nan|inf)\s*"
_ROW = re.compile(rf"{_VALUE}(?:,{_VALUE})*", re.IGNORECASE | re.ASCII)
_HEAD_BYTES = 1 << 20


def recognises(path: Path) -> bool:
    """A .txt whose first line is decimal numbers with commas between, and nothing else."""
    if not path.is_file() or path.suffix.lower() != ".txt":
        return False
    with path.open("rb") as file:
        lines = file.read(_HEAD_BYTES).split(b"\n")
    first = next((line for line in lines if line.strip()), b"")
    return _ROW.fullmatch(first.decode("ascii", errors="replace").strip()) is not None


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Labels only, float32 as SLDD trains them. Raises UnreadableInput naming the line that is wrong."""
    text = read_numbers(path)
    labels, given = labels_of(text.values.float(), path.name, "scores")
    origin = Provenance(path, NAME, "SLDD", (path,), options)
    return make_set(origin, labels, given, None, {"text": text.lines})


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The same lines for samples whose labels stand; changed ones with as many decimals as their own line had."""
    given = curated.set.label_sources.get(GIVEN)
    if given is None:
        raise ImpossibleRequest(f"{curated.set.name} has no soft labels, all that this format holds; choose another.")
    if curated.relabels_all:
        raise ImpossibleRequest(
            "a text file of soft labels holds regression targets with a few decimals, which corrected logits are not; write "
            "them beside the set, or choose another layout."
        )
    lines = curated.original.extras.get("text")
    if not isinstance(lines, tuple):
        target = out / f"{curated.set.name}.txt"
        write_numbers((_spelled(row, 2) for row in given.stored(np.arange(len(given)))), target)
        return [target]
    target = out / curated.original.provenance.path.name
    if curated.unchanged:
        shutil.copyfile(curated.original.provenance.path, target)
        return [target]
    changed = {*curated.relabelled, *curated.softened}
    rows = given.stored(np.arange(len(given)))
    write_numbers(
        (_spelled(rows[i], _decimals(lines[old])) if old in changed else lines[old] for i, old in enumerate(curated.kept)),
        target,
    )
    return [target]


def _spelled(row: torch.Tensor, decimals: int) -> str:
    return ", ".join(f"{value:.{decimals}f}" for value in row.tolist())


def _decimals(line: str) -> int:
    return len(line.split(",", 1)[0].strip().rpartition(".")[2])
