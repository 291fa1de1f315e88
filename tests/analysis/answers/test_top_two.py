"""The two likeliest answers with the given label as one, against the sums written out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from analysis.answers.top_two import Answers, answers, given_rates
from analysis.context import Context
from data.soft_labels import DenseSoftLabels

CPU = torch.device("cpu")


def answered(labels: list[int], rows: np.ndarray, joint: np.ndarray | None = None, strength: float = 10.0) -> Answers:
    rates = None if joint is None else given_rates(sparse.csr_array(joint), strength)
    source = DenseSoftLabels(torch.from_numpy(np.asarray(rows, dtype=float)), "probabilities")
    return answers(np.array(labels), source, rates, CPU, Context())


def dense_rates(joint: np.ndarray, strength: float) -> np.ndarray:
    classes, right = len(joint), (np.trace(joint) + 1) / (joint.sum() + 2)
    beforehand = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(beforehand, right)
    return (joint + strength * beforehand) / (joint.sum(axis=0) + strength)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.01, 1000))
def test_given_rates__equal_the_dense_formula_and_sum_to_one(seed, classes, strength):
    joint = np.random.default_rng(seed).poisson(2, (classes, classes))
    found = given_rates(sparse.csr_array(joint), strength).of(np.arange(classes))
    np.testing.assert_allclose(found, dense_rates(joint, strength), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=0), 1)


def test_given_rates__nothing_seen_is_the_pooled_rate():
    joint = np.diag([3, 0, 0])
    found = given_rates(sparse.csr_array(joint), 5.0).of(np.arange(3))
    np.testing.assert_allclose(found[:, 1], [0.1, 0.8, 0.1], err_msg="(3 + 1) / (3 + 2) right, the rest shared")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 12), st.booleans())
def test_answers__equal_bayes_rule_by_loops(seed, classes, n, with_rates):
    rng = np.random.default_rng(seed)
    rows, labels = rng.dirichlet(np.ones(classes), n), rng.integers(0, classes, n)
    joint = rng.poisson(3, (classes, classes))
    found = answered(labels.tolist(), rows, joint if with_rates else None)
    for i in range(n):
        likelihood = dense_rates(joint, 10.0)[labels[i]] if with_rates else np.ones(classes)
        posterior = rows[i] * likelihood / (rows[i] * likelihood).sum()
        order = np.argsort(-posterior)
        assert (found.top[i], found.second[i]) == (order[0], order[1])
        assert (found.p_top[i], found.p_second[i]) == pytest.approx((posterior[order[0]], posterior[order[1]]), rel=1e-4)
        others = np.delete(posterior, labels[i])
        assert found.p_rival[i] == pytest.approx(others.max(), rel=1e-4) and found.rival[i] != labels[i]
        assert found.p_given[i] == pytest.approx(posterior[labels[i]], rel=1e-4, abs=1e-7)
        assert found.mass[i] == pytest.approx(np.sort(rows[i])[-2:].sum(), rel=1e-5)
        assert found.seen_as[i] == rows[i].argmax()


def test_answers__shares_are_the_posterior_of_two_classes_alone():
    found = answered([0, 2], np.array([[0.3, 0.6, 0.1], [0.5, 0.3, 0.2]]))
    assert found.rival_share == pytest.approx([0.6 / 0.9, 0.5 / 0.7], rel=1e-5)
    assert found.confusion == pytest.approx([0.3 / 0.9, 0.3 / 0.8], rel=1e-5)


def test_answers__a_source_that_rules_the_given_label_out_is_believed():
    found = answered([1], np.array([[1.0, 0.0, 0.0]]), np.diag([50, 50, 50]))
    assert found.top[0] == 0 and found.p_given[0] == 0 and found.rival_share[0] == 1
