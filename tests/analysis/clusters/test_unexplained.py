"""What explains a sample, against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.clusters.unexplained import NOBODY, Near, Strictness, clusters, explain

STRICT = Strictness(votes=2, tolerance=2.0)


def made(seed: int, n: int = 40, k: int = 6, classes: int = 4) -> tuple[np.ndarray, Near]:
    """Random labels, and the true nearest neighbours of random points on a line."""
    rng = np.random.default_rng(seed)
    at = rng.random(n)
    labels = (at * classes + 0.3 * rng.standard_normal(n)).clip(0, classes - 1).astype(int)
    apart = np.abs(at[:, None] - at) + np.diag(np.full(n, 9.0))
    found = np.argsort(apart, axis=1)[:, :k]
    return labels, Near(found, np.take_along_axis(apart, found, axis=1))


def explained_by_loop(labels: np.ndarray, near: Near, classes: int) -> tuple[list[bool], list[int], list[int]]:
    n, k = near.found.shape
    core = []
    for i in range(n):
        m = min(k, int((labels == labels[i]).sum()) - 1)
        core.append(sum(labels[j] == labels[i] for j in near.found[i][:m]) > m / 2)
    reached: dict[int, list[float]] = {c: [] for c in range(classes)}
    for i in np.flatnonzero(core):
        own = [d for j, d in zip(near.found[i], near.distance[i], strict=True) if core[j] and labels[j] == labels[i]]
        if len(own) >= STRICT.votes:
            reached[labels[i]].append(own[STRICT.votes - 1])
    level = {c: np.median(d) + STRICT.tolerance * 1.4826 * np.median(np.abs(d - np.median(d)))
             for c, d in reached.items() if len(d) >= 5}  # fmt: skip
    by, votes = [], []
    for i in range(n):
        count = np.zeros(classes, dtype=int)
        first: dict[int, int] = {}
        for rank, (j, d) in enumerate(zip(near.found[i], near.distance[i], strict=True)):
            if core[j] and d <= level.get(labels[j], max(level.values(), default=-np.inf)):
                count[labels[j]] += 1
                first.setdefault(labels[j], rank)
        votes.append(int(count.max()))
        best = min((c for c in first if count[c] == count.max()), key=first.__getitem__, default=NOBODY)
        by.append(int(labels[i]) if core[i] else best if count.max() >= STRICT.votes else NOBODY)
    return core, by, votes


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_explain__equals_a_loop(seed: int) -> None:
    labels, near = made(seed)
    found = explain(labels, near, 4, STRICT)
    core, by, votes = explained_by_loop(labels, near, 4)
    assert found.core.tolist() == core and found.by.tolist() == by and found.votes.tolist() == votes


def test_explain__no_class_has_a_core() -> None:
    labels, near = np.arange(6), Near(np.array([[1], [0], [3], [2], [5], [4]]), np.full((6, 1), 0.1))
    found = explain(labels, near, 6, Strictness(1, 3))
    assert found.nobody.all() and not clusters(near, found.nobody, found.reach)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.2))
@settings(max_examples=40, deadline=None)
def test_clusters__are_the_parts_of_the_mutual_graph(seed: int, reach: float) -> None:
    _, near = made(seed)
    among = np.random.default_rng(seed).random(40) < 0.7
    neighbours = {
        i: {int(j) for j, d in zip(near.found[i], near.distance[i], strict=True) if among[j] and d <= reach}
        for i in np.flatnonzero(among).tolist()
    }
    expected, left = set(), set(neighbours)
    while left:
        part, ahead = set(), [left.pop()]
        while ahead:
            i = ahead.pop()
            part.add(i)
            ahead += [j for j in neighbours[i] if i in neighbours[j] and j not in part]
        left -= part
        expected |= {tuple(sorted(part))} if len(part) > 1 else set()
    found = clusters(near, among, reach)
    assert {tuple(members.tolist()) for members in found} == expected
    assert [len(members) for members in found] == sorted(map(len, expected), reverse=True)


@pytest.mark.parametrize("tolerance", [0.5, 3.0])
def test_explain__a_class_of_two_modes_is_explained(tolerance: float) -> None:
    at = np.concatenate([np.linspace(0, 0.1, 20), np.linspace(5, 5.1, 10), np.linspace(2, 2.1, 20)])
    labels = np.repeat([0, 0, 1], [20, 10, 20])
    apart = np.abs(at[:, None] - at) + np.diag(np.full(50, 9.0))
    found = np.argsort(apart, axis=1, kind="stable")[:, :6]
    by = explain(labels, Near(found, np.take_along_axis(apart, found, axis=1)), 2, Strictness(3, tolerance)).by
    np.testing.assert_array_equal(by, labels)
