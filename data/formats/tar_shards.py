"""Which tar files of a folder are the shards of one WebDataset, and the pictures in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.errors import UnreadableInput
from data.formats.picture_stores import Look, OpenPicture, PictureStore
from data.formats.pictures import open_encoded
from data.formats.shards import Shards, names_in
from data.formats.tar_index import Span, is_tar, read_span
from data.plain_text import several
from data.soft_labels import Ids

SUFFIX = ".tar"
FILES_LOOKED_INTO = 16
_NUMBERED = re.compile(r"(?P<split>.*?)[-_.]?(?P<number>\d{1,9})\.tar", re.ASCII)


def holds_tars(folder: Path) -> bool:
    """Whether one of the first few files called .tar is one; those of relabelled sets are torch files."""
    return any(is_tar(folder / name) for name in names_in(folder, SUFFIX)[:FILES_LOOKED_INTO])


def find_tars(path: Path) -> Shards:
    """The shards of a file or folder. Raises UnreadableInput where it is unclear what is meant."""
    if path.is_file():
        return Shards((path,))
    splits: dict[str, list[tuple[int, str]]] = {}
    for name in names_in(path, SUFFIX):
        found = _NUMBERED.fullmatch(name)
        split, number = (found["split"], int(found["number"])) if found else (name.removesuffix(SUFFIX), 0)
        splits.setdefault(split, []).append((number, name))
    if not splits:
        raise UnreadableInput(f"{path.name} holds no .tar files; point at the shards of a WebDataset.")
    chosen = next((split for split in splits if split.lower() == "train"), next(iter(splits)) if len(splits) == 1 else None)
    if chosen is None:
        raise UnreadableInput(
            f"{path.name} holds several sets, none of them named train ({several(sorted(splits))}); point at a file."
        )
    others = sorted(set(splits) - {chosen})
    said = [f"'{chosen}' was opened; {several(others)} beside it is neither read nor written."] if others else []
    shards = sorted(splits[chosen])
    said += _gaps([number for number, _ in shards])
    return Shards(tuple(path / name for _, name in shards), tuple(said))


def _gaps(numbers: Sequence[int]) -> list[str]:
    if len(set(numbers)) != len(numbers):
        raise UnreadableInput("two shards have the same number; keep those of one set.")
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    return [f"{missing} shards between {numbers[0]} and {numbers[-1]} are missing."] if missing else []


@dataclass(frozen=True, eq=False)
class TarStore(PictureStore):
    """Pictures by sample: member ``names[i]`` of ``files[file_of[i]]`` lies at ``spans[i]``. ``order`` maps ids to i."""

    files: Sequence[Path]
    file_of: Sequence[int]
    names: Sequence[str]
    spans: Sequence[Span]
    look: Look
    order: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names) if self.order is None else len(self.order)

    def name(self, sample_id: int) -> str:
        at = self._at(sample_id)
        return f"{self.files[self.file_of[at]].name}, {self.names[at]}"

    def opened(self, sample_id: int) -> OpenPicture:
        return open_encoded(self.encoded(sample_id), self.name(sample_id))

    def encoded(self, sample_id: int) -> bytes:
        at = self._at(sample_id)
        path = self.files[self.file_of[at]]
        try:
            with path.open("rb") as file:
                return read_span(file, self.spans[at], path.name)
        except OSError as error:
            raise UnreadableInput(f"{path} cannot be read any more ({error.strerror}); open the set again.") from error

    def take(self, ids: Ids) -> TarStore:
        rows = np.asarray(ids, dtype=np.int64)
        order = rows if self.order is None else self.order[rows]
        return TarStore(self.files, self.file_of, self.names, self.spans, self.look, order)

    def _at(self, sample_id: int) -> int:
        return sample_id if self.order is None else int(self.order[sample_id])
