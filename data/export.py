"""Write a curated set in its authors' own layout, with a manifest of everything that was decided.

A folder appears whole or not at all: everything is written beside it, read back and compared, and only then moved into
its place.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from data.curation import CuratedSet
from data.decisions import Decision, write_jsonl
from data.errors import ImpossibleRequest
from data.export_plan import ClassPlan, ExportPlan, plan
from data.formats import FORMATS, companions
from data.hashing import file_records
from data.inspection import set_folder
from data.manifest import build_manifest
from data.written_back import check_written

__all__ = ["ClassPlan", "ExportPlan", "export", "plan"]

MANIFEST = "manifest.json"
DECISIONS = "decisions.jsonl"
Progress = Callable[[float, str], None]


def export(
    curated: CuratedSet,
    decisions: Iterable[Decision],
    out: Path,
    format_name: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write ``curated`` into the folder ``out``, new or empty, and return its ``manifest.json``.

    ``decisions`` is the log that ``curated`` follows from; it is copied beside the files. ``format_name`` is one of
    ``data.formats.FORMATS``, by default the set's own. What was written is opened again and compared with what should
    have been; a difference that the format forces (rounded pixels) is a note in the manifest, any other an error.
    ``progress(fraction, message)`` may raise to stop the export.

    Raises ImpossibleRequest where ``out`` is taken or cannot be written, where the format cannot hold the set, or where
    what was written does not read back. Nothing is left behind then.
    """
    report = progress or _silent
    log = list(decisions)
    module = _format(format_name or curated.original.provenance.format)
    with _new_folder(out, curated) as folder:
        report(0.0, "writing the set")
        written = _as_written(module, curated)
        files = [*module.write(curated, folder), *companions.write(written, folder)]
        report(0.4, "reading it back")
        checked = check_written(written, curated, module, folder, files)
        if log:
            write_jsonl(log, folder / DECISIONS)
            files = [*files, folder / DECISIONS]
        records = file_records(files, folder, lambda done: report(0.7 + 0.1 * done, "hashing what was written"))
        origin = curated.original.provenance
        sources = file_records(
            origin.files, set_folder(origin.path), lambda done: report(0.8 + 0.2 * done, "hashing what was read")
        )
        manifest = build_manifest(written, plan(curated), log, module.NAME, (sources, records), checked)
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    report(1.0, "done")
    return out / MANIFEST


def _silent(fraction: float, message: str) -> None:
    return None


def _format(name: str) -> ModuleType:
    if name not in FORMATS:
        raise ImpossibleRequest(f"there is no format '{name}'; choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def _as_written(module: ModuleType, curated: CuratedSet) -> CuratedSet:
    """The curated set as the format holds it, in the order in which it reads it; most hold it as it is."""
    return module.as_written(curated) if hasattr(module, "as_written") else curated


@contextmanager
def _new_folder(out: Path, curated: CuratedSet) -> Iterator[Path]:
    """A folder to write in that becomes ``out`` if all goes well, and vanishes with everything in it if not."""
    _check_free(out, curated.original.provenance.path)
    place = out.resolve()
    part = place.parent / f".{uuid.uuid4().hex}.part"
    made: list[Path] = []
    try:
        for missing in [p for p in (place.parent, *place.parent.parents) if not p.exists()][::-1]:
            missing.mkdir()
            made.append(missing)
        part.mkdir()
        yield part
        part.rename(place)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            for parent in reversed(made):
                parent.rmdir()
        if isinstance(error, OSError):
            raise ImpossibleRequest(f"{out} cannot be written ({_reason(error)}); nothing was changed.") from error
        raise


def _check_free(out: Path, source: Path) -> None:
    try:
        if os.path.lexists(out) and not out.is_dir():
            raise ImpossibleRequest(f"{out} is no folder; choose a new or empty folder to write into.")
        if out.exists() and any(out.iterdir()):
            raise ImpossibleRequest(f"{out} is not empty; choose a new or empty folder to write into.")
        if out.is_mount():
            raise ImpossibleRequest(f"{out} is a mount point, which cannot be put in place whole; choose a folder in it.")
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise ImpossibleRequest(f"{out} lies inside the set itself, which would change it; choose a folder elsewhere.")
    except OSError as error:
        raise ImpossibleRequest(f"{out} cannot be written ({_reason(error)}); choose another folder.") from error


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
