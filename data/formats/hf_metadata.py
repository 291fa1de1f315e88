"""Hugging Face's imagefolder metadata: ``metadata.csv``, ``.jsonl`` or ``.parquet`` with a ``file_name`` a row.

File names are relative to the file. The class is in the first of ``LABEL_COLUMNS`` that is there, as an index or a name;
names of indices come from the ClassLabel feature that `datasets` leaves in a parquet file's schema. Labels change in
place and every other column is written back as it was.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.bounded_reads import bounded_lines
from data.errors import UnreadableInput
from data.formats.folder_listing import safe_name
from data.formats.parquet_files import read_table

FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
LABEL_COLUMNS = ("label", "class_id", "class_idx", "label_id", "class", "target")
MOST_BYTES = 1 << 27
MOST_ROWS = 2_000_000
LONGEST_LINE = 1 << 24

_INDEX = re.compile(r"-?\d{1,9}", re.ASCII)

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Metadata:
    """``file_names`` and ``labels`` int64 (N,) a row; ``class_names`` is None where labels are bare indices; ``values``
    are what the label column holds for each class where that is not its index."""

    path: Path
    column: str
    file_names: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...] | None
    values: tuple[str, ...] | None


def find_metadata(root: Path) -> Path | None:
    """The folder's metadata file, if it has one that names files and labels."""
    for name in FILES:
        path = root / name
        if path.is_file() and _label_column(_columns(path)) is not None:
            return path
    return None


def read_metadata(path: Path) -> Metadata:
    """Raises UnreadableInput naming the row that is wrong."""
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableInput(f"{path.name} is larger than {MOST_BYTES:,} bytes; use a smaller one.")
    column = _label_column(_columns(path))
    if column is None:
        raise UnreadableInput(f"{path.name} has no {FILE_NAME} with one of the columns {', '.join(LABEL_COLUMNS)}; add it.")
    rows = _rows(path, [FILE_NAME, column])
    if not rows:
        raise UnreadableInput(f"{path.name} has no rows; name at least one image.")
    names = tuple(_file_name(row.get(FILE_NAME), path, i) for i, row in enumerate(rows))
    given = [_label(row.get(column), path, i) for i, row in enumerate(rows)]
    if all(isinstance(label, int) for label in given):
        return Metadata(path, column, names, np.asarray(given, np.int64), _class_label_names(path, column), None)
    words = [str(label) for label in given]
    classes = tuple(sorted(set(words), key=int if all(map(_INDEX.fullmatch, words)) else str))
    index = {word: i for i, word in enumerate(classes)}
    return Metadata(path, column, names, np.asarray([index[word] for word in words], np.int64), classes, classes)


def write_metadata(metadata: Metadata, rows: np.ndarray, labels: np.ndarray, target: Path) -> Path:
    """The same file with only ``rows`` (M,) and their ``labels`` (M,), both int64; untouched lines stay as they were."""
    if len(rows) == len(metadata.labels) and (labels == metadata.labels).all():
        return Path(shutil.copyfile(metadata.path, target))
    new = {
        int(row): (int(label) if metadata.values is None else metadata.values[label])
        for row, label in zip(rows, labels, strict=True)
        if label != metadata.labels[row]
    }
    writer = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[target.suffix]
    writer(metadata, rows, new, target)
    return target


def _label_column(columns: Sequence[str]) -> str | None:
    if FILE_NAME not in columns:
        return None
    return next((name for name in LABEL_COLUMNS if name in columns), None)


def _guarded(path: Path, work: Callable[[], object]) -> object:
    try:
        return work()
    except (OSError, ValueError, RecursionError, csv.Error, pa.ArrowException) as error:
        raise UnreadableInput(f"{path.name} cannot be read ({error}); correct or remove it.") from error


