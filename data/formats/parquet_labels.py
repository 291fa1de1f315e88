"""Soft labels in a parquet file: one column of lists, or a numeric column for each class, in column order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from data.errors import UnreadableInput
from data.formats.array_files import MOST_INFLATED, as_array, as_tensor
from data.formats.parquet_files import read_table

LIST_COLUMN = "soft_labels"


def read(path: Path) -> torch.Tensor:
    """The matrix (N, C) in its stored floating dtype, in memory. Raises UnreadableInput on anything but whole rows of it."""
    try:
        table = read_table(path, MOST_INFLATED, _columns(pq.read_schema(path), path.name))
        return as_tensor(matrix(table, path.name), path.name)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableInput(f"{path.name} cannot be read as a parquet file ({error}); save it again.") from error


def write(values: torch.Tensor, path: Path, like: Path | None, rows: np.ndarray | None) -> None:
    """``values`` (M, C) in the columns that ``like`` keeps them in, beside ``like``'s other columns at ``rows`` (M,)."""
    array = as_array(values)
    if like is None or rows is None:
        pq.write_table(pa.table({LIST_COLUMN: as_lists(array, pa.list_(pa.from_numpy_dtype(array.dtype)))}), path)
        return
    table = read_table(like, MOST_INFLATED).take(pa.array(rows))
    columns = _columns(table.schema, like.name)
    for i, name in enumerate(columns):
        place = table.schema.get_field_index(name)
        field = holding(table.schema.field(place), array.dtype)
        column = as_lists(array, field.type) if is_list(field.type) else pa.array(array[:, i], field.type)
        table = table.set_column(place, field, column)
    pq.write_table(table, path)


def holding(field: pa.Field, dtype: np.dtype) -> pa.Field:
    """The column, of lists or of numbers, for values of another precision where it has not theirs."""
    number = pa.from_numpy_dtype(dtype)
    if not is_list(field.type):
        return field.with_type(number)
    if field.type.value_type == number:
        return field
    size = field.type.list_size if pa.types.is_fixed_size_list(field.type) else -1
    return field.with_type(pa.large_list(number) if pa.types.is_large_list(field.type) else pa.list_(number, size))


def _columns(schema: pa.Schema, where: str) -> list[str]:
    lists = [field.name for field in schema if is_list(field.type) and pa.types.is_floating(field.type.value_type)]
    if lists:
        return lists if len(lists) == 1 else [_preferred(lists, where)]
    numbers = [field.name for field in schema if pa.types.is_floating(field.type)]
    if not numbers:
        raise UnreadableInput(f"{where} has neither a column of lists of real numbers nor numeric columns; add one.")
    return numbers


def _preferred(names: list[str], where: str) -> str:
    if LIST_COLUMN in names:
        return LIST_COLUMN
    raise UnreadableInput(f"{where} has several columns of lists ({', '.join(names[:6])}); name one of them {LIST_COLUMN}.")


def is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def matrix(table: pa.Table, where: str) -> np.ndarray:
    if any(column.null_count for column in table.columns):
        raise UnreadableInput(f"{where}: a row has no soft label; fill or remove it.")
    first = table.column(0)
    if not is_list(first.type):
        return np.stack([column.to_numpy() for column in table.columns], axis=1)
    lists = first.combine_chunks()
    values = lists.flatten()
    lengths = {len(values) // max(1, len(lists))} if pa.types.is_fixed_size_list(first.type) else _lengths(lists)
    if len(lengths) != 1 or values.null_count:
        raise UnreadableInput(f"{where}: rows have different lengths or gaps; one number a class is needed in each.")
    return values.to_numpy(zero_copy_only=False).reshape(len(lists), lengths.pop())


def _lengths(lists: pa.Array) -> set[int]:
    return set(np.diff(lists.offsets.to_numpy()).tolist())


def as_lists(array: np.ndarray, kind: pa.DataType) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1), kind.value_type)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    offsets = np.arange(0, array.size + 1, array.shape[1])
    large = pa.types.is_large_list(kind)
    maker, width = (pa.LargeListArray, np.int64) if large else (pa.ListArray, np.int32)
    return maker.from_arrays(pa.array(offsets.astype(width)), flat, type=kind)
