"""Which batches of a tree are read, for tests of what is read again, ahead or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from data.relabelled.batch import Batch
from data.relabelled.tree import RelabelledTree


def reads_of_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of the batches that are read from now on, in the order in which they are, while the test runs."""
    seen, read = [], RelabelledTree.read

    def spy(self: RelabelledTree, position: int, rows: np.ndarray | None = None) -> tuple[Batch, np.ndarray]:
        seen.append(position)
        return read(self, position, rows)

    monkeypatch.setattr(RelabelledTree, "read", spy)
    return seen
