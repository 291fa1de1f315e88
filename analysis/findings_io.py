"""Findings on disk: ``per_sample.parquet``, ``per_class.parquet``, ``summary.json`` and, where there are any, matrices and
further tables."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import Figure, Findings, Matrix
from data.errors import ImpossibleRequest

PER_SAMPLE, PER_CLASS, SUMMARY, MATRICES = "per_sample.parquet", "per_class.parquet", "summary.json", "matrices.npz"
TABLE = "table_{}.parquet"
"""By place in the summary's list: a table's name is never part of a file's."""


def save(findings: Findings, folder: Path, about: dict[str, Any] | None = None) -> None:
    """Write ``findings`` into the existing ``folder``; ``about`` (set, analysis, parameters) joins the summary.

    Raises ImpossibleRequest where it cannot be written; whatever lay in the folder is unchanged then.
    """
    part = folder / f".{uuid.uuid4().hex}.part"
    try:
        part.mkdir()
        _write(findings, part, about or {})
        for file in sorted(part.iterdir()):
            os.replace(file, folder / file.name)
        part.rmdir()
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        raise ImpossibleRequest(f"{folder} cannot be written ({why}); choose another folder.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(findings: Findings, folder: Path, about: dict[str, Any]) -> None:
    findings.per_sample.to_parquet(folder / PER_SAMPLE, index=False)
    findings.per_class.to_parquet(folder / PER_CLASS, index=False)
    if findings.matrices:
        np.savez(folder / MATRICES, **{name: matrix.values for name, matrix in findings.matrices.items()})
    for place, table in enumerate(findings.tables.values()):
        table.to_parquet(folder / TABLE.format(place), index=False)
    text = json.dumps({**about, **summary(findings)}, indent=2, ensure_ascii=False) + "\n"
    (folder / SUMMARY).write_text(text, encoding="utf-8", errors="backslashreplace")  # names need not be valid UTF-8


def load(folder: Path) -> Findings:
    """The findings that ``save`` wrote into ``folder``."""
    written = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Findings(
        per_sample=pd.read_parquet(folder / PER_SAMPLE),
        per_class=pd.read_parquet(folder / PER_CLASS),
        summary=tuple(Figure(**figure) for figure in written["figures"]),
        caveats=tuple(written["caveats"]),
        matrices=_load_matrices(folder, written["matrices"]),
        headline=written["headline"],
        tables={name: pd.read_parquet(folder / TABLE.format(place)) for place, name in enumerate(written.get("tables", []))},
    )


def table(folder: Path, name: str) -> pd.DataFrame | None:
    """One further table of the findings in ``folder``, without reading the others; None where there is none of that name."""
    names = json.loads((folder / SUMMARY).read_text(encoding="utf-8")).get("tables", [])
    return pd.read_parquet(folder / TABLE.format(names.index(name))) if name in names else None


def summary(findings: Findings) -> dict[str, Any]:
    """The summary as plain JSON values: figures, caveats, headline, the matrices' axes and the further tables' names; NaN
    becomes null."""
    flagged = findings.per_sample["flag"]
    return {
        "n": len(findings.per_sample),
        "flagged": int(flagged.sum()),
        "figures": [_plain(asdict(figure)) for figure in findings.summary],
        "caveats": list(findings.caveats),
        "headline": findings.headline,
        "matrices": {name: _axes(matrix) for name, matrix in findings.matrices.items()},
        "tables": list(findings.tables),
    }


def _axes(matrix: Matrix) -> dict[str, Any]:
    axes = asdict(matrix)
    del axes["values"]
    return axes


def _load_matrices(folder: Path, axes: dict[str, Any]) -> dict[str, Matrix]:
    if not axes:
        return {}
    with np.load(folder / MATRICES, allow_pickle=False) as stored:
        return {name: _matrix(stored[name], named) for name, named in axes.items()}


def _matrix(values: np.ndarray, axes: dict[str, Any]) -> Matrix:
    names = {key: tuple(axes[key]) for key in ("row_names", "column_names")}
    return Matrix(**{**axes, **names, "values": values})


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON knows them: numpy scalars become Python's, NaN becomes None."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in plain.items()}
