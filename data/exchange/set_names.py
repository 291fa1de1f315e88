"""What a set calls its samples and its classes, for decisions that come from, or go to, other programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from data.distilled_set import DistilledSet
from data.formats.folder_store import FolderStore
from data.formats.tar_shards import TarStore

MOST_LETTERS = 4096
MOST_PARTS = 64
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


class NoSuch(ValueError):
    """The set has no such sample or class, or several."""


@dataclass(frozen=True, eq=False)
class SetNames:
    """``labels`` int64 (N,) are the given ones; ``files`` the names of the images, relative to the set, made up where the
    set did not come from files. Names are only ever compared: nothing is opened by them."""

    labels: np.ndarray
    class_names: tuple[str, ...]
    files: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def class_token(self, label: int) -> str:
        """The name of a class, with its index where another class has the same name."""
        return self._tokens[label]

    def class_of(self, said: object) -> int:
        """The class that a name, or an index, means. Raises NoSuch."""
        if isinstance(said, str):
            known = self._by_token.get(said.strip())
            if known is not None:
                return known
            if self._met[said.strip()] > 1:
                raise NoSuch(f"'{_short(said)}', which several classes are called")
            said = int(said) if said.strip().isdecimal() and len(said) < 20 else said
        if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < len(self.class_names):
            return said
        raise NoSuch(f"'{_short(said)}'")

    def sample_of(self, file: str) -> int:
        """The sample whose image the name, path or address means: one that ends as the path of the image in the set does, or
        else one of the only image called so. Raises NoSuch."""
        parts = _parts(file)
        for place in range(len(parts)):
            found = self._by_path.get("/".join(parts[place:]))
            if found is not None:
                return self._only(found, file)
        for last in (parts[-1:], [_UPLOADED.sub("", part) for part in parts[-1:]]):
            found = self._by_last.get("".join(last))
            if found is not None:
                return self._only(found, file)
        raise NoSuch(f"'{_short(file)}'")

    def _only(self, found: int, file: str) -> int:
        if found < 0:
            raise NoSuch(f"'{_short(file)}', which several images are called")
        return found

    @cached_property
    def _met(self) -> Counter[str]:
        return Counter(self.class_names)

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return tuple(
            name if self._met[name] == 1 and name.strip() == name and name else f"{name} #{i}"
            for i, name in enumerate(self.class_names)
        )

    @cached_property
    def _by_token(self) -> dict[str, int]:
        return {token.strip(): i for i, token in enumerate(self._tokens)}

    @cached_property
    def _by_path(self) -> dict[str, int]:
        return _index("/".join(_parts(name)) for name in self.files)

    @cached_property
    def _by_last(self) -> dict[str, int]:
        return _index(name.rsplit("/", 1)[-1] for name in self.files)


def names_of(distilled_set: DistilledSet) -> SetNames:
    """What ``distilled_set`` calls its samples and classes."""
    store = distilled_set.images.store if distilled_set.images is not None else None
    files: Sequence[str] = _Numbered(len(distilled_set))
    if isinstance(store, FolderStore):
        files = store.names
    elif isinstance(store, TarStore):
        files = [store.name(i).replace(", ", "/", 1) for i in range(len(store))]
    return SetNames(distilled_set.labels, distilled_set.class_names, files)


class _Numbered(Sequence[str]):
    """Names for the images of a set that did not come from picture files: "sample_000012.png"."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self._count))]
        if not 0 <= place < self._count:
            raise IndexError(place)
        return f"sample_{place:06d}.png"


def _index(names: Iterable[str]) -> dict[str, int]:
    """Place by name; -1 for a name that stands more than once."""
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        found[name] = -1 if name in found else place
    return found


def _parts(text: str) -> list[str]:
    """The parts of a file name, a path of any system, or an address, which may carry the path as ``?d=`` (Label Studio's
    local files)."""
    path = text[:MOST_LETTERS]
    if "://" in path or path.startswith("/data/"):
        try:
            address = urlsplit(path)
            path = parse_qs(address.query).get("d", [unquote(address.path)])[0]
        except ValueError:
            pass
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")][-MOST_PARTS:]


def _short(said: object) -> str:
    text = str(said)
    return text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"
