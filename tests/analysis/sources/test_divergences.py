"""Divergences of distributions, against SciPy and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from analysis.sources.divergences import (
    entropy,
    floored_log,
    generalised_jensen_shannon,
    jensen_shannon,
    kullback_leibler,
)


def distributions(sources: int, n: int, classes: int, seed: int, zeros: float = 0.0) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(classes, 0.3), (sources, n))
    rows = np.where(rng.random(rows.shape) < zeros, 0, rows)
    rows[..., 0] += 1e-3
    return list(torch.from_numpy(rows / rows.sum(axis=-1, keepdims=True)).float())


SHAPES = {"n": st.integers(1, 6), "classes": st.integers(2, 12), "seed": st.integers(0, 10_000)}


@given(**SHAPES, zeros=st.floats(0, 0.9))
@settings(deadline=None)
def test_jensen_shannon__is_scipys_distance_squared(n: int, classes: int, seed: int, zeros: float) -> None:
    p, q = distributions(2, n, classes, seed, zeros)
    expected = jensenshannon(p.double().numpy(), q.double().numpy(), axis=1) ** 2
    np.testing.assert_allclose(jensen_shannon(p, q), np.nan_to_num(expected), atol=1e-6)


@given(**SHAPES)
@settings(deadline=None)
def test_jensen_shannon__symmetric_and_bounded(n: int, classes: int, seed: int) -> None:
    p, q = distributions(2, n, classes, seed, 0.5)
    found = jensen_shannon(p, q)
    torch.testing.assert_close(found, jensen_shannon(q, p))
    assert (found >= 0).all() and (found <= np.log(2) + 1e-6).all()


@pytest.mark.parametrize("step", [1e-3, 1e-2, 0.3])
def test_jensen_shannon__small_differences_are_not_lost_to_rounding(step: float) -> None:
    p = torch.tensor([[0.5, 0.5]])
    q = torch.tensor([[0.5 + step, 0.5 - step]])
    expected = jensenshannon(p[0].double().numpy(), q[0].double().numpy()) ** 2
    assert float(jensen_shannon(p, q)) == pytest.approx(expected, rel=0.02)


@given(**SHAPES, sources=st.integers(2, 7), zeros=st.floats(0, 0.9))
@settings(deadline=None)
def test_generalised__is_the_entropy_of_the_mean_less_the_mean_entropy(
    n: int, classes: int, seed: int, sources: int, zeros: float
) -> None:
    rows = distributions(sources, n, classes, seed, zeros)
    exact = np.stack([row.double().numpy() for row in rows])
    expected = stats.entropy(exact.mean(axis=0), axis=1) - stats.entropy(exact, axis=2).mean(axis=0)
    found = generalised_jensen_shannon(rows)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert (found >= 0).all() and (found <= np.log(min(sources, classes)) + 1e-6).all()
    torch.testing.assert_close(found, generalised_jensen_shannon(rows[::-1]), atol=1e-6, rtol=1e-5)


def test_generalised__of_two_is_the_pairs() -> None:
    p, q = distributions(2, 50, 8, 0, 0.3)
    torch.testing.assert_close(generalised_jensen_shannon([p, q]), jensen_shannon(p, q), atol=1e-6, rtol=1e-5)


@given(**SHAPES, sources=st.integers(2, 7))
@settings(deadline=None)
def test_generalised__is_nothing_exactly_where_all_are_equal(n: int, classes: int, seed: int, sources: int) -> None:
    (row,) = distributions(1, n, classes, seed, 0.5)
    assert generalised_jensen_shannon([row] * sources).max() < 1e-6
    other = row.roll(1, dims=1)
    differs = ((row - other).abs().amax(dim=1) > 1e-2).numpy()
    assert (generalised_jensen_shannon([row] * (sources - 1) + [other]).numpy()[differs] > 1e-6).all()


def test_generalised__sources_with_nothing_in_common_reach_the_log_of_their_number() -> None:
    found = generalised_jensen_shannon([torch.eye(4)[k : k + 1] for k in range(3)])
    assert float(found) == pytest.approx(np.log(3))


@given(**SHAPES, floor=st.sampled_from([1e-12, 1e-6, 1e-3]))
@settings(deadline=None)
def test_kullback_leibler__is_scipys_with_the_second_floored(n: int, classes: int, seed: int, floor: float) -> None:
    p, q = distributions(2, n, classes, seed, 0.3)
    expected = rel_entr(p.double().numpy(), np.maximum(q.double().numpy(), floor)).sum(axis=1)
    np.testing.assert_allclose(kullback_leibler(p, entropy(p), floored_log(q, floor)), expected.clip(0), atol=1e-5)


def test_kullback_leibler__both_ways_are_scipys_entropy() -> None:
    p, q = distributions(2, 40, 6, 1)
    p, q = (p + 0.01) / (p + 0.01).sum(1, keepdim=True), (q + 0.01) / (q + 0.01).sum(1, keepdim=True)
    for one, other in ((p, q), (q, p)):
        expected = stats.entropy(one.double().numpy(), other.double().numpy(), axis=1)
        np.testing.assert_allclose(kullback_leibler(one, entropy(one), floored_log(other, 1e-6)), expected, atol=1e-5)


def test_entropy__is_scipys() -> None:
    (p,) = distributions(1, 30, 7, 3, 0.3)
    np.testing.assert_allclose(entropy(p), stats.entropy(p.double().numpy(), axis=1), atol=1e-5)
