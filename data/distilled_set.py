"""What a distilled set is, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from data.errors import UnreadableInput
from data.images import Images
from data.pixels import PixelSpace
from data.plain_text import is_broken_text
from data.soft_labels import SoftLabels

GIVEN = "given"
"""The label source that came with the set: its authors' own labels."""
PLACES = ("labels", "counts", "reference", "test")
"""The opening options that name files and folders."""


@dataclass(frozen=True)
class OpenOptions:
    """What a person may say about a set that its files do not.

    ``repeat``: which of several repeats a DC-style result file holds; ``ipc``: images per class where labels are absent
    and implied by order; ``labels``: a soft-label file kept elsewhere; ``profile``: a name in ``data.pixels.PROFILES``;
    ``format``: a name in ``data.formats``, to overrule recognition. Kept elsewhere, they overrule what came with the set:
    ``counts``, a CSV file of original images per class (data/class_counts.py); ``reference`` and ``test``, real images in
    any file or folder that can be opened (data/real_images.py).
    """

    repeat: int | None = None
    ipc: int | None = None
    labels: str | None = None
    profile: str | None = None
    format: str | None = None
    counts: str | None = None
    reference: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a set came from. ``files`` are all files read, in a stable order; hashes are taken only when asked for."""

    path: Path
    format: str
    method: str
    files: Sequence[Path]
    options: OpenOptions = OpenOptions()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """Real images of the same classes: ``images``, ``labels`` int64 (M,)."""

    images: Images
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class DistilledSet:
    """A distilled set, opened but not read.

    A sample id is a position in the stored order, 0 to N - 1. ``labels`` is int64 (N,), the hard label of each sample,
    or the most probable class of its given soft label. ``images`` is None for files that hold labels only.
    ``derived_sources`` were computed from ``label_sources`` (data/derived_sources.py): they can be chosen by name but are no
    opinion beside those. ``class_counts`` (C,) int64 counts the original training set. ``extras`` belongs to the format that
    read the set: what it needs to write the same file again (learning rates, other repeats, recorded accuracies).

    Raises UnreadableInput when the parts do not fit together.
    """

    name: str
    labels: np.ndarray
    class_names: tuple[str, ...]
    provenance: Provenance
    images: Images | None = None
    label_sources: Mapping[str, SoftLabels] = field(default_factory=dict)
    derived_sources: Mapping[str, SoftLabels] = field(default_factory=dict)
    class_counts: np.ndarray | None = None
    reference: Reference | None = None
    test: Reference | None = None
    extras: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.ascontiguousarray(self.labels, dtype=np.int64))
        object.__setattr__(self, "label_sources", MappingProxyType(dict(self.label_sources)))
        object.__setattr__(self, "derived_sources", MappingProxyType(dict(self.derived_sources)))
        _validate(self)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def selectable_sources(self) -> dict[str, SoftLabels]:
        """Every label source that can be chosen by name: those that came with the set, then the derived ones."""
        return {**self.label_sources, **self.derived_sources}

    @property
    def per_class(self) -> np.ndarray:
        """Samples of each class, int64 (C,)."""
        return np.bincount(self.labels, minlength=self.num_classes)

    @property
    def pixel_space(self) -> PixelSpace | None:
        return self.images.pixel_space if self.images is not None else None

    def with_pixel_space(self, space: PixelSpace) -> DistilledSet:
        """The same set with its stored numbers understood differently."""
        if self.images is None:
            raise UnreadableInput(f"{self.name} holds no images, so it has no pixel space to choose.")
        return replace(self, images=replace(self.images, pixel_space=space))


def numbered_classes(count: int) -> tuple[str, ...]:
    """Names for classes that came without any."""
    return tuple(f"class {i}" for i in range(count))


def _validate(opened: DistilledSet) -> None:
    where, n, classes = opened.provenance.path.name, len(opened.labels), len(opened.class_names)
    if n == 0:
        raise UnreadableInput(f"{where} holds no samples; point at a file or folder with at least one image or label.")
    if opened.labels.ndim != 1:
        raise UnreadableInput(
            f"{where}: labels have shape {opened.labels.shape}; one label a sample, shape (N,), is needed."
        )
    outside = np.flatnonzero((opened.labels < 0) | (opened.labels >= classes))
    if len(outside):
        first = int(outside[0])
        raise UnreadableInput(
            f"{where}: {len(outside)} of {n} labels are outside 0 to {classes - 1} (first: sample {first} has "
            f"{opened.labels[first]}); check that labels and class names belong together."
        )
    if any(map(is_broken_text, opened.class_names)):
        raise UnreadableInput(f"{where}: a class name is not valid Unicode text and could not be saved again; correct it.")
    if opened.images is not None and len(opened.images) != n:
        raise UnreadableInput(
            f"{where}: {len(opened.images)} images but {n} labels; check that the two files belong together."
        )
    for name, source in opened.selectable_sources.items():
        if len(source) != n or source.num_classes != classes:
            raise UnreadableInput(
                f"{where}: soft labels '{name}' have shape ({len(source)}, {source.num_classes}) but the set has "
                f"{n} samples and {classes} classes; check that they belong to this set."
            )
    if opened.class_counts is not None and len(opened.class_counts) != classes:
        raise UnreadableInput(f"{where}: {len(opened.class_counts)} class counts for {classes} classes; give one a class.")