def _columns(path: Path) -> list[str]:
    def read() -> list[str]:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                return next(csv.reader(bounded_lines(file, LONGEST_LINE)), [])
            first = json.loads(next(bounded_lines(file, LONGEST_LINE), "{}"))
            return list(first) if isinstance(first, dict) else []

    return _guarded(path, read)  # type: ignore[return-value]


def _rows(path: Path, columns: list[str]) -> Rows:
    def read() -> Rows:
        if path.suffix == ".parquet":
            return read_table(path, MOST_BYTES, columns).slice(0, MOST_ROWS + 1).to_pylist()
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                table = csv.DictReader(bounded_lines(file, LONGEST_LINE))
                return [{name: row.get(name) for name in columns} for row in islice(table, MOST_ROWS + 1)]
        parsed = (_object(line, path, i) for i, line in enumerate(_lines(path)))
        return [{name: row.get(name) for name in columns} for row in parsed]

    rows: Rows = _guarded(path, read)  # type: ignore[assignment]
    if len(rows) > MOST_ROWS:
        raise UnreadableInput(f"{path.name} has more than {MOST_ROWS:,} rows; use a smaller one.")
    return rows


def _lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(islice((line for line in bounded_lines(file, LONGEST_LINE) if line.strip()), MOST_ROWS + 1))


def _object(line: str, path: Path, row: int) -> dict[str, object]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise UnreadableInput(f"{path.name}, row {row + 1} is not a JSON object; correct that line.")
    return value


def _file_name(value: object, path: Path, row: int) -> str:
    if not isinstance(value, str) or not safe_name(value):
        raise UnreadableInput(
            f"{path.name}, row {row + 1}: {FILE_NAME} {str(value)[:80]!a} does not name a file below its folder; correct it."
        )
    return value.removeprefix("./")


def _label(value: object, path: Path, row: int) -> int | str:
    if isinstance(value, str) and value.strip():
        text = value.strip()
        return int(text) if path.suffix == ".csv" and _INDEX.fullmatch(text) else value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62:
        return value
    raise UnreadableInput(f"{path.name}, row {row + 1}: label {str(value)[:80]!a} is neither a class index nor a name.")


def _class_label_names(path: Path, column: str) -> tuple[str, ...] | None:
    """The names that `datasets` wrote into a parquet schema for a ClassLabel column, if it did."""
    if path.suffix != ".parquet":
        return None
    stored = (pq.read_schema(path).metadata or {}).get(b"huggingface")
    try:
        names = json.loads(stored or b"{}")["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _write_csv(metadata: Metadata, rows: np.ndarray, new: dict[int, int | str], target: Path) -> None:
    raw = metadata.path.read_bytes()
    with metadata.path.open(encoding="utf-8-sig", newline="") as file:
        header, *entries = list(csv.reader(file))
    entries = [entry for entry in entries if entry]
    place = header.index(metadata.column)
    for row, value in new.items():
        entries[row][place] = str(value)
    with target.open("w", encoding="utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\r\n" if b"\r\n" in raw[: 1 << 16] else "\n")
        table.writerow(header)
        table.writerows(entries[int(row)] for row in rows)


def _write_jsonl(metadata: Metadata, rows: np.ndarray, new: dict[int, int | str], target: Path) -> None:
    lines = _lines(metadata.path)
    with target.open("w", encoding="utf-8", newline="") as file:
        for row in map(int, rows):
            line = lines[row].rstrip("\r\n")
            if row in new:
                line = json.dumps({**json.loads(line), metadata.column: new[row]}, ensure_ascii=False)
            file.write(line + "\n")


def _write_parquet(metadata: Metadata, rows: np.ndarray, new: dict[int, int | str], target: Path) -> None:
    table = read_table(metadata.path, MOST_BYTES)
    place = table.schema.get_field_index(metadata.column)
    values = table.column(place).to_pylist()
    for row, value in new.items():
        values[row] = value
    field = table.schema.field(place)
    table = table.set_column(place, field, pa.array(values, field.type))
    pq.write_table(table.take(pa.array(rows)), target)
