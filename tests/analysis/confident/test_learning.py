"""Confident learning, against cleanlab itself."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanlab.count import compute_confident_joint, estimate_latent, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import label_sources
from analysis.confident import joint as confident_joint
from analysis.confident import pruning as confident_pruning
from analysis.confident.learning import FILTERS, RANKINGS, ConfidentLearning, find_issues, learn, quality_scores
from analysis.context import Cancelled, Context
from data.errors import ImpossibleRequest
from data.formats.array_files import as_tensor, read_npy
from data.soft_labels import DenseSoftLabels, Ids, SoftLabels, TopKSoftLabels, as_index
from tests.fixtures import fixture

CPU = torch.device("cpu")
HAND_MADE = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])


@dataclass(frozen=True, eq=False)
class AsTheyAre(SoftLabels):
    """A source that is no matrix: read by ids, one block after the other, and given by ``probabilities`` alone."""

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
    return learn(labels, DenseSoftLabels(torch.from_numpy(probabilities), "probabilities"), CPU)


def assert_equals_cleanlab(
    labels: np.ndarray, probabilities: np.ndarray, fewest: int = 1, source: SoftLabels | None = None
) -> None:
    """Of ``source`` where one is given, which says the same as ``probabilities``."""
    learned = ours(labels, probabilities) if source is None else learn(labels, source, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(learned.thresholds, get_confident_thresholds(labels, probabilities))
        joint = compute_confident_joint(labels, probabilities)
        np.testing.assert_array_equal(learned.joint.toarray(), joint)
        prior, matrix, inverse = estimate_latent(joint, labels)
        noise = learned.noise
        for mine, theirs in ((noise.prior, prior), (noise.matrix, matrix), (noise.inverse, inverse)):
            np.testing.assert_allclose(mine, theirs, rtol=1e-12)
        for filter_by in FILTERS:
            expected = find_label_issues(labels, probabilities, filter_by=filter_by, min_examples_per_class=fewest, n_jobs=1)
            found = find_issues(learned, filter_by, fewest)
            np.testing.assert_array_equal(found, expected, err_msg=filter_by)
        half = probabilities.dtype == np.float16
        for ranking in RANKINGS:
            expected = get_label_quality_scores(labels, probabilities, method=ranking)
            # cleanlab adds up entropies in half precision then, ours in single.
            rtol, atol = (0.05, 0.01) if half and ranking == "confidence_weighted_entropy" else (2e-5, 1e-6)
            np.testing.assert_allclose(quality_scores(learned, ranking), expected, rtol=rtol, atol=atol, err_msg=ranking)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
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
    classes, n = draw(st.integers(2, 9)), draw(st.integers(4, 160))
    weights = rng.dirichlet(np.full(classes, draw(st.sampled_from([0.05, 0.2, 1.0, 50.0]))))
    truth = rng.choice(classes, n, p=weights)
    truth[:2] = [0, classes - 1]
    logits = draw(st.sampled_from([0.0, 2.0, 5.0])) * np.eye(classes)[truth] + rng.standard_normal((n, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    decimals = draw(st.sampled_from([1, 2, 3, 16]))
    labels = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.2, 0.6])), rng.integers(0, classes, n), truth)
    labels[:2] = [0, classes - 1]
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    rounded = np.clip(probabilities.round(decimals), 0, 1).astype(dtype)
    return labels.astype(np.int64), rounded, draw(st.sampled_from([0, 1, 1, 3, 10]))


@settings(max_examples=100, deadline=None)
@given(label_sets())
def test_learn__equals_cleanlab_on_anything(made: tuple[np.ndarray, np.ndarray, int]) -> None:
    assert_equals_cleanlab(*made)


@settings(max_examples=20, deadline=None)
@given(label_sets())
def test_learn__equals_cleanlab_on_sources_that_are_no_matrix(made: tuple[np.ndarray, np.ndarray, int]) -> None:
    labels, probabilities, fewest = made
    wide = probabilities.astype(np.promote_types(probabilities.dtype, np.float32))
    assert_equals_cleanlab(labels, wide, fewest, AsTheyAre(wide))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_learn__equals_cleanlab_on_a_memory_mapped_file(dtype: type, order: str, tmp_path: Path) -> None:
    labels, probabilities = noisy_predictions(3_000, 30)
    np.save(tmp_path / "p.npy", np.asarray(probabilities.astype(dtype), order=order))
    mapped = read_npy(tmp_path / "p.npy")
    assert isinstance(mapped, np.memmap)
    assert_equals_cleanlab(labels, mapped, source=DenseSoftLabels(as_tensor(mapped, "p.npy"), "probabilities"))
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), probabilities.astype(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_learn__equals_cleanlab_on_the_largest_of_each_row(dtype: torch.dtype) -> None:
    """Of top-k labels cleanlab gets the matrix that they stand for."""
    labels, probabilities = noisy_predictions(3_000, 30)
    values, indices = torch.from_numpy(probabilities).topk(5)
    source = TopKSoftLabels(values.to(dtype), indices, 30, "probabilities")
    assert_equals_cleanlab(labels, source.probabilities(range(3_000)).numpy(), source=source)


@pytest.mark.parametrize("share", [0.9, 0.999])
def test_learn__equals_cleanlab_where_one_class_has_nearly_all(share: float) -> None:
    rng = np.random.default_rng(11)
    labels, probabilities = noisy_predictions(5_000, 12)
    labels = np.where(rng.random(5_000) < share, 7, labels)
    assert_equals_cleanlab(labels, probabilities.astype(np.float32))


def noisy_predictions(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a fifth are wrong, and an unsure model's probabilities, float64 (n, classes)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = rng.standard_normal((n, classes)) + rng.normal(3, 2, (n, 1)) * np.eye(classes)[truth]
    labels = np.where(rng.random(n) < 0.2, rng.integers(0, classes, n), truth)
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("chunk", [7, 64])
def test_learn__chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    labels, probabilities = rng.integers(0, 40, 600), rng.dirichlet(np.full(40, 0.1), 600).astype(np.float32).round(3)
    monkeypatch.setattr(confident_pruning, "_VALUES_A_TABLE", chunk)
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", chunk)
    monkeypatch.setattr(confident_joint, "_VALUES_A_SUM", 256)
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
    monkeypatch.setattr(confident_joint, "_VALUES_A_SUM", 1024)
    rng = np.random.default_rng(size)
    dense = np.where(rng.random(size) < 0.3, rng.random(size), 0.0)
    positions = rng.permutation(np.flatnonzero(dense))
    assert confident_joint._sum_as_dense(positions, dense[positions], size) == dense.sum()


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


def test_learn__a_cancelled_run_leaves_torch_as_it_was() -> None:
    def cancel(fraction: float, message: str) -> None:
        raise Cancelled

    threads = torch.get_num_threads()
    labels, probabilities = noisy_predictions(500, 5)
    with pytest.raises(Cancelled):
        learn(labels, DenseSoftLabels(torch.from_numpy(probabilities), "probabilities"), CPU, Context(report=cancel))
    assert torch.get_num_threads() == threads


def test_learn__input_is_never_written_into() -> None:
    labels, probabilities = noisy_predictions(500, 5)
    before = probabilities.copy()
    find_issues(ours(labels, probabilities), "both")
    np.testing.assert_array_equal(probabilities, before)
