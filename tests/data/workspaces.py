"""Small sets and finished runs for the tests of the workspace."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.workspace import RunRecord, Workspace

CLASSES = 5


def write_set(path: Path, n: int = 20, classes: int = CLASSES) -> Path:
    """An npz of ``n`` grey images whose labels count 0, 1, ... through ``classes``."""
    images = np.linspace(0, 1, n, dtype=np.float32).reshape(n, 1, 1, 1) * np.ones((1, 1, 2, 2), np.float32)
    np.savez(path, images=images, labels=np.arange(n) % classes)
    return path


def add_run(workspace: Workspace, set_id: str, analysis: str, columns: dict[str, Any], key: str = "key") -> RunRecord:
    """A finished run whose per-sample table has these columns; missing ones are made up."""
    n = len(next(iter(columns.values())))
    table = {"sample_id": np.arange(n), "score": np.ones(n), "flag": np.zeros(n, dtype=bool), **columns}
    run = workspace.start_run(set_id, analysis, {}, key)
    run.folder.mkdir()
    pd.DataFrame(table).to_parquet(run.folder / "per_sample.parquet", index=False)
    return workspace.finish_run(run.id, "done", "", 0.5, "cpu")
