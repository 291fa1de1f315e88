"""Writing WebDataset shards: an existing one with decisions applied, or new ones of a set of any format."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet
from data.formats import sample_members as small
from data.formats.companions import reads_back
from data.formats.picture_stores import picture_file
from data.formats.tar_index import members, split_name
from data.formats.tar_labels import Roles

SAMPLES_A_SHARD = 10_000
SHARD_BYTES = 1_000_000_000
SOFT_MEMBER = "soft_label.npy"


@dataclass(frozen=True)
class Changes:
    """What decisions change in one shard of ``count`` samples, whose first has the original id ``start``."""

    curated: CuratedSet
    roles: Roles
    start: int
    count: int

    @property
    def none(self) -> bool:
        if self.curated.relabels_all:
            return False
        touched = np.asarray((*self.curated.pruned, *self._edited), np.int64)
        return not ((touched >= self.start) & (touched < self.start + self.count)).any()

    def keeps(self, number: int) -> bool:
        return self._row(number) is not None

    def concern(self, number: int, member: str) -> bool:
        """Whether ``member`` of the sample may have other bytes, so that it has to be read."""
        touched = self.curated.relabels_all or self.start + number in self._edited
        return touched and member in (self.roles.cls, self.roles.soft, self.roles.json)

    def added(self, number: int) -> bytes | None:
        """The soft label of the sample as a .npy member of its own, where samples had none and have one now."""
        row = self._row(number)
        if not self.curated.relabels_all or self.roles.says_soft or row is None:
            return None
        return small.npy_bytes(self.curated.set.label_sources[GIVEN].stored([row])[0])

    def applied(self, number: int, member: str, data: bytes) -> bytes:
        """A label member with the labels that the sample has now."""
        row = self._row(number)
        assert row is not None
        label = int(self.curated.set.labels[row])
        soft = self.curated.set.label_sources[GIVEN].stored([row])[0] if self.roles.says_soft else None
        if member == self.roles.cls:
            return data.replace(data.strip(), b"%d" % label)
        if member == self.roles.json:
            return small.changed_json(data, label, soft)
        assert soft is not None
        return small.changed_row(data, small.suffix_of(member), soft, as_stored=not self.curated.relabels_all)

    @cached_property
    def _edited(self) -> frozenset[int]:
        return frozenset((*self.curated.relabelled, *self.curated.softened))

    def _row(self, number: int) -> int | None:
        kept = self.curated.kept
        row = int(np.searchsorted(kept, self.start + number))
        return row if row < len(kept) and kept[row] == self.start + number else None


def rewrite(file: Path, target: Path, changes: Changes) -> None:
    """``file`` without the members of pruned samples and with changed labels; all other members byte for byte, in order."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if changes.none:
        shutil.copyfile(file, target)
        return
    number, last = -1, None
    with file.open("rb") as source, tarfile.open(target, "w", format=_dialect(file)) as archive:
        for info in members(file):
            key, what = split_name(info.name) if info.isreg() else (None, None)
            begins = key is not None and key != last
            if begins:
                number, last = number + 1, key
            if key is not None and not changes.keeps(number):
                continue
            if begins and (soft := changes.added(number)) is not None:
                _add(archive, f"{key}.{SOFT_MEMBER}", soft)
            source.seek(info.offset_data)
            content: IO[bytes] = source
            if what is not None and changes.concern(number, what):
                data = changes.applied(number, what, source.read(info.size))
                info.size, content = len(data), BytesIO(data)
                info.pax_headers.pop("size", None)
            archive.addfile(info, content if info.isreg() else None)
            archive.members = []


def write_new(opened: DistilledSet, out: Path) -> list[Path]:
    """Shards of at most ``SAMPLES_A_SHARD`` samples and about ``SHARD_BYTES``; ``opened``'s images are pictures."""
    files: list[Path] = []
    waiting = iter(range(len(opened)))
    i = next(waiting, None)
    while i is not None:
        files.append(out / f"train-{len(files):06d}.tar")
        with tarfile.open(files[-1], "w", format=tarfile.USTAR_FORMAT) as archive:
            first = i
            while i is not None and i - first < SAMPLES_A_SHARD and archive.offset < SHARD_BYTES:
                for member, data in _members_of(opened, i):
                    _add(archive, f"{i:08d}.{member}", data)
                i = next(waiting, None)
    return files


def _members_of(opened: DistilledSet, i: int) -> Iterator[tuple[str, bytes]]:
    assert opened.images is not None
    picture, suffix = picture_file(opened.images.store, i)
    yield "cls", b"%d" % opened.labels[i]
    yield suffix[1:], picture
    given = opened.label_sources.get(GIVEN)
    if given is not None and reads_back(given):
        yield SOFT_MEMBER, small.npy_bytes(given.stored([i])[0])


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, BytesIO(data))
    archive.members = []  # which would otherwise grow without end


def _dialect(file: Path) -> int:
    """How the archive spells long names."""
    with file.open("rb") as stream:
        return tarfile.GNU_FORMAT if stream.read(265)[257:265] == b"ustar  \0" else tarfile.PAX_FORMAT
