"""EM over candidate labels, against closed forms, a general optimiser and what must hold of any EM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from analysis.answers.candidate_em import Candidates, LabelRates, resolve
from analysis.context import Cancelled, Context


def candidates(sets: list[list[int]], evidence: list[list[float]] | None = None) -> Candidates:
    sizes = [len(some) for some in sets]
    values = evidence or [[1.0] * size for size in sizes]
    return Candidates(np.cumsum([0, *sizes]), np.concatenate(sets).astype(np.int64), np.concatenate(values).astype(float))


def made(seed: int, n: int, classes: int) -> tuple[Candidates, np.ndarray]:
    """Random sets with Dirichlet evidence, and random given labels (n,)."""
    rng = np.random.default_rng(seed)
    sets = [np.sort(rng.permutation(classes)[: rng.integers(1, classes + 1)]).tolist() for _ in range(n)]
    evidence = [rng.dirichlet(np.ones(len(some))).clip(1e-6).tolist() for some in sets]
    return candidates(sets, evidence), rng.integers(0, classes, n)


def test_resolve__one_candidate_each_is_certain_and_the_prior_their_shares():
    found = resolve(candidates([[0], [2], [2], [1]], [[0.1], [0.7], [0.2], [1.0]]), np.full(3, 1 / 3))
    np.testing.assert_array_equal(found.probability, 1)
    np.testing.assert_allclose(found.prior, [0.25, 0.25, 0.5])
    assert found.converged


def test_resolve__all_candidates_and_a_fixed_prior_is_the_evidence_normalised():
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    full = candidates([[0, 1, 2, 3]] * 6, (3 * rows).tolist())
    found = resolve(full, np.array([0.1, 0.2, 0.3, 0.4]), learn_prior=False)
    np.testing.assert_allclose(found.probability.reshape(6, 4), rows)


def test_resolve__all_candidates_keep_a_prior_that_is_already_their_mean():
    rows = np.random.default_rng(1).dirichlet(np.ones(3), 50)
    found = resolve(candidates([[0, 1, 2]] * 50, rows.tolist()), rows.mean(axis=0))
    np.testing.assert_allclose(found.prior, rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.probability.reshape(50, 3), rows, atol=1e-8)


def test_resolve__two_classes_in_closed_form():
    """Without evidence the undecided follow the decided: prior 6 / 8, whatever their number."""
    found = resolve(candidates([[0]] * 6 + [[1]] * 2 + [[0, 1]] * 30), np.full(2, 0.5), most_rounds=2000)
    np.testing.assert_allclose(found.prior, [0.75, 0.25], atol=1e-4)
    np.testing.assert_allclose(found.probability[-2:], [0.75, 0.25], atol=1e-4)


def test_resolve__label_rates_in_closed_form():
    """With certain classes the rates are their counts, shrunk: (3 + 10 · 0.8) / (4 + 10)."""
    rates = LabelRates(np.array([0, 0, 0, 1, 1]), right=0.8, strength=10)
    found = resolve(candidates([[0]] * 4 + [[1]]), np.full(2, 0.5), rates)
    np.testing.assert_allclose(found.kept, [(3 + 8) / 14, (1 + 8) / 11])


def test_resolve__equals_a_general_optimiser_of_the_prior():
    sets, _ = made(3, 60, 4)
    base = np.array([0.4, 0.3, 0.2, 0.1])
    row = np.repeat(np.arange(60), sets.sizes)

    def objective(free: np.ndarray) -> float:
        prior = np.exp(np.append(free, 0)) / np.exp(np.append(free, 0)).sum()
        return -np.log(np.bincount(row, (prior / base)[sets.classes] * sets.evidence)).sum()

    free = minimize(objective, np.zeros(3), tol=1e-12).x
    expected = np.exp(np.append(free, 0)) / np.exp(np.append(free, 0)).sum()
    found = resolve(sets, base, most_rounds=5_000)
    np.testing.assert_allclose(found.prior, expected, atol=1e-3)
    assert found.objective[-1] == pytest.approx(-objective(free), abs=1e-4)


def test_resolve__equals_em_by_loops():
    sets, given_labels = made(5, 12, 3)
    base, prior = np.full(3, 1 / 3), np.full(3, 1 / 3)
    beforehand = np.where(np.eye(3, dtype=bool), 0.9, 0.05)
    rate = beforehand.copy()
    for _ in range(7):
        q = np.zeros((12, 3))
        for n in range(12):
            for m in range(sets.starts[n], sets.starts[n + 1]):
                k = sets.classes[m]
                q[n, k] = prior[k] * sets.evidence[m] / base[k] * rate[given_labels[n], k]
            q[n] /= q[n].sum()
        last, prior = q, q.mean(axis=0)
        counted = np.array([[q[given_labels == y, k].sum() for k in range(3)] for y in range(3)])
        rate = (counted + 4 * beforehand) / (q.sum(axis=0) + 4)
    found = resolve(sets, base, LabelRates(given_labels, 0.9, 4), most_rounds=6)
    expected = last[np.repeat(np.arange(12), sets.sizes), sets.classes]
    np.testing.assert_allclose(found.probability, expected, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 6), st.booleans(), st.booleans())
def test_resolve__likelihood_never_falls_and_candidates_sum_to_one(seed, n, classes, with_rates, learn_prior):
    sets, labels = made(seed, n, classes)
    rates = LabelRates(labels, 0.8, 3.0) if with_rates else None
    found = resolve(sets, np.full(classes, 1 / classes), rates, learn_prior, most_rounds=40)
    assert (np.diff(found.objective) >= -1e-9 * (1 + abs(found.objective[-1]))).all()
    np.testing.assert_allclose(sets.summed(found.probability), 1)
    assert found.prior.sum() == pytest.approx(1)
    assert ((found.probability >= 0) & (found.probability <= 1 + 1e-12)).all()


def test_candidates_best__first_of_equal_ones():
    sets = candidates([[0, 1], [2], [0, 1, 2]])
    assert sets.best(np.array([0.5, 0.5, 1.0, 0.2, 0.4, 0.4])).tolist() == [0, 2, 4]


def test_resolve__stops_where_told():
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        resolve(candidates([[0, 1]]), np.full(2, 0.5), context=Context(report=stop))
