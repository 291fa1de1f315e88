"""The search for a class's furthest samples, against sorting all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from analysis.confident import pruning as confident_pruning
from analysis.confident.pruning import Pruner
from analysis.confident.rows import Rows, read_facts
from analysis.context import Context
from data.soft_labels import DenseSoftLabels


def pruner(labels: np.ndarray, probabilities: np.ndarray, joint: np.ndarray) -> Pruner:
    rows = Rows(DenseSoftLabels(torch.from_numpy(probabilities), "probabilities"), torch.device("cpu"))
    by_class = [np.flatnonzero(labels == k) for k in range(probabilities.shape[1])]
    return Pruner(rows, read_facts(labels, rows, Context()), by_class, sparse.csr_array(joint), 0)


def by_sorting_all(labels: np.ndarray, probabilities: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """As cleanlab's ``_prune_by_count`` does it, class by class and pair by pair."""
    mask = np.zeros(len(labels), dtype=bool)
    for k in range(len(joint)):
        ids = np.flatnonzero(labels == k)
        for j in np.flatnonzero(joint[k]):
            if j != k and len(ids) > 1:
                mask[ids[np.argsort(-(probabilities[ids, j] - probabilities[ids, k]))[: joint[k, j]]]] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 16]),
    st.sampled_from([0.05, 0.3, 2.0]),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_furthest_towards_others__is_what_sorting_all_finds(seed: int, decimals: int, spread: float, dtype: type) -> None:
    """Any counts, however few samples lie towards that class."""
    rng = np.random.default_rng(seed)
    n, classes = int(rng.integers(4, 400)), int(rng.integers(2, 6))
    probabilities = rng.dirichlet(np.full(classes, spread), n).round(decimals).astype(dtype)
    labels = rng.integers(0, classes, n)
    joint = rng.integers(0, 40, (classes, classes)) * (rng.random((classes, classes)) < 0.6)
    found = pruner(labels, probabilities, joint).furthest_towards_others(Context())
    np.testing.assert_array_equal(found, by_sorting_all(labels, probabilities, joint))


def test_furthest_towards_others__reads_on_where_the_first_samples_do_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples far towards class 2 come first; those nearest to class 1 agree with their label and are found all the same."""
    sizes = []
    decide = confident_pruning._Search.decide
    monkeypatch.setattr(
        confident_pruning._Search, "decide", lambda self, columns: (sizes.append(self.size), decide(self, columns))[1]
    )
    rng = np.random.default_rng(0)
    own = np.concatenate([0.2 + 0.01 * rng.random(30), 0.5 + 0.01 * rng.random(60), 0.9 + 0.01 * rng.random(200)])
    towards = np.concatenate([np.full(30, 0.01), np.full(60, 0.45), np.full(200, 0.02)]) + 0.001 * rng.random(290)
    probabilities = np.stack([own, towards, 1 - own - towards], axis=1)
    labels, joint = np.zeros(290, dtype=np.int64), np.array([[250, 40, 0], [0, 0, 0], [0, 0, 0]])
    found = pruner(labels, probabilities, joint).furthest_towards_others(Context())
    np.testing.assert_array_equal(found, by_sorting_all(labels, probabilities, joint))
    assert found[30:90].sum() == 40 and not found[:30].any()
    assert len(sizes) == 2 and sizes[0] < sizes[1] < 290
