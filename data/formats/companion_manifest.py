"""``stillroom.json``: what the authors' files leave out, in a small file beside them. Strictly checked.

    {"class_names": ["cat", ...], "class_counts": [5000, ...], "pixel_space": "fashion-mnist",
     "label_sources": {"teacher strong": {"file": "teacher_strong.npy", "kind": "logits"}},
     "reference": {"images": "reference_images.npy", "labels": "reference_labels.npy", "pixel_space": "uint8"},
     "test": {"images": ..., "labels": ...},
     "hard_labels": "hard_labels.npy"}

``hard_labels`` are those of a set whose soft labels have other most probable classes. Every key is optional. Files are
plain names in the manifest's own folder. It lies in an image folder, or beside a set's file, as ``stillroom.json`` or as
``<file>.stillroom.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data.errors import UnreadableInput
from data.formats.common import MOST_CLASSES
from data.pixels import PROFILES
from data.soft_labels import KINDS, Kind

FILE = "stillroom.json"
MOST_BYTES = 64 << 20
_KEYS = frozenset(("class_names", "class_counts", "pixel_space", "label_sources", "reference", "test", "hard_labels"))


@dataclass(frozen=True)
class LabelFile:
    """``kind`` None leaves it to detection."""

    file: Path
    kind: Kind | None = None


@dataclass(frozen=True)
class ImageFiles:
    images: Path
    labels: Path
    pixel_space: str = "uint8"


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, all files found; ``path`` is the manifest itself."""

    path: Path
    class_names: tuple[str, ...] | None = None
    class_counts: tuple[int, ...] | None = None
    pixel_space: str | None = None
    label_sources: Mapping[str, LabelFile] = field(default_factory=dict)
    reference: ImageFiles | None = None
    test: ImageFiles | None = None
    hard_labels: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifest and every file it names."""
        images = [part for pair in (self.reference, self.test) if pair is not None for part in (pair.images, pair.labels)]
        hard = () if self.hard_labels is None else (self.hard_labels,)
        return (self.path, *(source.file for source in self.label_sources.values()), *images, *hard)


def find_manifest(path: Path) -> Path | None:
    """The manifest of the set at ``path``, if there is one."""
    places = [path / FILE] if path.is_dir() else [path.with_name(f"{path.name}.{FILE}"), path.parent / FILE]
    return next((place for place in places if os.path.isfile(place)), None)  # unlike is_file, False for too long a name


def read_manifest(path: Path) -> Manifest:
    """Raises UnreadableInput naming the entry that is wrong."""
    said = _parse(path)
    return Manifest(
        path,
        _optional(said, "class_names", lambda value: _names(value, path)),
        _optional(said, "class_counts", lambda value: _counts(value, path)),
        _optional(said, "pixel_space", lambda value: _profile(value, path)),
        _optional(said, "label_sources", lambda value: _sources(value, path)) or {},
        _optional(said, "reference", lambda value: _image_files(value, "reference", path)),
        _optional(said, "test", lambda value: _image_files(value, "test", path)),
        _optional(said, "hard_labels", lambda value: _file(value, path)),
    )


def _parse(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _wrong(path, f"is larger than {MOST_BYTES:,} bytes")
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path, f"is not a JSON file ({error})") from error
    _object(said, "the whole file", _KEYS, path)
    return said


def _optional(said: Mapping[str, object], key: str, check: Callable):  # type: ignore[type-arg, no-untyped-def]
    return check(said[key]) if key in said else None


def _wrong(path: Path, what: str) -> UnreadableInput:
    return UnreadableInput(f"{path.name} {what}; correct or remove it.")


def _object(value: object, what: str, keys: Iterable[str], path: Path) -> None:
    if not isinstance(value, dict):
        raise _wrong(path, f"needs a JSON object as {what}")
    unknown = sorted(set(value) - set(keys))
    if unknown:
        raise _wrong(path, f"has the unknown entry {unknown[0][:80]!a}")


def _names(value: object, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_CLASSES or not all(isinstance(n, str) and n for n in value):
        raise _wrong(path, "needs a list of names as class_names")
    return tuple(value)


def _counts(value: object, path: Path) -> tuple[int, ...]:
    def is_count(count: object) -> bool:
        return isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1 << 62

    if not isinstance(value, list) or not all(map(is_count, value)):
        raise _wrong(path, "needs a list of whole numbers from 0 as class_counts")
    return tuple(value)


def _profile(value: object, path: Path) -> str:
    if not isinstance(value, str) or value not in PROFILES:
        raise _wrong(path, f"names the pixel_space {str(value)[:80]!a}, which is not one of {', '.join(PROFILES)}")
    return value


def _sources(value: object, path: Path) -> dict[str, LabelFile]:
    if not isinstance(value, dict) or not all(name.strip() and name.isprintable() for name in value):
        raise _wrong(path, "needs an object of named files as label_sources")
    return {name: _label_file(entry, name, path) for name, entry in value.items()}


def _label_file(entry: object, name: str, path: Path) -> LabelFile:
    _object(entry, f"label source '{name}'", ("file", "kind"), path)
    kind = entry.get("kind")  # type: ignore[union-attr]
    if kind is not None and kind not in KINDS:
        raise _wrong(path, f"gives '{name}' the kind {str(kind)[:80]!a}, which is not one of {', '.join(KINDS)}")
    return LabelFile(_file(entry.get("file"), path), kind)  # type: ignore[union-attr]


def _image_files(entry: object, what: str, path: Path) -> ImageFiles:
    _object(entry, what, ("images", "labels", "pixel_space"), path)
    space = _profile(entry.get("pixel_space", "uint8"), path)  # type: ignore[union-attr]
    return ImageFiles(_file(entry.get("images"), path), _file(entry.get("labels"), path), space)  # type: ignore[union-attr]


def _file(name: object, path: Path) -> Path:
    """A file in the manifest's folder, by a plain name: one that could lead elsewhere is refused."""
    if not isinstance(name, str) or not name.isprintable() or name in ("", ".", "..") or "/" in name or "\\" in name:
        raise _wrong(path, f"names the file {str(name)[:80]!a}, which is not a plain name in the same folder")
    place = path.parent / name
    if not place.is_file() or place.resolve().parent != path.parent.resolve():
        raise _wrong(path, f"names '{name}', which is not a file in the same folder")
    return place
