"""Write a set whose images are each made of several of another set's, with a manifest that says of which."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet
from data.export import MANIFEST
from data.formats import companions, image_folder, tensor_files
from data.formats.common import label_tensor
from data.formats.companions import HELD, Companions, Held
from data.hashing import file_records
from data.inspection import set_folder
from data.manifest import made_with
from data.new_folder import new_folder
from data.written_back import ReadBack, check_written

Progress = Callable[[float, str], None]
COMBINED = "combined"
"""The format of a set that is not written yet: that of no file."""


@dataclass(frozen=True, eq=False)
class CombinedSet:
    """``set`` is what is written, made of ``original``; ``tiles`` int64 (M, t) are the original's sample ids that make each
    image, row by row of it; ``plan`` says how that came about, and ``notes`` what could not be kept, in sentences."""

    set: DistilledSet
    original: DistilledSet
    tiles: np.ndarray
    plan: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def write_combined(combined: CombinedSet, out: Path, progress: Progress) -> Path:
    """Write it into the folder ``out``, new or empty, and return its ``manifest.json``.

    Bytes become PNG pictures in class folders, all else ``images_best.pt`` and ``labels_best.pt``; class names, counts, the
    pixel space and the real images that came along are in ``stillroom.json``, as are soft labels that the files do not hold.
    What was written is opened again and compared bit for bit. ``progress(fraction, message)`` may raise to stop it.

    manifest.json holds what data.manifest.made_with says, and

        format, source_files, written_files   as in data.manifest
        plan                                  how the images were chosen and combined
        counts                                {before, used, images}: images there, used as tiles, and written
        classes                               [{class_id, class_name, before, used, images}]
        tiles                                 of each written image, in order, the source's sample ids, row by row of it
        read_back, notes                      as in data.manifest

    Raises ImpossibleRequest where ``out`` is taken or cannot be written, or does not read back; nothing is left behind then.
    """
    origin = combined.original.provenance
    module = image_folder if combined.set.images.dtype == torch.uint8 else tensor_files
    whole = _as_curated(combined)
    with new_folder(out, origin.path) as folder:
        progress(0.0, "writing the set")
        written = _stated(module.as_written(whole) if module is image_folder else whole)
        files = [*module.write(whole, folder), *companions.write(written, folder)]
        progress(0.7, "reading it back")
        checked = check_written(written, whole, module, folder, files)
        records = file_records(files, folder, lambda done: progress(0.8 + 0.1 * done, "hashing what was written"))
        base = set_folder(origin.path)
        sources = file_records(origin.files, base, lambda done: progress(0.9 + 0.1 * done, "hashing what was read"))
        manifest = {
            **made_with(origin),
            "format": module.NAME,
            "source_files": [vars(record) for record in sources],
            "written_files": [vars(record) for record in records],
            **_about(combined, checked),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    progress(1.0, "done")
    return out / MANIFEST


def _as_curated(combined: CombinedSet) -> CuratedSet:
    """As the formats take it: a set of no format, of which nothing is left out, with what came along with the original."""
    came = combined.original.extras.get("companions")
    along = Companions(manifest=came.manifest) if isinstance(came, Companions) else Companions()
    bare = replace(combined.set, provenance=replace(combined.original.provenance, format=COMBINED), extras={})
    in_labels_file = frozenset((GIVEN,)) if label_tensor(bare).ndim == 2 else frozenset()
    held = {} if bare.images.dtype == torch.uint8 else {HELD: Held(in_labels_file)}
    whole = replace(bare, extras={"companions": along, **held})
    return CuratedSet(whole, whole, np.arange(len(whole)))


def _stated(written: CuratedSet) -> CuratedSet:
    """With its pixel space, and so its class names, to be stated: a new set says what it is."""
    images = written.set.images
    assert images is not None
    stated = replace(images, pixel_space=replace(images.pixel_space, chosen=True))
    return replace(written, set=replace(written.set, images=stated))


def _about(combined: CombinedSet, checked: ReadBack) -> dict[str, Any]:
    original, made = combined.original, combined.set
    used = np.unique(combined.tiles)
    by_class = (original.per_class, np.bincount(original.labels[used], minlength=original.num_classes), made.per_class)
    return {
        "plan": dict(combined.plan),
        "counts": {"before": len(original), "used": len(used), "images": len(made)},
        "classes": [
            {"class_id": c, "class_name": name, "before": int(n), "used": int(m), "images": int(k)}
            for c, (name, n, m, k) in enumerate(zip(original.class_names, *by_class, strict=True))
        ],
        "tiles": combined.tiles.tolist(),
        "read_back": {"samples": len(made), "images": checked.images},
        "notes": [*combined.notes, *checked.notes],
    }
