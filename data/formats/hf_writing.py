"""Writing Hugging Face parquet files: an existing one with other rows and labels, or new shards of a set of any format."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.formats.array_files import as_array
from data.formats.companions import Held, reads_back
from data.formats.hf_schema import feature_metadata, with_list_feature
from data.formats.parquet_labels import as_lists, is_list
from data.formats.parquet_texts import PIECE_BYTES, reading_of, unpacked_bytes
from data.formats.picture_stores import picture_file
from data.soft_labels import SoftLabels

SOFT_COLUMN = "soft_labels"
SHARD_BYTES = 500_000_000
ROWS_A_GROUP = 100
MOST_UNPACKED = 1 << 30
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_CODECS = {"SNAPPY": "snappy", "ZSTD": "zstd", "GZIP": "gzip", "BROTLI": "brotli", "LZ4": "lz4", "UNCOMPRESSED": "none"}

Arrays = Mapping[str, np.ndarray]


def held(opened: DistilledSet) -> Held:
    """What ``write_new`` writes into the parquet files themselves."""
    return Held(frozenset(_columns_of_sources(opened)), _are_distinct(opened.class_names), hard_labels=True)


def rewrite(file: Path, target: Path, rows: np.ndarray, changed: Arrays) -> None:
    """``file``'s ``rows``, ascending, with ``changed`` columns: text or integers (n,), or rows of soft labels (n, C), which
    may be a new column, or one of another precision.

    Streamed by pieces of row groups. Raises ImpossibleRequest where a label does not fit its column, or where a piece
    unpacks to more than ``MOST_UNPACKED`` bytes.
    """
    metadata = pq.read_metadata(file)
    if len(rows) == metadata.num_rows and not changed:
        shutil.copyfile(file, target)
        return
    stored = pq.read_schema(file)
    schema = _schema_with(stored, changed)
    codec = _CODECS.get(metadata.row_group(0).column(0).compression, "snappy") if metadata.num_row_groups else "snappy"
    with pq.ParquetWriter(target, schema, compression=codec) as writer:
        done = 0
        for start, piece in _pieces(file, metadata):
            last = int(np.searchsorted(rows, start + len(piece)))
            if last > done:
                kept = pa.Table.from_batches([piece]).take(pa.array(rows[done:last] - start))
                _check_unpacked(kept, file.name)
                parts = {name: values[done:last] for name, values in changed.items()}
                writer.write_table(_with_columns(kept.cast(stored), parts, schema))
            done = last


def write_new(opened: DistilledSet, out: Path) -> list[Path]:
    """Shards in ``out/data``, of about ``SHARD_BYTES`` each. ``opened``'s images are pictures (``as_pictures``)."""
    folder = out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    columns = _columns_of_sources(opened)
    kinds = {column: _list_type(opened.label_sources[name]) for name, column in columns.items()}
    names = opened.class_names if _are_distinct(opened.class_names) else None
    fields = [("image", PICTURE), ("label", pa.int64()), *kinds.items()]
    schema = pa.schema(fields, metadata=feature_metadata(names, kinds))
    groups = _groups(opened, columns, schema)
    parts: list[Path] = []
    table = next(groups, None)
    while table is not None:
        parts.append(folder / f"train-{len(parts):05d}.part")
        with pq.ParquetWriter(parts[-1], schema, use_dictionary=False) as writer:
            size = 0
            while table is not None and (size == 0 or size + table.nbytes <= SHARD_BYTES):
                writer.write_table(table)
                size += table.nbytes
                table = next(groups, None)
    return [part.rename(folder / f"{part.stem}-of-{len(parts):05d}.parquet") for part in parts]


def _columns_of_sources(opened: DistilledSet) -> dict[str, str]:
    """The column of each label source that reads back from one as it is: whole rows whose kind shows, in a common dtype."""
    taken = {"image", "label", SOFT_COLUMN}
    columns = {}
    for name, source in opened.label_sources.items():
        column = SOFT_COLUMN if name == GIVEN else name
        fits = name == GIVEN or (name not in taken and name.isidentifier() and source.num_classes == _width(source))
        if fits and reads_back(source):
            columns[name] = column
    return columns


