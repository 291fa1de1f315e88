"""WebDataset: real tar files, one or a folder of shards, whose members ``key.jpg``, ``key.cls``, ... are a sample each.

Layout and grouping as in webdataset/webdataset (src/webdataset/tariterators.py): .jpg, .png or .webp is the picture, .cls or
the JSON key ``label`` the class, and .npy, .npz, .pt or .pth its soft label. Names of classes may lie in
``classnames.txt`` beside, a line a class. The relabelling tars of SRe2L's family are torch files and not this.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.bounded_reads import TooMuch, bounded_lines
from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance, numbered_classes
from data.errors import UnreadableInput
from data.formats import sample_members as small
from data.formats import tar_writing
from data.formats.common import MOST_CLASSES, make_set, method_of, pixel_space, soft_label_notes
from data.formats.companions import HELD, Held, reads_back
from data.formats.picture_stores import MOST_ENCODED_BYTES, Look, as_pictures, evenly_spread, look_over
from data.formats.pictures import SUFFIXES
from data.formats.tar_index import Sample, Span, is_compressed, is_tar, read_index
from data.formats.tar_labels import LabelReader, Roles, roles_of
from data.formats.tar_shards import TarStore, find_tars, holds_tars
from data.images import Images

NAME = "webdataset"
TITLE = "WebDataset tar files or folders of shards (.jpg or .png, .cls, soft labels as .npy)"

CLASS_NAMES = "classnames.txt"
LONGEST_LINE = 1 << 12


@dataclass(frozen=True)
class TarLayout:
    """``files`` hold ``counts`` samples each."""

    files: tuple[Path, ...]
    counts: tuple[int, ...]
    roles: Roles
    names: Path | None


def recognises(path: Path) -> bool:
    return holds_tars(path) if path.is_dir() else path.is_file() and (is_tar(path) or is_compressed(path))


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Open the file or folder: all headers, labels and soft labels are read, of the pictures a few headers.

    Raises UnreadableInput where a file is compressed, damaged or hostile, or a sample lacks its picture or label.
    """
    shards = find_tars(path)
    indexed = [_indexed(file) for file in shards.files]
    counts = tuple(len(samples) for samples, _ in indexed)
    strays = sum(others for _, others in indexed)
    first = next((i for i, count in enumerate(counts) if count), None)
    if first is None:
        raise UnreadableInput(f"{path.name} holds no samples: no member has a name like 000.jpg; is it a WebDataset?")
    roles = roles_of(shards.files[first], indexed[first][0][0])
    labels = LabelReader(sum(counts), roles)
    for file, (samples, _) in zip(shards.files, indexed, strict=True):
        labels.add(file, samples)
    store = _store(shards.files, [samples for samples, _ in indexed])
    images = Images(store, pixel_space(store.read(0)[None], path, options))
    names_file = shards.files[0].with_name(CLASS_NAMES)
    names = _class_names(names_file) if names_file.is_file() else None
    hard, given = labels.finished(path.name)
    said = [f"{strays} members belong to no sample; they are kept as they are."] if strays else []
    warnings = (*shards.warnings, *said, *_unsafe(indexed), *store.look.warnings(), *soft_label_notes(given))
    files = shards.files if names is None else (*shards.files, names_file)
    origin = Provenance(path, NAME, method_of(path), files, options, warnings)
    layout = TarLayout(shards.files, counts, roles, None if names is None else names_file)
    opened = make_set(origin, hard, given, images, {"tar": layout})
    return opened if names is None else replace(opened, class_names=names)


