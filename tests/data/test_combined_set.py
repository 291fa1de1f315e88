"""A combined set as files: what the manifest says of them, and that nothing is left of one that does not read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.combined_set import CombinedSet, write_combined
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.images import Images, TensorStore
from tests.data.sets import CLASSES, make

TILES = np.arange(CLASSES * 2).reshape(CLASSES, 2)


def silent(fraction: float, message: str) -> None:
    return None


def combined(folder: Path, store=None) -> CombinedSet:
    """One image a class, of two each; what it shows does not matter to a writer."""
    original = open_set(make("mtt", folder).path)
    images = Images(store or TensorStore(torch.randn(CLASSES, 3, 8, 8)), original.images.pixel_space)
    made = replace(original, labels=np.arange(CLASSES), images=images, label_sources={})
    return CombinedSet(made, original, TILES, {"factor": 2}, ("something was left out.",))


def test_write_combined__manifest_tells_files_plan_and_tiles(tmp_path):
    made = combined(tmp_path / "source")
    place = write_combined(made, tmp_path / "out", silent)
    manifest = json.loads(place.read_text())
    assert place == tmp_path / "out" / "manifest.json" and manifest["tiles"] == TILES.tolist()
    assert manifest["plan"] == {"factor": 2} and "something was left out." in manifest["notes"]
    assert manifest["counts"] == {"before": len(made.original), "used": 2 * CLASSES, "images": CLASSES}
    used = np.bincount(made.original.labels[: 2 * CLASSES], minlength=CLASSES)
    assert [entry["used"] for entry in manifest["classes"]] == used.tolist()
    assert manifest["source"]["format"] == "tensors" and manifest["source_files"]
    for record in manifest["written_files"]:
        file = tmp_path / "out" / record["path"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == record["sha256"]
    again = open_set(tmp_path / "out")
    assert torch.equal(again.images.stored(np.arange(CLASSES)), made.set.images.store.tensor)


def test_write_combined__what_does_not_read_back_is_not_left_behind(tmp_path):
    class Unsteady(TensorStore):
        def read(self, sample_id):
            return torch.randn(3, 8, 8)

    made = combined(tmp_path / "source", Unsteady(torch.randn(CLASSES, 3, 8, 8)))
    with pytest.raises(ImpossibleRequest, match="image 0 differs"):
        write_combined(made, tmp_path / "out", silent)
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_write_combined__a_class_without_an_image_keeps_its_place(tmp_path):
    made = combined(tmp_path / "source")
    images = Images(TensorStore(made.set.images.store.tensor[:2]), made.set.images.pixel_space)
    fewer = replace(made, set=replace(made.set, labels=np.array([1, 2]), images=images), tiles=TILES[1:3])
    write_combined(fewer, tmp_path / "out", silent)
    again = open_set(tmp_path / "out")
    assert again.labels.tolist() == [1, 2] and again.class_names == made.original.class_names
