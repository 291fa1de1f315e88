"""How folders of classes and the files in them are named, and which class that makes them.

* SRe2L and its descendants: ``new{class:03d}/class{class:03d}_id{i:03d}.jpg`` (SRe2L/recover/data_synthesis.py:118-136);
  CDA with five digits, LPLD with ``new{class:03d}_it{step}`` folders.
* RDED: ``{class:05d}/class{class:05d}_id{i:05d}.jpg``, each image a mosaic (synthesize/main.py:61-69).
* D4M: ``{class}/{class}-image{i}{j}.png``, the class unpadded (DD-Ranking, branch methods, gen_syn_image.py:69).
* Anything else: torchvision's ImageFolder, classes in the order of their folders' names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.errors import UnreadableInput
from data.formats.common import MOST_CLASSES

_NEW = re.compile(r"new(\d{1,9})(?:_it\d+)?", re.ASCII)
_NUMBER = re.compile(r"(\d{1,9})", re.ASCII)
_CLASS_ID = re.compile(r"class(\d+)_id(\d+)", re.ASCII)
_D4M_IMAGE = re.compile(r"\d+-image\d+", re.ASCII)
_LEADING_CLASS = re.compile(r"(class|(?=\d+-image))(\d+)", re.ASCII)
SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))
# Folders named by far apart numbers (years, say) are names, not class indices.
SPARSEST = 10


@dataclass(frozen=True)
class ClassFolders:
    """``indices`` (F,) is the class of each of the F ``folders``; ``classes`` counts the classes, empty ones too.

    ``pattern`` names a folder for a class that has none, as in ``new{:03d}``; None where folders have names of their own.
    """

    folders: tuple[str, ...]
    indices: tuple[int, ...]
    classes: int
    method: str
    pattern: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each class: its first folder's."""
        return tuple(self.folder_of(index) for index in range(self.classes))

    @cached_property
    def _first_folder(self) -> dict[int, str]:
        pairs = zip(self.indices, self.folders, strict=True)
        return dict(reversed(list(pairs)))

    def folder_of(self, index: int) -> str:
        """The first folder of a class, or the name that its folder would have."""
        known = self._first_folder.get(index)
        if known is not None:
            return known
        assert self.pattern is not None
        return self.pattern.format(index)

    def labels_of(self, names: Iterable[str]) -> np.ndarray:
        """The class of each image by the folder it lies in, int64 (N,)."""
        index = dict(zip(self.folders, self.indices, strict=True))
        return np.fromiter((index[name.split("/", 1)[0]] for name in names), np.int64)

    def warnings(self) -> tuple[str, ...]:
        """What a reader with another rule would see differently."""
        said = []
        if self.pattern is not None and list(self.indices) != sorted(self.indices):
            said.append(
                "class folders sorted by name are not sorted by number: the class is the number, as the authors count, "
                "while torchvision's ImageFolder counts by name."
            )
        if missing := self.classes - len(set(self.indices)):
            said.append(f"{missing} of the classes 0 to {self.classes - 1} have no folder and stay empty.")
        if self.method == "RDED":
            said.append("each image is a mosaic of factor x factor real patches (RDED; the factor, usually 2, is unknown).")
        return tuple(said)


def understand(folders: Sequence[str], first_image: str) -> ClassFolders:
    """Classes of ``folders``, sorted by name; ``first_image`` is one image's relative name, which tells methods apart."""
    stem = first_image.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    for rule, prefix in ((_NEW, "new"), (_NUMBER, "")):
        matches = [rule.fullmatch(folder) for folder in folders]
        if all(matches):
            numbers = [int(match[1]) for match in matches if match]
            if prefix or max(numbers) < SPARSEST * len(folders) + 100:
                width = min(len(match[1]) for match in matches if match)
                pattern = f"{prefix}{{:0{width}d}}"
                return ClassFolders(tuple(folders), tuple(numbers), _count(numbers), _method(prefix, width, stem), pattern)
    if set(map(str.lower, folders)) <= SPLITS:
        raise UnreadableInput(f"the folder holds the splits {', '.join(folders)}, not classes; point at one of them.")
    return ClassFolders(tuple(folders), tuple(range(len(folders))), len(folders), "image folder", None)


def renamed(name: str, folders: ClassFolders, label: int, taken: set[str]) -> str:
    """Where the image ``name`` goes when its class becomes ``label``: the new class's folder, the class in its file name
    changed where it has one, and a number of its own where that name is ``taken``."""
    old_folder, rest = name.split("/", 1)
    folder = folders.folder_of(label)
    file = rest.rsplit("/", 1)[-1]
    if folders.pattern is not None and old_folder != folder:
        file = _LEADING_CLASS.sub(lambda match: f"{match[1]}{label:0{len(match[2])}d}", file, count=1)
    wanted = f"{folder}/{file}"
    if wanted not in taken:
        return wanted
    return next(other for other in _alternatives(folder, file, taken) if other not in taken)


def _alternatives(folder: str, file: str, taken: set[str]) -> Iterable[str]:
    """Names like ``file`` with other numbers: the next free id in SRe2L's naming, else a suffix."""
    stem, suffix = file.rsplit(".", 1)
    match = _CLASS_ID.match(stem)
    for number in range(len(taken) + 1):
        if match is None:
            yield f"{folder}/{stem}_{number + 2}.{suffix}"
        else:
            known = int(match[2]) + 1 + number
            yield f"{folder}/class{match[1]}_id{known:0{len(match[2])}d}{stem[match.end() :]}.{suffix}"


def _method(prefix: str, width: int, stem: str) -> str:
    if _CLASS_ID.match(stem):
        return "SRe2L" if prefix else "RDED"
    if not prefix and width < 5 and _D4M_IMAGE.fullmatch(stem):
        return "D4M"
    return "image folder"


def _count(numbers: Sequence[int]) -> int:
    if max(numbers) >= MOST_CLASSES:
        raise UnreadableInput(
            f"a class folder is numbered {max(numbers)}; at most {MOST_CLASSES:,} classes are read: check the folder's name."
        )
    return max(numbers) + 1
