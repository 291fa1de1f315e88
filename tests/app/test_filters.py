"""The classes that a label source sees, for the filter of a grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from app.filters import top_classes
from data.formats import open_set
from data.soft_labels import DenseSoftLabels
from tests.data.sets import CLASSES, N, make


def test_top_classes__of_corrected_labels_and_never_those_of_one_that_was_removed(tmp_path):
    opened = open_set(make("datm", tmp_path / "set").path)

    def seen(label: int, version: str) -> set[int]:
        logits = torch.zeros(N, CLASSES)
        logits[:, label] = 5
        corrected = replace(opened, derived_sources={"mine": DenseSoftLabels(logits, "logits")})
        return set(np.unique(top_classes("set", "mine", (version,), corrected)).tolist())

    assert seen(1, "mine 1") == {1}
    assert seen(2, "mine 2") == {2}, "another one of the same name"
