"""What a set is, as plain facts: a description ready for JSON, and the same as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.distilled_set import GIVEN, DistilledSet, Reference
from data.hashing import file_records
from data.images import Images
from data.plain_text import one_line
from data.soft_labels import SoftLabels

NAMES_SHOWN = 5
FILES_SHOWN = 5
TEXT_WIDTH = 110


def describe(opened: DistilledSet) -> dict[str, Any]:
    """Everything that the files say, hashes included, so every file is read once.

    Keys, all always there:

        name, format, method        strings
        path                        the file or folder that was opened
        n, num_classes              numbers of samples and of classes
        class_names                 one string a class
        ipc                         {min, max, per_class}: samples of each class
        images                      null for files of labels only, else
                                    {shape: [channels, height, width], or null where sizes differ; dtype;
                                     pixel_space: {name, kind, mean, std, evidence, chosen};
                                     out_of_range: {fraction: of pixel values outside the displayable range, or null where
                                                    the pixel space has none; images: how many it was computed from}}
        label_sources               [{name, kind: hard, logits, probabilities or scores; dtype; shape as stored;
                                      values: {min, max}; row_sums: {min, max}}], the last two null for hard labels
        class_counts                training images of each class of the original set, or null
        reference, test             {images: how many real ones come along}, or null
        files                       [{path: relative to the set's folder, bytes, sha256}]
        warnings                    sentences
    """
    origin = opened.provenance
    per_class = opened.per_class
    return {
        "name": opened.name,
        "format": origin.format,
        "method": origin.method,
        "path": str(origin.path),
        "n": len(opened),
        "num_classes": opened.num_classes,
        "class_names": list(opened.class_names),
        "ipc": {"min": int(per_class.min()), "max": int(per_class.max()), "per_class": per_class.tolist()},
        "images": None if opened.images is None else _describe_images(opened.images),
        "label_sources": [*_hard_labels(opened), *(_describe_source(*item) for item in opened.label_sources.items())],
        "class_counts": None if opened.class_counts is None else np.asarray(opened.class_counts).tolist(),
        "reference": _describe_reference(opened.reference),
        "test": _describe_reference(opened.test),
        "files": [vars(record) for record in file_records(origin.files, set_folder(origin.path))],
        "warnings": list(origin.warnings),
    }


def as_text(description: Mapping[str, Any]) -> str:
    """The description for people: one aligned line a fact, ``TEXT_WIDTH`` columns wide."""
    facts = list(_facts(description))
    width = max(len(label) for label, _ in facts)
    return "\n".join([one_line(description["name"]), *(_line(label, text, width) for label, text in facts)])


def set_folder(path: Path) -> Path:
    """The folder that a set's file names are relative to: the set itself where it is one, else the one it lies in."""
    return path if path.is_dir() else path.parent


def _describe_images(images: Images) -> dict[str, Any]:
    fraction, looked_at = images.out_of_range
    space = images.pixel_space
    return {
        "shape": None if images.shape is None else list(images.shape),
        "dtype": _dtype(images.dtype),
        "pixel_space": {
            "name": space.name,
            "kind": space.kind,
            "mean": list(space.mean),
            "std": list(space.std),
            "evidence": space.evidence,
            "chosen": space.chosen,
        },
        "out_of_range": {"fraction": fraction, "images": looked_at},
    }


def _hard_labels(opened: DistilledSet) -> list[dict[str, Any]]:
    """The given labels of a set whose authors gave no soft ones."""
    if GIVEN in opened.label_sources:
        return []
    shape = [len(opened)]
    return [{"name": GIVEN, "kind": "hard", "dtype": "int64", "shape": shape, "values": None, "row_sums": None}]


def _describe_source(name: str, source: SoftLabels) -> dict[str, Any]:
    row = source.stored(np.zeros(1, np.int64))
    values, sums = _ranges(source)
    shape = [len(source), *row.shape[1:]]
    return {
        "name": name,
        "kind": source.kind,
        "dtype": _dtype(source.dtype),
        "shape": shape,
        "values": values,
        "row_sums": sums,
    }


def _ranges(source: SoftLabels) -> tuple[dict[str, float], dict[str, float]]:
    """The smallest and largest stored value, and row sum, over all rows; read in pieces."""
    lows, highs, sums = [], [], []
    for ids in source.chunks():
        rows = source.stored(ids).double()
        lows.append(float(rows.min()))
        highs.append(float(rows.max()))
        sums.append(rows.flatten(1).sum(dim=1))
    total = torch.cat(sums)
    return {"min": min(lows), "max": max(highs)}, {"min": float(total.min()), "max": float(total.max())}


def _describe_reference(reference: Reference | None) -> dict[str, int] | None:
    return None if reference is None else {"images": len(reference.images)}


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _facts(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "format", f"{description['format']}, method {description['method']}"
    yield "samples", f"{description['n']:,}"
    yield "classes", f"{description['num_classes']:,}: {_some(description['class_names'])}"
    yield "IPC", _ipc(description["ipc"])
    yield from _image_facts(description["images"])
    for source in description["label_sources"]:
        yield f"labels '{source['name']}'", _source_text(source)
    counts = description["class_counts"]
    yield "class counts", "not known" if counts is None else f"{min(counts):,} to {max(counts):,} training images a class"
    for role in ("reference", "test"):
        if description[role] is not None:
            yield role, f"{description[role]['images']:,} real images"
    yield from _file_facts(description["files"])
    for warning in description["warnings"]:
        yield "warning", warning


def _image_facts(images: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if images is None:
        yield "images", "none: labels only"
        return
    shape = "of different sizes" if images["shape"] is None else " x ".join(map(str, images["shape"]))
    space, beyond = images["pixel_space"], images["out_of_range"]
    yield "images", f"{shape}, {images['dtype']}"
    how = ", chosen" if space["chosen"] else "" if space["name"] == "unknown" else ", detected"
    yield "pixel space", f"{space['name']}{how}: {space['evidence']}"
    share = "has no meaning in this pixel space"
    if beyond["fraction"] is not None:
        share = f"{beyond['fraction']:.1%} of pixel values, in {beyond['images']:,} images"
    yield "out of range", share


def _source_text(source: Mapping[str, Any]) -> str:
    shape = " x ".join(f"{side:,}" for side in source["shape"])
    if source["values"] is None:
        return f"{source['kind']}, {source['dtype']}, {shape}"
    values, sums = source["values"], source["row_sums"]
    return (
        f"{source['kind']}, {source['dtype']}, {shape}, values {values['min']:.4g} to {values['max']:.4g}, rows sum to "
        f"{_span(sums['min'], sums['max'])}"
    )


def _file_facts(files: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Like sha256sum's lines, which are not broken however long a name is."""
    yield "files", f"{len(files):,}, {_size(sum(file['bytes'] for file in files))}"
    for file in files[:FILES_SHOWN]:
        yield "", f"{file['sha256']}  {_size(file['bytes']):>8}  {one_line(file['path'])}"
    if len(files) > FILES_SHOWN:
        yield "", f"... and {len(files) - FILES_SHOWN:,} more, all listed by --json"


def _ipc(ipc: Mapping[str, Any]) -> str:
    return f"{ipc['min']:,}" if ipc["min"] == ipc["max"] else f"{ipc['min']:,} to {ipc['max']:,}"


def _span(low: float, high: float) -> str:
    first, last = f"{low:.4g}", f"{high:.4g}"
    return first if first == last else f"{first} to {last}"


def _some(names: list[str]) -> str:
    if len(names) <= 2 * NAMES_SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[:NAMES_SHOWN])}, ... {names[-1]}"


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{count:,} B" if unit == "B" else f"{size:.3g} {unit}"


def _line(label: str, text: str, width: int) -> str:
    indent = " " * (width + 4)
    if not label:
        return indent + text
    wrapped = textwrap.wrap(one_line(text), TEXT_WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    return f"  {label:<{width}}  " + f"\n{indent}".join(wrapped)
