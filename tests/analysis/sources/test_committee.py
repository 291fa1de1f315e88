"""How sources combine, against loops over the published formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.sources.committee import equal_weights, most_expert, norm_matching_weights, prior_weights, weighted_sum


def logits(members: int, n: int, classes: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [(1 + m) * torch.randn(n, classes, generator=generator) for m in range(members)]


SHAPES = {
    "members": st.integers(2, 5),
    "n": st.integers(1, 5),
    "classes": st.integers(2, 6),
    "seed": st.integers(0, 10_000),
}


@given(**SHAPES)
@settings(deadline=None)
def test_norm_matching__equals_g_vbsms_loop(members: int, n: int, classes: int, seed: int) -> None:
    """Each teacher's logit matrix over its norm, times the mean norm, then averaged."""
    rows = logits(members, n, classes, seed)
    norms = [float(torch.linalg.matrix_norm(row)) for row in rows]
    expected = torch.zeros(n, classes)
    for row, norm in zip(rows, norms, strict=True):
        expected += row / norm * (sum(norms) / members)
    found = weighted_sum(rows, norm_matching_weights(norms))
    torch.testing.assert_close(found, expected / members, atol=1e-5, rtol=1e-4)


@given(accuracies=st.lists(st.floats(0, 100), min_size=2, max_size=6), temperature=st.floats(0.5, 50))
def test_prior_weights__equal_cv_dds_formula(accuracies: list[float], temperature: float) -> None:
    expected = torch.softmax(torch.tensor(accuracies, dtype=torch.float64) / temperature, dim=0)
    np.testing.assert_allclose(prior_weights(accuracies, temperature), expected, atol=1e-12)


def test_prior_weights__by_hand() -> None:
    better, worse = prior_weights([70.0, 60.0])
    assert better / worse == pytest.approx(np.e), "ten points at the relabelling temperature of 10"
    assert prior_weights([50.0, 50.0, 50.0]) == pytest.approx(equal_weights(3))


@given(**SHAPES)
@settings(deadline=None)
def test_combining__equal_members_are_the_member_itself(members: int, n: int, classes: int, seed: int) -> None:
    row = logits(1, n, classes, seed)[0]
    norms = [float(torch.linalg.matrix_norm(row))] * members
    for weights in (equal_weights(members), prior_weights([61.0] * members), norm_matching_weights(norms)):
        torch.testing.assert_close(weighted_sum([row] * members, weights), row, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(most_expert([row] * members, torch.ones(members, n)), row, atol=1e-5, rtol=1e-5)


@given(**SHAPES, data=st.data())
@settings(deadline=None)
def test_combining__the_order_of_members_changes_nothing(
    members: int, n: int, classes: int, seed: int, data: st.DataObject
) -> None:
    rows, order = logits(members, n, classes, seed), data.draw(st.permutations(range(members)))
    expertise = torch.randint(0, 3, (members, n), generator=torch.Generator().manual_seed(seed)).float()
    accuracies = [50.0 + 7 * m for m in range(members)]
    mixed = [rows[m] for m in order]
    for weights in (prior_weights(accuracies), norm_matching_weights([1.0 + m for m in range(members)])):
        again = weighted_sum(mixed, [weights[m] for m in order])
        torch.testing.assert_close(again, weighted_sum(rows, weights), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(most_expert(mixed, expertise[list(order)]), most_expert(rows, expertise))


def test_most_expert__takes_the_best_and_averages_ties() -> None:
    rows = [torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([[0.3, 0.7], [0.4, 0.6]])]
    found = most_expert(rows, torch.tensor([[0.9, 0.5], [0.95, 0.5]]))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.7], [0.6, 0.4]]))