def as_written(curated: CuratedSet) -> CuratedSet:
    """Encoded pictures as they are, others as uint8; and what the files themselves say of labels and classes."""
    layout = _layout(curated)
    if layout is not None:
        holds = layout.roles.says_soft or curated.relabels_all
        held = Held(frozenset([GIVEN] if holds else []), layout.names is not None, hard_labels=layout.roles.says_label)
    else:
        curated = as_pictures(curated)
        given = curated.set.label_sources.get(GIVEN)
        holds = given is not None and reads_back(given)
        held = Held(frozenset([GIVEN] if holds else []), _are_lines(curated.set.class_names), hard_labels=True)
    return replace(curated, set=replace(curated.set, extras={**curated.set.extras, HELD: held}))


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The same files under the same names: members of pruned samples left out, labels changed where decisions changed them,
    every other member byte for byte, in order. A file nothing changes in is copied.

    Sets of other formats become ``train-000000.tar``, ... with ``.cls``, the picture as it is stored or as PNG, and the
    soft label as ``.soft_label.npy``; names of classes go into ``classnames.txt``.
    """
    layout = _layout(curated)
    if layout is None:
        written = as_pictures(curated).set
        return [*tar_writing.write_new(written, out), *_new_class_names(written, out)]
    root = curated.original.provenance.path
    files, start = [], 0
    for file, count in zip(layout.files, layout.counts, strict=True):
        target = out / (file.relative_to(root) if root.is_dir() else file.name)
        tar_writing.rewrite(file, target, tar_writing.Changes(curated, layout.roles, start, count))
        files.append(target)
        start += count
    if layout.names is not None:
        files.append(Path(shutil.copyfile(layout.names, out / CLASS_NAMES)))
    return files


def _layout(curated: CuratedSet) -> TarLayout | None:
    layout = curated.original.extras.get("tar")
    return layout if isinstance(layout, TarLayout) else None


def _indexed(file: Path) -> tuple[list[Sample], int]:
    if is_compressed(file):
        raise UnreadableInput(
            f"{file.name} is compressed, and samples are read in their place; unpack it with gunzip first."
        )
    return read_index(file)


def _store(files: Sequence[Path], shards: Sequence[Sequence[Sample]]) -> TarStore:
    names: list[str] = []
    spans: list[Span] = []
    file_of: list[int] = []
    for at, samples in enumerate(shards):
        for sample in samples:
            member, span = _picture(files[at], sample)
            names.append(f"{sample.key}.{member}")
            spans.append(span)
            file_of.append(at)
    unseen = TarStore(files, file_of, names, spans, Look(None, grey=False, deep=False))
    return replace(unseen, look=look_over(unseen.opened, evenly_spread(len(names))))


def _picture(file: Path, sample: Sample) -> tuple[str, Span]:
    found = [member for member in sample.members if f".{small.suffix_of(member)}" in SUFFIXES]
    if len(found) != 1:
        what = f"several pictures ({', '.join(found[:4])})" if found else "no picture"
        raise UnreadableInput(f"{file.name}, sample {sample.key!a} has {what}; each needs one .jpg, .png or .webp.")
    span = sample.members[found[0]]
    if span.size > MOST_ENCODED_BYTES:
        raise UnreadableInput(f"{file.name}, {sample.key}.{found[0]} has {span.size:,} bytes; save it as a smaller picture.")
    return found[0], span


def _unsafe(indexed: Sequence[tuple[Sequence[Sample], int]]) -> Iterator[str]:
    count = sum(small.suffix_of(m) in small.UNSAFE_SUFFIXES for samples, _ in indexed for s in samples for m in s.members)
    if count:
        yield f"{count} members are pickles, which can carry code: they are never read, and written as they are."


def _class_names(path: Path) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8-sig") as text:
            names = [line.strip() for line in bounded_lines(text, LONGEST_LINE)]
    except (OSError, ValueError, TooMuch) as error:
        raise UnreadableInput(f"{path.name} is no list of class names ({error}); write a name a line.") from error
    names = names[: len(names) - next((i for i, name in enumerate(reversed(names)) if name), len(names))]
    if not names or len(names) > MOST_CLASSES or not all(names):
        raise UnreadableInput(f"{path.name} is no list of class names, a line a class; correct or remove it.")
    return tuple(names)


def _new_class_names(opened: DistilledSet, out: Path) -> list[Path]:
    names = opened.class_names
    if not _are_lines(names) or names == numbered_classes(int(opened.labels.max()) + 1):
        return []
    target = out / CLASS_NAMES
    target.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return [target]


def _are_lines(names: tuple[str, ...]) -> bool:
    """Whether ``classnames.txt`` can hold the names."""
    return all(name == name.strip() and len(name.splitlines()) == 1 and len(name) < LONGEST_LINE - 2 for name in names)
