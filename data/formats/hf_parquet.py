"""Hugging Face parquet: pictures, labels and soft labels as columns of one file or of a folder of shards.

As `datasets` writes and the Hub shows them (huggingface/datasets); he-yang/2025-rethinkdc-imagenet-* keep distilled sets so,
with ``class_id`` for the label. A soft-label column of lists is the given label source, and other columns of lists with a
number a class are further sources. Columns that mean nothing here are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance
from data.errors import UnreadableInput
from data.formats import hf_writing
from data.formats.array_files import MOST_INFLATED, as_array, as_tensor
from data.formats.common import labels_of, make_set, method_of, pixel_space, soft_label_notes
from data.formats.companions import HELD, Held
from data.formats.hf_schema import Columns, class_names, find_columns, holds_pictures
from data.formats.hf_shards import find_shards, parquet_names, shard_folder
from data.formats.parquet_files import read_table
from data.formats.parquet_labels import matrix
from data.formats.parquet_pictures import ParquetStore, Pieces, look_into, one_line_of
from data.formats.picture_stores import as_pictures
from data.images import Images
from data.soft_labels import SoftLabels, hard_labels

NAME = "hf-parquet"
TITLE = "Hugging Face parquet files or folders of shards (pictures, labels, soft labels)"
MAGIC = b"PAR1"
MOST_LABEL_BYTES = 1 << 28
FILES_LOOKED_INTO = 16


@dataclass(frozen=True)
class ParquetLayout:
    """``files`` hold ``rows`` each; ``values`` are what the label column holds for each class where that is not its index;
    ``sources`` are the label sources that columns hold."""

    columns: Columns
    files: tuple[Path, ...]
    rows: tuple[int, ...]
    values: tuple[str, ...] | None
    sources: frozenset[str]


def recognises(path: Path) -> bool:
    if not path.is_dir():
        return path.is_file() and _has_pictures(path)
    place = shard_folder(path)
    return place is not None and any(_has_pictures(place / name) for name in parquet_names(place)[:FILES_LOOKED_INTO])


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Open the file or folder: labels and soft labels are read, of the pictures a few headers.

    Raises UnreadableInput where a shard is missing, damaged or unlike the others, or a column is not what it should be.
    """
    shards = find_shards(path)
    files = shards.files
    with _one_sentence(files[0].name):
        schema = _common_schema(files)
        columns = find_columns(schema, files[0].name)
        pieces = Pieces(files, columns.leaf)
        if not len(pieces):
            raise UnreadableInput(f"{path.name} has no rows; a set has at least one picture.")
        words = _words(files, columns.label)
        given = None if columns.soft is None else _soft(files, columns.soft)
        rows = tuple(pq.read_metadata(file).num_rows for file in files)
    hard, values = (hard_labels(given), None) if words is None else _indices(words)  # type: ignore[arg-type]
    store = ParquetStore(pieces, look_into(pieces))
    images = Images(store, pixel_space(store.read(0)[None], path, options))
    warnings = (*shards.warnings, *store.look.warnings(), *soft_label_notes(given))
    origin = Provenance(path, NAME, method_of(path), files, options, warnings)
    opened = make_set(origin, hard, given, images)
    opened = replace(opened, class_names=class_names(schema, columns.label) or values or opened.class_names)
    with _one_sentence(files[0].name):
        opened = _with_further_sources(opened, files, columns.lists)
    layout = ParquetLayout(columns, files, rows, values, frozenset(opened.label_sources))
    return replace(opened, extras={"hf": layout})


