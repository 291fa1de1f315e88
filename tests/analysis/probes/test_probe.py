"""The three kinds of probe: one behaviour test over all, and each against scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from analysis.context import Cancelled, Context
from analysis.probes import probe
from analysis.probes.folds import spread_over_folds
from analysis.probes.knn import voted
from analysis.probes.linear import LinearScores, logistic, squared_hinge
from analysis.probes.probe import PROBES, Learner, cross_validated, learnt_elsewhere
from data.errors import ImpossibleRequest

CPU = torch.device("cpu")
DEVICES = [
    torch.device(name) for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.mps.is_available())) if there
]
every_kind = pytest.mark.parametrize("learner", [Learner(kind) for kind in PROBES], ids=PROBES)
trained_kinds = pytest.mark.parametrize("learner", [Learner("logistic"), Learner("linear SVM")], ids=lambda own: own.kind)


def blobs(counts: list[int], dimensions: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = 2 * rng.standard_normal((len(counts), dimensions))
    features = centres[labels] + rng.standard_normal((len(labels), dimensions))
    return (features * [100, 1, 0.01, 1, 1, 1][:dimensions]).astype(np.float32), labels


def even_blobs(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Blobs whose directions differ, which is all that the nearest neighbours see."""
    features, labels = blobs(counts, seed=seed)
    return features / np.float32([100, 1, 0.01, 1, 1, 1]), labels


