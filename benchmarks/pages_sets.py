"""What `benchmarks.pages` looks at: large sets, and a workspace in which people have worked for a while."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from analysis import findings_io
from analysis.findings import Findings
from data.decisions import Decision
from data.workspace import Workspace

IPC = 50
DISTINCT = 2_000
SIDE = 224
DETAIL = 28
DECISIONS = 10_000


def image_folder(root: Path, images: int) -> Path:
    """``images`` JPEG files of 224 pixels in SRe2L's naming; hard links of DISTINCT different ones, to save the disk."""
    pictures, folder = root / "pictures", root / "folder"
    pictures.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = [_picture(pictures / f"{i}.jpg", rng) for i in range(min(DISTINCT, images))]
    width = max(3, len(str((images - 1) // IPC)))
    for i in range(images):
        label, number = divmod(i, IPC)
        place = folder / f"new{label:0{width}d}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(files[i % len(files)], place / f"class{label:0{width}d}_id{number:03d}.jpg")
    return folder


def tensor_file(root: Path, images: int) -> Path:
    """``images`` of 3x32x32 in one tensor, as MTT saves them, with their labels beside."""
    folder = root / "tensors"
    folder.mkdir(parents=True)
    torch.save(torch.randn(images, 3, 32, 32, generator=torch.Generator().manual_seed(0)), folder / "images_best.pt")
    torch.save(torch.arange(images) // IPC, folder / "labels_best.pt")
    return folder / "images_best.pt"


def known_workspace(folder: Path, path: Path) -> Path:
    """A workspace that lists the set at ``path`` and has run nothing on it."""
    with Workspace.open(folder) as workspace:
        workspace.add_set(path)
    return folder


def worked_in_workspace(folder: Path, path: Path) -> Path:
    """The same with a map of every sample, a score for each and up to DECISIONS decisions."""
    known_workspace(folder, path)
    with Workspace.open(folder) as workspace:
        record = workspace.sets()[0]
        run = workspace.start_run(record.id, "map", {}, "made")
        run.folder.mkdir(parents=True)
        findings_io.save(_made_map(record.n), run.folder)
        workspace.finish_run(run.id, "done")
        pruned = range(0, record.n, max(1, record.n // DECISIONS))
        workspace.decide_many(record.id, [Decision(i, "prune", annotator="benchmark").stamped("benchmark") for i in pruned])
    return folder


def _picture(path: Path, rng: np.random.Generator) -> Path:
    """Smooth noise: about as many bytes as a synthetic image of that size has."""
    grain = rng.integers(0, 256, (DETAIL, DETAIL, 3), dtype=np.uint8)
    Image.fromarray(grain).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def _made_map(n: int) -> Findings:
    rng = np.random.default_rng(0)
    per_sample = pd.DataFrame({"sample_id": np.arange(n), "score": rng.random(n), "flag": rng.random(n) < 0.1})
    per_sample["x"], per_sample["y"] = rng.standard_normal((2, n))
    return Findings(per_sample=per_sample, per_class=pd.DataFrame({"class_id": [], "class_name": [], "n": []}))
