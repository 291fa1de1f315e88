"""The probe, against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from analysis.context import Cancelled, Context
from analysis.probe import Probe, cross_validated, learnt_elsewhere, spread_over_folds
from data.errors import ImpossibleRequest

CPU = torch.device("cpu")


def blobs(counts: list[int], dimensions: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = 2 * rng.standard_normal((len(counts), dimensions))
    features = centres[labels] + rng.standard_normal((len(labels), dimensions))
    return (features * [100, 1, 0.01, 1, 1, 1][:dimensions]).astype(np.float32), labels


def sklearn_probabilities(train: np.ndarray, labels: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    scaler = StandardScaler().fit(train)
    # scikit-learn sums the loss where ours averages it, so its penalty weighs 1 / (C n).
    model = LogisticRegression(C=1 / (penalty * len(train)), max_iter=10_000, tol=1e-10)
    return model.fit(scaler.transform(train), labels).predict_proba(scaler.transform(test))


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_fit__equals_scikit_learn(penalty: float) -> None:
    features, labels = blobs([30, 20, 10, 5])
    expected = sklearn_probabilities(features, labels, features, penalty)
    probe = Probe.fit(torch.from_numpy(features), torch.from_numpy(labels), 4, CPU, Context(), penalty)
    np.testing.assert_allclose(probe.predict(torch.from_numpy(features)).numpy(), expected, atol=2e-3)


def test_cross_validated__each_row_is_from_the_other_folds() -> None:
    features, labels = blobs([20, 12, 9])
    result = cross_validated(features, labels, 3, CPU, folds=4, seed=5)
    fold_of = spread_over_folds(labels, 4, 5)
    assert result.folds == 4 and len(result.left_out) == 0
    for fold in range(4):
        train, test = fold_of != fold, fold_of == fold
        expected = sklearn_probabilities(features[train], labels[train], features[test], 1.0)
        np.testing.assert_allclose(result.probabilities[torch.from_numpy(test)].numpy(), expected, atol=2e-3)


def test_cross_validated__a_class_of_one_is_left_out() -> None:
    features, labels = blobs([8, 1, 2, 6])
    result = cross_validated(features, labels, 5, CPU)
    assert result.left_out.tolist() == [8]
    assert result.probabilities[8].isnan().all()
    known = np.delete(np.arange(len(labels)), 8)
    np.testing.assert_allclose(result.probabilities[known].sum(dim=1), 1, atol=1e-5)
    assert (result.probabilities[known][:, [1, 4]] == 0).all(), "classes that no probe learnt got mass"


@pytest.mark.parametrize("counts", [[1, 1, 1], [5, 1], [4]])
def test_cross_validated__too_few_images(counts: list[int]) -> None:
    features, labels = blobs(counts)
    with pytest.raises(ImpossibleRequest, match="two classes with at least two images"):
        cross_validated(features, labels, len(counts), CPU)


def test_learnt_elsewhere__equals_scikit_learn() -> None:
    features, labels = blobs([30, 20, 10])
    others, given = blobs([3, 3, 3], seed=0)
    result = learnt_elsewhere((features, labels), others, given, 5, CPU)
    assert result.folds == 0 and len(result.left_out) == 0
    np.testing.assert_allclose(result.probabilities[:, :3], sklearn_probabilities(features, labels, others, 1.0), atol=2e-3)
    assert (result.probabilities[:, 3:] == 0).all()


def test_learnt_elsewhere__one_class_is_nothing_to_learn_from() -> None:
    features, labels = blobs([5])
    with pytest.raises(ImpossibleRequest, match="at least two classes"):
        learnt_elsewhere((features, labels), features, labels, 2, CPU)


def test_cross_validated__a_constant_feature_does_no_harm() -> None:
    features, labels = blobs([10, 10])
    padded = np.hstack([features, np.full((20, 1), 7, dtype=np.float32)])
    plain = cross_validated(features, labels, 2, CPU).probabilities
    np.testing.assert_allclose(cross_validated(padded, labels, 2, CPU).probabilities, plain, atol=1e-3)


def test_cross_validated__can_be_cancelled() -> None:
    def report(fraction: float, message: str) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        cross_validated(*blobs([30, 30]), 2, CPU, Context(report=report))


@pytest.mark.parametrize("counts", [[2, 2, 2, 2], [7, 3, 2], [50, 5, 2, 2, 2]])
def test_spread_over_folds__every_class_of_two_or_more_can_be_learnt(counts: list[int]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    fold_of = spread_over_folds(labels, 5, 1)
    sizes = np.bincount(fold_of, minlength=5)
    assert sizes.max() - sizes.min() <= 1
    for k in range(len(counts)):
        inside = np.bincount(fold_of[labels == k], minlength=5)
        assert inside.max() - inside.min() <= 1, "a class is not spread evenly"