def sklearn_probabilities(train: np.ndarray, labels: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    scaler = StandardScaler().fit(train)
    # scikit-learn sums the loss where ours averages it, so its penalty weighs 1 / (C n).
    model = LogisticRegression(C=1 / (penalty * len(train)), max_iter=10_000, tol=1e-10)
    return model.fit(scaler.transform(train), labels).predict_proba(scaler.transform(test))


# --- whatever the kind ---


@every_kind
def test_cross_validated__tells_classes_apart(learner: Learner) -> None:
    features, labels = even_blobs([40, 30, 20])
    found = cross_validated(features, labels, 3, CPU, learner=learner).probabilities
    np.testing.assert_allclose(found.sum(dim=1), 1, atol=1e-5)
    assert (found.argmax(dim=1).numpy() == labels).mean() > 0.9
    assert found.dtype == torch.float32


@every_kind
def test_cross_validated__knows_nothing_where_there_is_nothing_to_know(learner: Learner) -> None:
    """Random labels of points in 300 dimensions: whoever saw a sample could name its label; who did not, could not."""
    rng = np.random.default_rng(1)
    features, labels = rng.standard_normal((150, 300)).astype(np.float32), rng.permutation(np.repeat(np.arange(3), 50))
    blind = cross_validated(features, labels, 3, CPU, learner=learner).probabilities.argmax(dim=1).numpy()
    assert (blind == labels).mean() < 0.5
    if not learner.leaves_one_out:
        seen = learnt_elsewhere((features, labels), features, labels, 3, CPU, learner=replace(learner, penalty=0.01))
        assert (seen.probabilities.argmax(dim=1).numpy() == labels).mean() > 0.99


@every_kind
def test_cross_validated__a_samples_own_label_does_not_matter(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = even_blobs([12, 9, 6])
    monkeypatch.setattr(probe, "spread_over_folds", lambda labels, folds, seed: np.arange(len(labels)) % folds)
    before = cross_validated(features, labels, 3, CPU, learner=learner).probabilities
    for i in (0, 13, 26):
        flipped = labels.copy()
        flipped[i] = (labels[i] + 1) % 3
        after = cross_validated(features, flipped, 3, CPU, learner=learner).probabilities
        np.testing.assert_array_equal(after[i], before[i])
        assert not torch.equal(after, before), "nobody learnt from the sample"


@every_kind
def test_cross_validated__a_class_of_one_is_left_out(learner: Learner) -> None:
    features, labels = even_blobs([8, 1, 2, 6])
    result = cross_validated(features, labels, 5, CPU, learner=learner)
    assert result.left_out.tolist() == [8]
    assert result.probabilities[8].isnan().all()
    known = np.delete(np.arange(len(labels)), 8)
    np.testing.assert_allclose(result.probabilities[known].sum(dim=1), 1, atol=1e-5)
    assert (result.probabilities[known][:, [1, 4]] == 0).all(), "classes that no probe learnt got mass"


@every_kind
@pytest.mark.parametrize("counts", [[1, 1, 1], [5, 1], [4]])
def test_cross_validated__too_few_images(learner: Learner, counts: list[int]) -> None:
    features, labels = blobs(counts)
    with pytest.raises(ImpossibleRequest, match="two classes with at least two images"):
        cross_validated(features, labels, len(counts), CPU, learner=learner)


@every_kind
def test_cross_validated__the_fewest_images_there_can_be(learner: Learner) -> None:
    result = cross_validated(*even_blobs([2, 2]), 2, CPU, learner=learner)
    np.testing.assert_allclose(result.probabilities.sum(dim=1), 1, atol=1e-5)


@every_kind
def test_learnt_elsewhere__classes_nobody_taught_are_left_out(learner: Learner) -> None:
    features, labels = even_blobs([30, 20, 10, 5])
    taught = labels != 2
    result = learnt_elsewhere((features[taught], labels[taught]), features, labels, 6, CPU, learner=learner)
    assert result.folds == 0
    np.testing.assert_array_equal(result.left_out, np.flatnonzero(labels == 2))
    judged = result.probabilities[torch.from_numpy(taught)]
    assert (judged[:, [2, 4, 5]] == 0).all() and (judged.argmax(dim=1).numpy() == labels[taught]).mean() > 0.9


@every_kind
def test_learnt_elsewhere__one_class_is_nothing_to_learn_from(learner: Learner) -> None:
    features, labels = blobs([5])
    with pytest.raises(ImpossibleRequest, match="at least two classes"):
        learnt_elsewhere((features, labels), features, labels, 2, CPU, learner=learner)


@every_kind
def test_cross_validated__the_same_again_and_seeds_matter_where_there_are_folds(learner: Learner) -> None:
    features, labels = even_blobs([15, 12, 9])
    first, again, other = (
        cross_validated(features, labels, 3, CPU, learner=learner, seed=s).probabilities for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert torch.equal(first, other) == learner.leaves_one_out


@every_kind
@pytest.mark.skipif(not DEVICES, reason="this machine has no GPU")
def test_cross_validated__devices_agree(learner: Learner) -> None:
    features, labels = even_blobs([40, 30, 20])
    expected = cross_validated(features, labels, 3, CPU, learner=learner).probabilities
    for device in DEVICES:
        found = cross_validated(features, labels, 3, device, learner=learner).probabilities
        np.testing.assert_allclose(found, expected, atol=5e-3)


@every_kind
def test_cross_validated__can_be_cancelled(learner: Learner) -> None:
    reported = []

    def report(fraction: float, message: str) -> None:
        reported.append(fraction)
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        cross_validated(*even_blobs([30, 30]), 2, CPU, Context(report=report), learner=learner)
    assert all(0 <= fraction <= 1 for fraction in reported)


@trained_kinds
def test_cross_validated__a_constant_feature_does_no_harm(learner: Learner) -> None:
    features, labels = blobs([10, 10])
    padded = np.hstack([features, np.full((20, 1), 7, dtype=np.float32)])
    plain = cross_validated(features, labels, 2, CPU, learner=learner).probabilities
    np.testing.assert_allclose(cross_validated(padded, labels, 2, CPU, learner=learner).probabilities, plain, atol=2e-3)


@trained_kinds
def test_cross_validated__the_seed_deals_the_folds(learner: Learner) -> None:
    """Moving one sample changes every prediction but those of the samples held out with it."""
    features, labels = even_blobs([20, 12, 9])
    fold_of = spread_over_folds(labels, 4, 5)
    moved = features.copy()
    moved[7] += 1
    before, after = (cross_validated(x, labels, 3, CPU, learner=learner, folds=4, seed=5) for x in (features, moved))
    assert before.folds == 4
    same = (before.probabilities == after.probabilities).all(dim=1).numpy()
    np.testing.assert_array_equal(same, (fold_of == fold_of[7]) & (np.arange(41) != 7))


# --- each against scikit-learn ---


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_logistic__equals_scikit_learn(penalty: float) -> None:
    features, labels = blobs([30, 20, 10, 5])
    expected = sklearn_probabilities(features, labels, features, penalty)
    fitted = logistic(torch.from_numpy(features), torch.from_numpy(labels), 4, penalty, Context())
    np.testing.assert_allclose(fitted.predict(torch.from_numpy(features)).numpy(), expected, atol=2e-3)


def test_cross_validated__each_logistic_row_is_from_the_other_folds() -> None:
    features, labels = blobs([20, 12, 9])
    result = cross_validated(features, labels, 3, CPU, folds=4, seed=5)
    fold_of = spread_over_folds(labels, 4, 5)
    assert result.folds == 4 and len(result.left_out) == 0
    for fold in range(4):
        train, test = fold_of != fold, fold_of == fold
        expected = sklearn_probabilities(features[train], labels[train], features[test], 1.0)
        np.testing.assert_allclose(result.probabilities[torch.from_numpy(test)].numpy(), expected, atol=2e-3)


def test_learnt_elsewhere__equals_scikit_learn() -> None:
    features, labels = blobs([30, 20, 10])
    others, given = blobs([3, 3, 3], seed=0)
    result = learnt_elsewhere((features, labels), others, given, 5, CPU)
    assert result.folds == 0 and len(result.left_out) == 0
    np.testing.assert_allclose(result.probabilities[:, :3], sklearn_probabilities(features, labels, others, 1.0), atol=2e-3)
    assert (result.probabilities[:, 3:] == 0).all()


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_squared_hinge__its_minimum_equals_scikit_learns(penalty: float) -> None:
    features, labels = blobs([30, 20, 10, 5])
    scaler = StandardScaler().fit(features)
    # liblinear punishes the bias too; a large constant feature makes that as good as free.
    oracle = LinearSVC(C=1 / (penalty * len(labels)), intercept_scaling=1e3, tol=1e-10, max_iter=200_000)
    expected = oracle.fit(scaler.transform(features), labels).decision_function(scaler.transform(features))
    inputs = torch.from_numpy(features)
    fitted = LinearScores.fit(inputs, torch.from_numpy(labels), 4, squared_hinge, penalty, Context())
    np.testing.assert_allclose(fitted(inputs).numpy(), expected, atol=5e-3)


def test_linear_svm__is_as_sure_as_it_is_right() -> None:
    """Two overlapping blobs: among held-out samples, the mean confidence is the accuracy."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 1_000)
    features = (rng.standard_normal((2_000, 4)) + 1.2 * labels[:, None] * np.array([1, 0, 0, 0])).astype(np.float32)
    found = cross_validated(features, labels, 2, CPU, learner=Learner("linear SVM", penalty=0.01)).probabilities
    confidence, predicted = found.max(dim=1)
    assert float(confidence.mean()) == pytest.approx((predicted.numpy() == labels).mean(), abs=0.02)


def dudani(distances: np.ndarray) -> np.ndarray:
    return np.stack([(row[-1] - row) / (row[-1] - row[0]) if row[-1] > row[0] else np.ones(len(row)) for row in distances])


def test_nearest_neighbours__equals_scikit_learn_leaving_one_out() -> None:
    features, labels = even_blobs([14, 9, 7])
    found = cross_validated(features, labels, 3, CPU, learner=Learner("nearest neighbours", neighbours=6))
    assert found.folds == 30
    for i in range(30):
        others = np.delete(np.arange(30), i)
        model = KNeighborsClassifier(6, weights=dudani, metric="cosine").fit(features[others], labels[others])
        share = model.predict_proba(features[[i]])[0]
        votes = dudani(np.sort(model.kneighbors(features[[i]])[0], axis=1)).sum()
        np.testing.assert_allclose(found.probabilities[i], (share * votes + 1 / 3) / (votes + 1), atol=1e-5)


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_voted__equals_a_loop(neighbours: int, num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, num_classes, (4, neighbours))
    distance = np.sort(rng.integers(0, 4, (4, neighbours)) / 4, axis=1)
    weights = dudani(distance)
    for row, found in enumerate(voted(classes, distance, num_classes).numpy()):
        votes = [sum(w for w, c in zip(weights[row], classes[row], strict=True) if c == k) for k in range(num_classes)]
        expected = [(vote + 1 / num_classes) / (sum(votes) + 1) for vote in votes]
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("counts", [[2, 2, 2, 2], [7, 3, 2], [50, 5, 2, 2, 2]])
def test_spread_over_folds__every_class_of_two_or_more_can_be_learnt(counts: list[int]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    fold_of = spread_over_folds(labels, 5, 1)
    sizes = np.bincount(fold_of, minlength=5)
    assert sizes.max() - sizes.min() <= 1
    for k in range(len(counts)):
        inside = np.bincount(fold_of[labels == k], minlength=5)
        assert inside.max() - inside.min() <= 1, "a class is not spread evenly"
