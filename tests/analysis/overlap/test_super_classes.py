"""Super-classes: the tree against scipy on the whole matrix, and what the cut keeps."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from analysis.overlap.super_classes import grow


def pairs_of(near: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = np.nonzero(np.triu(near, k=1))
    return a, b, near[a, b]


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.floats(0.05, 0.95))
@settings(max_examples=50, deadline=None)
def test_grow__cuts_as_scipy_does_on_the_dense_matrix(seed: int, classes: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    near = np.triu(rng.random((classes, classes)) * (rng.random((classes, classes)) < 0.4), k=1)
    tree = grow(classes, *pairs_of(near))
    dense = 1 - (near + near.T)
    np.fill_diagonal(dense, 0)
    group = fcluster(linkage(squareform(dense), "average"), 1 - least, "distance")
    expected = {tuple(np.flatnonzero(group == g).tolist()) for g in np.unique(group)}
    assert set(tree.cut(least)) == {members for members in expected if len(members) > 1}
    assert sorted(tree.order().tolist()) == list(range(classes))


def test_grow__tips_of_one_group_follow_each_other() -> None:
    tree = grow(6, np.array([0, 3, 0]), np.array([5, 4, 3]), np.array([0.9, 0.8, 0.4]))
    assert tree.order().tolist() == [0, 5, 3, 4, 1, 2]
    np.testing.assert_allclose(tree.joined_at(), [0.9, np.nan, np.nan, 0.8, 0.8, 0.9])
    np.testing.assert_allclose([join.overlap for join in tree.joins], [0.9, 0.8, 0.1])  # one of four pairs across has 0.4
    assert tree.cut(0.5) == ((0, 5), (3, 4)) and tree.cut(0.05) == ((0, 3, 4, 5),)


def test_grow__needs_no_table_of_all_pairs() -> None:
    tree = grow(1_000_000, np.array([7, 8]), np.array([999_999, 9]), np.array([0.5, 0.6]))
    assert tree.cut(0.3) == ((7, 999_999), (8, 9))


def test_grow__leaves_out_parts_too_large() -> None:
    chain = np.arange(5)
    tree = grow(10, np.append(chain, 8), np.append(chain + 1, 9), np.full(6, 0.9), most=3)
    assert tree.left_out == (0, 1, 2, 3, 4, 5) and tree.cut(0.5) == ((8, 9),)


def test_grow__nothing_overlaps() -> None:
    none = np.empty(0, np.int64)
    tree = grow(3, none, none, np.empty(0))
    assert tree.cut(0.1) == () and tree.order().tolist() == [0, 1, 2] and np.isnan(tree.joined_at()).all()
