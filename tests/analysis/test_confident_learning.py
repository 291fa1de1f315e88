"""Confident learning, against cleanlab itself."""

import json
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import confident_learning, label_sources
from analysis.confident_learning import FILTERS, RANKINGS, ConfidentLearning, find_issues, learn, quality_scores
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, Ids, SoftLabels, as_index
from tests.fixtures import fixture

CPU = torch.device("cpu")
HAND_MADE = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])


@dataclass(frozen=True, eq=False)
class AsTheyAre(SoftLabels):
    """Probabilities in their own dtype, neither normalised nor cast, so that both sides read the same numbers."""

    values: np.ndarray

    kind = "probabilities"

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        return self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dtype(self) -> torch.dtype:
        return self.stored([]).dtype

    def stored(self, ids: Ids) -> torch.Tensor:
        return torch.from_numpy(self.values)[as_index(ids)]

    def take(self, ids: Ids) -> "AsTheyAre":
        return AsTheyAre(self.values[np.asarray(ids)])

    def probabilities(self, ids: Ids, temperature: float = 1.0) -> torch.Tensor:
        return self.stored(ids)


def ours(labels: np.ndarray, probabilities: np.ndarray) -> ConfidentLearning:
    return learn(labels, AsTheyAre(probabilities), CPU)


def assert_equals_cleanlab(labels: np.ndarray, probabilities: np.ndarray, fewest: int = 1) -> None:
    learned = ours(labels, probabilities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(learned.thresholds, get_confident_thresholds(labels, probabilities))
        np.testing.assert_array_equal(learned.joint.toarray(), compute_confident_joint(labels, probabilities))
        for filter_by in FILTERS:
            expected = find_label_issues(labels, probabilities, filter_by=filter_by, min_examples_per_class=fewest, n_jobs=1)
            found = find_issues(learned, filter_by, fewest)
            np.testing.assert_array_equal(found, expected, err_msg=filter_by)
        for ranking in RANKINGS:
            expected = get_label_quality_scores(labels, probabilities, method=ranking)
            np.testing.assert_allclose(quality_scores(learned, ranking), expected, rtol=2e-5, atol=1e-6, err_msg=ranking)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_learn__equals_cleanlab_on_real_test_sets(name: str, dtype: type) -> None:
    labels = np.load(fixture("label-errors", f"{name}_test_set_original_labels.npy")).astype(np.int64)
    probabilities = np.load(fixture("label-errors", f"{name}_test_set_pyx.npy")).astype(dtype)
    assert_equals_cleanlab(labels, probabilities)


@pytest.mark.parametrize(("name", "verified"), [("mnist", 15), ("cifar10", 54)])
def test_find_issues__people_agree_more_often_than_by_chance(name: str, verified: int) -> None:
    """People were only asked about samples that confident learning had picked, so the ranking among those counts too."""
    labels = np.load(fixture("label-errors", f"{name}_test_set_original_labels.npy")).astype(np.int64)
    learned = ours(labels, np.load(fixture("label-errors", f"{name}_test_set_pyx.npy")))
    verdicts = json.loads(fixture("label-errors", f"{name}_mturk.json").read_text())
    errors = np.array([item["id"] for item in verdicts if item["mturk"]["given"] < 3])
    assert len(errors) == verified
    flagged = find_issues(learned)
    assert flagged[errors].mean() > 20 * flagged.mean(), "verified errors are flagged no more often than other samples"
    upheld = np.array([item["id"] for item in verdicts if item["mturk"]["given"] >= 3])
    score = quality_scores(learned, "self_confidence")
    below = (score[errors][:, None] < score[upheld][None]).mean()
    assert below > 0.55, "verified errors do not rank below labels that people upheld"


@st.composite
def label_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels and probabilities with ties, missing classes, long tails, classes of one, and rows of all kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, n = draw(st.integers(2, 9)), draw(st.integers(4, 120))
    weights = rng.dirichlet(np.full(classes, draw(st.sampled_from([0.2, 1.0, 50.0]))))
    truth = rng.choice(classes, n, p=weights)
    truth[:2] = [0, classes - 1]
    logits = draw(st.sampled_from([0.0, 2.0, 5.0])) * np.eye(classes)[truth] + rng.standard_normal((n, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    decimals = draw(st.sampled_from([1, 2, 16]))
    labels = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.2, 0.6])), rng.integers(0, classes, n), truth)
    labels[:2] = [0, classes - 1]
    rounded = np.clip(probabilities.round(decimals), 0, 1).astype(draw(st.sampled_from([np.float32, np.float64])))
    return labels.astype(np.int64), rounded, draw(st.sampled_from([0, 1, 1, 3, 10]))