def as_written(curated: CuratedSet) -> CuratedSet:
    """Encoded pictures as they are, others as uint8; and what the files themselves say of labels and classes."""
    layout = _layout(curated)
    if layout is not None:
        named = class_names(pq.read_schema(layout.files[0]), layout.columns.label) or layout.values
        sources = layout.sources | ({GIVEN} if curated.relabels_all else set())
        held = Held(sources, curated.set.class_names == named, hard_labels=layout.columns.label is not None)
    else:
        curated = as_pictures(curated)
        held = hf_writing.held(curated.set)
    return replace(curated, set=replace(curated.set, extras={**curated.set.extras, HELD: held}))


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The same files under the same names with the kept rows, every other column and the schema's metadata as they were,
    and changed labels; a file nothing changes in is copied. Pictures stay byte for byte. A shard that lost all its rows
    stays, empty, or the others' names would be wrong.

    Sets of other formats become ``data/train-*.parquet``, shards of about 500 MB: pictures as they are stored or as PNG,
    ``label`` with the names of the classes, and soft labels as lists of fixed length.
    """
    layout = _layout(curated)
    if layout is None:
        return hf_writing.write_new(as_pictures(curated).set, out)
    root = curated.original.provenance.path
    files, start = [], 0
    for file, count in zip(layout.files, layout.rows, strict=True):
        target = out / (file.relative_to(root) if root.is_dir() else file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        here = np.flatnonzero((curated.kept >= start) & (curated.kept < start + count))
        hf_writing.rewrite(file, target, curated.kept[here] - start, _changed_columns(curated, layout, here))
        files.append(target)
        start += count
    return files


def _layout(curated: CuratedSet) -> ParquetLayout | None:
    layout = curated.original.extras.get("hf")
    return layout if isinstance(layout, ParquetLayout) else None


def _changed_columns(curated: CuratedSet, layout: ParquetLayout, here: np.ndarray) -> dict[str, np.ndarray]:
    """New values of the columns that change among the samples ``here`` of the curated set, by column."""
    changed: dict[str, np.ndarray] = {}
    ids, labels = curated.kept[here], curated.set.labels[here]
    if layout.columns.label is not None and (labels != curated.original.labels[ids]).any():
        changed[layout.columns.label] = labels if layout.values is None else np.asarray(layout.values, object)[labels]
    if curated.relabels_all:
        column = layout.columns.soft or hf_writing.SOFT_COLUMN
        changed[column] = as_array(curated.set.label_sources[GIVEN].stored(here))
    elif layout.columns.soft is not None and np.isin(ids, (*curated.relabelled, *curated.softened)).any():
        changed[layout.columns.soft] = as_array(curated.set.label_sources[GIVEN].stored(here))
    return changed


def _has_pictures(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                return False
        return holds_pictures(pq.read_schema(file))
    except (pa.ArrowException, OSError, ValueError):
        return True  # a parquet file that is broken: reading it says how


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UnreadableInput(f"{name} cannot be read as a parquet file ({one_line_of(error)}); save it again.") from error


def _common_schema(files: Sequence[Path]) -> pa.Schema:
    schema = pq.read_schema(files[0])
    for file in files[1:]:
        if not pq.read_schema(file).equals(schema):
            raise UnreadableInput(f"{file.name} has other columns than {files[0].name}; are they shards of one set?")
    return schema


def _words(files: Sequence[Path], column: str | None) -> np.ndarray | None:
    """The values of the label column, (N,) int64 or text; None where there is no such column."""
    if column is None:
        return None
    parts = []
    for file in files:
        values = read_table(file, MOST_LABEL_BYTES // len(files), [column]).column(0)
        if values.null_count:
            row = values.is_null().to_pylist().index(True)
            raise UnreadableInput(f"{file.name}, row {row}: there is no {column}; fill in its class or remove the row.")
        text = not pa.types.is_integer(values.type)
        parts.append(
            np.asarray(values.to_pylist() if text else values.cast(pa.int64()).to_numpy(), object if text else None)
        )
    return np.concatenate(parts)


def _indices(words: np.ndarray) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """(class indices int64 (N,), the classes in alphabetical order where words name them)"""
    if words.dtype != object:
        return words, None
    classes, indices = np.unique(words.astype(str), return_inverse=True)
    return indices.astype(np.int64), tuple(classes.tolist())


def _soft(files: Sequence[Path], column: str) -> SoftLabels | None:
    """A column of lists as soft labels, in memory. Raises UnreadableInput unless every row has as many finite numbers."""
    parts, left = [], MOST_INFLATED
    for file in files:
        table = read_table(file, left, [column])
        left -= table.nbytes
        if table.num_rows:
            parts.append(matrix(table, f"{file.name}, '{column}'"))
    if len({part.shape[1] for part in parts}) > 1:
        raise UnreadableInput(f"{files[0].name}, '{column}': shards have rows of different lengths; save them alike.")
    where = f"{files[0].name}, '{column}'"
    return labels_of(as_tensor(np.concatenate(parts), where), where)[1]


def _with_further_sources(opened: DistilledSet, files: Sequence[Path], columns: Sequence[str]) -> DistilledSet:
    """The other columns of lists that have a number a class, as label sources; those that have not mean something else."""
    sources = dict(opened.label_sources)
    said = []
    for column in columns:
        if column != GIVEN and _width(files, column) == opened.num_classes:
            try:
                sources[column] = _soft(files, column)  # type: ignore[assignment]
            except UnreadableInput as error:
                said.append(f"column {column!a} is not taken for soft labels: {error}")
    origin = replace(opened.provenance, warnings=(*opened.provenance.warnings, *said))
    return replace(opened, label_sources=sources, provenance=origin)


def _width(files: Sequence[Path], column: str) -> int:
    """How many numbers the first row has."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for piece in parquet.iter_batches(1, columns=[column]):
                if len(piece):
                    first = piece.column(0)[0]
                    return len(first) if first.is_valid else 0
    return 0
