"""The manifest of an export: where the set came from, what was decided, what was written, and with what."""

from __future__ import annotations

import platform
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from data.curation import CuratedSet
from data.decisions import Decision, SampleState, as_object, now, states
from data.distilled_set import PLACES, DistilledSet, OpenOptions, Provenance
from data.export_plan import ExportPlan
from data.hashing import FileRecord
from data.own_labels import own_labels, recipes_beside
from data.written_back import ReadBack

LIBRARIES = ("torch", "numpy", "pillow", "pyarrow", "safetensors")


def build_manifest(
    written: CuratedSet,
    planned: ExportPlan,
    log: Sequence[Decision],
    format_name: str,
    files: tuple[Sequence[FileRecord], Sequence[FileRecord]],
    checked: ReadBack,
) -> dict[str, Any]:
    """Everything about an export, ready for JSON; the same input gives the same manifest but for ``written_at``.

        stillroom, versions, written_at
        source             {name, format, method, options, warnings}; no path of this machine
        source_files       [{path: relative to the set's folder, bytes, sha256}]
        format             the format written
        written_files      [{path: relative to this file, bytes, sha256}], the decisions too
        counts             {before, after, pruned, relabelled, softened}, in samples
        classes            [{class_id, class_name, before, pruned, relabelled_out, relabelled_in, softened, after,
                             pruned_ids, relabelled_ids, softened_ids}], ids and classes as in the source
        label_rows         of a relabelled tree: {mixes: what became of rows mixed with pruned images, and the counts of
                             data.relabelled.curate_rows.RowsPlan, in rows and batches}; null for other soft labels
        changes            [{sample_id, new_id: null where pruned, change: pruned, relabelled or softened, old_label,
                             new_label: null where pruned, reason, annotator, at, finding}], by sample id
        soft_labels        {own: the recipe of the labels that were written as the set's own, null where these are as they
                             came; given_kept_as: the label source that those are now, or null; beside: the recipes of the
                             others that were computed}
        original_ids       the source's sample id of each written sample, or null where none was left out or moved
        decisions          the log, as it was applied
        read_back          {samples, images}: how many of each were opened again and found as they should be
        notes              sentences: what the format could not keep

    ``written`` is the curated set in the order in which it is written; ``files`` the records of source and written files.
    """
    original = written.original
    return {
        **made_with(original.provenance),
        "source_files": [asdict(record) for record in files[0]],
        "format": format_name,
        "written_files": [asdict(record) for record in files[1]],
        "counts": _counts(written),
        "classes": _classes(written, planned),
        "label_rows": _label_rows(written, planned),
        "changes": _changes(written, states(log)),
        "soft_labels": _soft_labels(original),
        "original_ids": None if np.array_equal(written.kept, np.arange(len(original))) else written.kept.tolist(),
        "decisions": [as_object(decision) for decision in log],
        "read_back": {"samples": len(written.set), "images": checked.images},
        "notes": [*checked.notes, *(planned.label_rows.notes if planned.label_rows is not None else ())],
    }


def made_with(origin: Provenance) -> dict[str, Any]:
    """The first keys of any manifest: ``stillroom``, ``versions``, ``written_at``, and ``source``, what it was made of."""
    return {
        "stillroom": _version(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
        "written_at": now(),
        "source": {
            "name": origin.path.name,
            "format": origin.format,
            "method": origin.method,
            "options": _options(origin.options),
            "warnings": list(origin.warnings),
        },
    }


def _counts(written: CuratedSet) -> dict[str, int]:
    return {
        "before": len(written.original),
        "after": len(written.set),
        "pruned": len(written.pruned),
        "relabelled": len(written.relabelled),
        "softened": len(written.softened),
    }


def _label_rows(written: CuratedSet, planned: ExportPlan) -> dict[str, Any] | None:
    if planned.label_rows is None:
        return None
    counts = asdict(planned.label_rows)
    del counts["notes"]  # they stand with the others
    return {"mixes": written.mixes, **counts}


def _soft_labels(original: DistilledSet) -> dict[str, Any]:
    own = own_labels(original)
    return {
        "own": None if own is None else dict(own.recipe),
        "given_kept_as": None if own is None else own.kept_as,
        "beside": [dict(recipe) for recipe in recipes_beside(original)],
    }


def _options(options: OpenOptions) -> dict[str, Any]:
    """What was said on opening; of a file elsewhere only its name, its hash being among the source files'."""
    given = {name: value for name, value in asdict(options).items() if value is not None}
    return {name: Path(value).name if name in PLACES else value for name, value in given.items()}


def _classes(written: CuratedSet, planned: ExportPlan) -> list[dict[str, Any]]:
    ids = {change: _by_class(written, samples) for change, samples in _by_change(written).items()}
    return [
        {**asdict(entry), **{f"{change}_ids": found.get(entry.class_id, []) for change, found in ids.items()}}
        for entry in planned.classes
    ]


def _by_change(written: CuratedSet) -> dict[str, tuple[int, ...]]:
    return {"pruned": written.pruned, "relabelled": written.relabelled, "softened": written.softened}


def _by_class(written: CuratedSet, samples: Sequence[int]) -> Mapping[int, list[int]]:
    """Sample ids by the class that they had."""
    found: dict[int, list[int]] = defaultdict(list)
    for i in samples:
        found[int(written.original.labels[i])].append(i)
    return found


def _changes(written: CuratedSet, decided: dict[int, SampleState]) -> list[dict[str, Any]]:
    new_ids = {int(original): new for new, original in enumerate(written.kept)}
    named = {i: change for change, samples in _by_change(written).items() for i in samples}
    return [_change(written, i, named[i], new_ids.get(i), decided.get(i)) for i in sorted(named)]


def _change(written: CuratedSet, i: int, change: str, new_id: int | None, state: SampleState | None) -> dict[str, Any]:
    cause = state.cause if state is not None else None
    return {
        "sample_id": i,
        "new_id": new_id,
        "change": change,
        "old_label": int(written.original.labels[i]),
        "new_label": None if new_id is None else int(written.set.labels[new_id]),
        **{name: getattr(cause, name, None) for name in ("reason", "annotator", "at", "finding")},
    }


def _version() -> str:
    """The version of Stillroom: of the installed package, or of the checkout it runs from."""
    try:
        return metadata.version("stillroom")
    except metadata.PackageNotFoundError:
        project = Path(__file__).parents[1] / "pyproject.toml"
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"] if project.is_file() else "unknown"