@settings(max_examples=120, deadline=None)
@given(label_sets())
def test_learn__equals_cleanlab_on_anything(made: tuple[np.ndarray, np.ndarray, int]) -> None:
    assert_equals_cleanlab(*made)


@pytest.mark.parametrize("chunk", [7, 64])
def test_learn__chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    labels, probabilities = rng.integers(0, 40, 600), rng.dirichlet(np.full(40, 0.1), 600).astype(np.float32).round(3)
    monkeypatch.setattr(confident_learning, "_VALUES_A_GATHER", chunk)
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", chunk)
    monkeypatch.setattr(confident_learning, "_VALUES_A_SUM", 256)
    assert_equals_cleanlab(labels, probabilities)


def test_learn__one_image_a_class() -> None:
    labels, probabilities = np.arange(20), np.random.default_rng(0).dirichlet(np.ones(20), 20)
    assert_equals_cleanlab(labels, probabilities)
    learned = ours(labels, probabilities)
    assert not find_issues(learned).any(), "nothing can be pruned from a class of one"


def test_learn__many_classes_and_few_samples() -> None:
    rng = np.random.default_rng(1)
    assert_equals_cleanlab(rng.integers(0, 300, 900), rng.dirichlet(np.full(300, 0.02), 900).round(2).astype(np.float32))


def test_learn__a_threshold_is_reached_within_a_millionth() -> None:
    """The mean of equal numbers may round above each of them; they still reach it."""
    probabilities = np.full((6, 3), 0.1)
    probabilities[:3, 0] = probabilities[3:, 2] = 0.8
    labels = np.array([1, 1, 1, 2, 2, 2])
    assert ours(labels, probabilities).thresholds[1] > 0.1
    assert_equals_cleanlab(labels, probabilities)
    assert (ours(labels, probabilities).confident_label == [1, 1, 1, 2, 2, 2]).all()


@pytest.mark.parametrize("size", [1, 7, 200, 5_003, 20_011, 70_001, 99_999])
def test_sum_as_dense__is_numpys_sum_to_the_last_bit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confident_learning, "_VALUES_A_SUM", 1024)
    rng = np.random.default_rng(size)
    dense = np.where(rng.random(size) < 0.3, rng.random(size), 0.0)
    positions = rng.permutation(np.flatnonzero(dense))
    assert confident_learning._sum_as_dense(positions, dense[positions], size) == dense.sum()


def test_learn__by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    learned = ours(labels, HAND_MADE)
    np.testing.assert_allclose(learned.thresholds, [(0.9 + 0.2 + 0.6) / 3, (0.1 + 0.8) / 2, 0.4])
    np.testing.assert_array_equal(learned.confident_label, [0, 1, 0, 0, 1, 2])
    np.testing.assert_array_equal(learned.counts.toarray(), [[2, 1, 0], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(np.flatnonzero(find_issues(learned)), [1, 3])


def test_learn__soft_labels_as_stored() -> None:
    """The whole way from logits: cleanlab gets what ``probabilities`` returns."""
    rng = np.random.default_rng(2)
    soft = DenseSoftLabels(torch.from_numpy(rng.normal(0, 2, (200, 6))), "logits")
    labels = rng.integers(0, 6, 200)
    found = find_issues(learn(labels, soft, CPU))
    np.testing.assert_array_equal(found, find_label_issues(labels, soft.probabilities(range(200)).numpy(), n_jobs=1))


@pytest.mark.parametrize("bad", [np.nan, -0.5, 1.5])
def test_learn__says_which_row_is_no_distribution(bad: float) -> None:
    probabilities = HAND_MADE.copy()
    probabilities[4, 1] = bad
    with pytest.raises(ImpossibleRequest, match="sample 4"):
        ours(np.array([0, 0, 0, 1, 1, 2]), probabilities)


def test_learn__only_one_class_was_given() -> None:
    """cleanlab refuses this; there is nothing to compare with, so nothing is flagged unless it is surely another class."""
    learned = ours(np.zeros(6, dtype=np.int64), HAND_MADE)
    assert learned.joint.toarray()[0, 0] == 6
    assert not find_issues(learned).any()
