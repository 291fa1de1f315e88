"""What the columns of a Hugging Face parquet file are: pictures, labels and soft labels, by type and usual name.

A picture is a struct {bytes: binary, path: string}, or bare binary. Names of classes are in the ClassLabel feature that
`datasets` keeps as JSON under the key ``huggingface`` of the schema (huggingface/datasets, src/datasets/features).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from data.errors import UnreadableInput
from data.formats.common import MOST_CLASSES
from data.formats.hf_metadata import LABEL_COLUMNS
from data.formats.parquet_labels import is_list
from data.plain_text import several

KEY = b"huggingface"
IMAGE_NAMES = ("image", "img", "images", "imgs", "picture", "png", "jpg", "jpeg", "webp")
LABEL_NAMES = ("label", "labels", "class_id", "fine_label", *LABEL_COLUMNS, "targets", "cls", "y")
SOFT_NAMES = ("soft_labels", "soft_label", "softlabels", "probabilities", "probs", "logits")


@dataclass(frozen=True)
class Columns:
    """``leaf`` is the path of the pictures' bytes; ``lists`` are the other columns of lists of real numbers, in order."""

    image: str
    leaf: str
    label: str | None
    soft: str | None
    lists: tuple[str, ...]


def holds_pictures(schema: pa.Schema) -> bool:
    return any(_is_picture(field.type) or _is_named_bytes(field) for field in schema)


def find_columns(schema: pa.Schema, where: str) -> Columns:
    """Raises UnreadableInput where there are no pictures, neither labels nor soft labels, or two columns of one name."""
    if len(set(schema.names)) != len(schema.names):
        raise UnreadableInput(f"{where} has two columns of one name; rename one of them.")
    image = _image(schema, where)
    leaf = f"{image}.bytes" if pa.types.is_struct(schema.field(image).type) else image
    lists = [field.name for field in schema if is_list(field.type) and pa.types.is_floating(field.type.value_type)]
    soft = _named(lists, SOFT_NAMES)
    label = _label(schema)
    if soft is None and label is None and len(lists) == 1:
        soft = lists[0]
    if soft is None and label is None:
        raise UnreadableInput(
            f"{where} has no labels among its columns ({several(schema.names, 8)}); name one of them label, or soft_labels."
        )
    return Columns(image, leaf, label, soft, tuple(name for name in lists if name != soft))


def class_names(schema: pa.Schema, column: str | None) -> tuple[str, ...] | None:
    """The ClassLabel names of ``column``, in all spellings that `datasets` has had; None where it has none.

    Raises UnreadableInput where there are more than MOST_CLASSES.
    """
    try:
        features = json.loads((schema.metadata or {}).get(KEY) or b"{}")["info"]["features"]
        if isinstance(features, list):
            features = {feature["name"]: feature for feature in features}
        return _names(features[column])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _names(feature: Mapping[str, object]) -> tuple[str, ...] | None:
    """{"names": [...], "_type": "ClassLabel"}, or as data set cards spell it, {"dtype": {"class_label": {"names": ...}}}."""
    spelled = feature.get("dtype")
    inner = spelled if isinstance(spelled, dict) else feature
    names = inner.get("class_label", inner)["names"]  # type: ignore[attr-defined]
    if isinstance(names, dict):
        names = [names[str(i)] for i in range(len(names))]
    good = isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)
    if good and len(names) > MOST_CLASSES:
        raise UnreadableInput(f"the schema names {len(names):,} classes, more than the {MOST_CLASSES:,} that are read.")
    return tuple(names) if good else None


def feature_metadata(names: tuple[str, ...] | None, soft: Mapping[str, pa.DataType]) -> dict[bytes, bytes]:
    """Schema metadata that `datasets` reads: an Image, a ClassLabel where classes have ``names``, lists of fixed length."""
    lists = {name: _list_feature(kind) for name, kind in soft.items()}
    plain = {"dtype": "int64", "_type": "Value"}
    label = plain if names is None else {"names": list(names), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": label, **lists}
    return {KEY: json.dumps({"info": {"features": features}}, ensure_ascii=False).encode()}


def with_list_feature(schema: pa.Schema, column: str, kind: pa.DataType) -> pa.Schema:
    """The schema whose metadata tells `datasets` of ``column``, lists of fixed length, where it tells of any."""
    said = (schema.metadata or {}).get(KEY)
    try:
        told = json.loads(said) if said is not None else None
        told["info"]["features"][column] = _list_feature(kind)
    except (ValueError, KeyError, TypeError, RecursionError):  # none, or spelled as long ago: it reads the types then
        return schema
    return schema.with_metadata({**schema.metadata, KEY: json.dumps(told, ensure_ascii=False).encode()})


def _list_feature(kind: pa.DataType) -> dict[str, object]:
    value = {"dtype": _dtype(kind.value_type), "_type": "Value"}
    return {"feature": value, "length": kind.list_size, "_type": "Sequence"}


def _dtype(kind: pa.DataType) -> str:
    return {pa.float16(): "float16", pa.float32(): "float32"}.get(kind, "float64")


def _image(schema: pa.Schema, where: str) -> str:
    structs = [field.name for field in schema if _is_picture(field.type)]
    found = _named(structs, IMAGE_NAMES) or _only(structs)
    found = found or next((field.name for field in schema if _is_named_bytes(field)), None)
    if found is None:
        columns = several(schema.names, 8) or "none"
        raise UnreadableInput(f"{where} has no one column of pictures ({columns}); name it image, as a struct with bytes.")
    return found


def _label(schema: pa.Schema) -> str | None:
    fit = [field.name for field in schema if _is_label(field.type)]
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    return _named(fit, LABEL_NAMES) or _only(whole)


def _is_picture(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(part.name == "bytes" and _is_bytes(part.type) for part in kind)


def _is_named_bytes(field: pa.Field) -> bool:
    return _is_bytes(field.type) and field.name.lower() in IMAGE_NAMES


def _is_bytes(kind: pa.DataType) -> bool:
    inner = _undictionaried(kind)
    return pa.types.is_binary(inner) or pa.types.is_large_binary(inner)


def _is_label(kind: pa.DataType) -> bool:
    inner = _undictionaried(kind)
    return pa.types.is_integer(inner) or pa.types.is_string(inner) or pa.types.is_large_string(inner)


def _undictionaried(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _named(columns: list[str], names: tuple[str, ...]) -> str | None:
    known = {column.lower(): column for column in columns}
    return next((known[name] for name in names if name in known), None)


def _only(columns: list[str]) -> str | None:
    return columns[0] if len(columns) == 1 else None