def _width(source: SoftLabels) -> int:
    return source.stored([0]).shape[1]


def _list_type(source: SoftLabels) -> pa.DataType:
    kind = {torch.float16: pa.float16(), torch.float32: pa.float32()}.get(source.dtype, pa.float64())
    return pa.list_(kind, _width(source))


def _are_distinct(names: tuple[str, ...]) -> bool:
    """Whether `datasets` would take them for a ClassLabel's."""
    return len(set(names)) == len(names)


def _groups(opened: DistilledSet, columns: Mapping[str, str], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows to write, a row group at a time."""
    assert opened.images is not None
    pictures: list[dict[str, object]] = []
    size = 0
    for i in range(len(opened)):
        data, suffix = picture_file(opened.images.store, i)
        pictures.append({"bytes": data, "path": f"{i:08d}{suffix}"})
        size += len(data)
        if len(pictures) == ROWS_A_GROUP or size >= PIECE_BYTES or i == len(opened) - 1:
            ids = np.arange(i + 1 - len(pictures), i + 1)
            rows = [
                as_lists(as_array(opened.label_sources[n].stored(ids)), schema.field(c).type) for n, c in columns.items()
            ]
            yield pa.Table.from_arrays([pa.array(pictures, PICTURE), pa.array(opened.labels[ids]), *rows], schema=schema)
            pictures, size = [], 0


def _pieces(file: Path, metadata: pq.FileMetaData) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first row, rows) of the whole file, a piece at a time, texts and pictures perhaps as dictionaries."""
    leaves = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    start = 0
    for number in range(metadata.num_row_groups):
        how = reading_of(file, metadata.row_group(number), number, leaves)
        shared = list(how.as_dictionary)
        with pq.ParquetFile(file, metadata=metadata, memory_map=True, read_dictionary=shared, pre_buffer=False) as parquet:
            for piece in parquet.iter_batches(how.rows, row_groups=[number]):
                yield start, piece
                start += len(piece)


def _check_unpacked(table: pa.Table, where: str) -> None:
    size = sum(unpacked_bytes(chunk) for column in table.columns for chunk in column.chunks)
    if size > MOST_UNPACKED:
        raise ImpossibleRequest(
            f"{where}: {len(table)} rows unpack to {size:,} bytes, more than the {MOST_UNPACKED:,} that are written at "
            "once; export the set in another format."
        )


def _schema_with(schema: pa.Schema, changed: Arrays) -> pa.Schema:
    """The schema whose columns hold the ``changed`` rows of soft labels in their own precision."""
    for name, values in changed.items():
        if values.ndim != 2:
            continue
        place = schema.get_field_index(name)
        old = schema.field(place) if place >= 0 else None
        if old is not None and not is_list(old.type):
            raise ImpossibleRequest(f"the column {name!a} holds something else than soft labels; rename it first.")
        kind = pa.list_(pa.from_numpy_dtype(values.dtype), values.shape[1])
        if old is None:
            schema = with_list_feature(schema.append(pa.field(name, kind)), name, kind)
        elif old.type.value_type != kind.value_type or not _fits(old.type, values.shape[1]):
            schema = with_list_feature(schema.set(place, old.with_type(kind)), name, kind)
    return schema


def _fits(kind: pa.DataType, width: int) -> bool:
    return not pa.types.is_fixed_size_list(kind) or kind.list_size == width


def _with_columns(table: pa.Table, changed: Arrays, schema: pa.Schema) -> pa.Table:
    for name, values in changed.items():
        place = table.schema.get_field_index(name)
        field = schema.field(name)
        try:
            column = as_lists(values, field.type) if values.ndim == 2 else pa.array(values.tolist(), field.type)
        except (pa.ArrowException, OverflowError) as error:
            raise ImpossibleRequest(
                f"a label does not fit the column {name!a}, {field.type}; choose another format."
            ) from error
        table = table.append_column(field, column) if place < 0 else table.set_column(place, field, column)
    return table.replace_schema_metadata(schema.metadata)
