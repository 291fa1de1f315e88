"""Class overlap: the joint against cleanlab, planted overlaps, and what is not said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cleanlab.dataset import find_overlapping_classes

from analysis.class_overlap import class_overlap
from analysis.context import Context
from analysis.findings import Findings
from analysis.intervals import wilson
from analysis.overlap.class_mass import heaviest_pairs, mass, shares_of_partner
from analysis.overlap.class_neighbours import mixing
from data.distilled_set import DistilledSet, Provenance, numbered_classes
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels
from tests.analysis.made_sets import images_around, made_set
from tests.fixtures import fixture

CPU = torch.device("cpu")


def labelled(labels: np.ndarray, teacher: np.ndarray | SoftLabels) -> DistilledSet:
    """A set of labels only, with one teacher."""
    if isinstance(teacher, np.ndarray):
        teacher = DenseSoftLabels(torch.from_numpy(teacher), "probabilities")
    names = numbered_classes(teacher.num_classes)
    return DistilledSet("made", labels, names, Provenance(Path("made"), "made", "", ()), label_sources={"teacher": teacher})


def teacher_of(truth: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Distributions (N, C) that favour the true class, most of them clearly."""
    return 0.35 * rng.dirichlet(np.full(classes, 0.5), len(truth)) + 0.65 * np.eye(classes)[truth]


def planted(groups: tuple[tuple[int, ...], ...], classes: int = 8, each: int = 60, seed: int = 0, noise: float = 0.05):
    """A set whose labels within each of ``groups`` are dealt at random, with a share of labels wrong anyhow."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), each)
    labels = truth.copy()
    for members in groups:
        inside = np.isin(truth, members)
        labels[inside] = rng.choice(members, inside.sum())
    wrong = rng.random(len(labels)) < noise
    labels[wrong] = rng.integers(0, classes, wrong.sum())
    return labelled(labels, teacher_of(truth, classes, rng))


def run(made: DistilledSet, **parameters: object) -> Findings:
    return class_overlap(made, Context(), **{"embedding": "pixels", **parameters})


def pairs_with(findings: Findings, *proposals: str) -> set[tuple[int, int]]:
    table = findings.tables["pairs"]
    rows = table[table["proposal"].isin(proposals)]
    return set(zip(rows["class_a"].tolist(), rows["class_b"].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_class_overlap__proposes_what_was_planted_and_nothing_else(seed: int) -> None:
    findings = run(planted(((1, 4), (2, 5, 7)), seed=seed))
    expected = {(1, 4), (2, 5), (2, 7), (5, 7)}
    assert pairs_with(findings, "merge") == expected
    assert pairs_with(findings, "overlap") == set()
    groups = findings.tables["super-classes"]
    assert groups["class_ids"].tolist() == ["2, 5, 7", "1, 4"]
    assert findings.per_class["super_class"].tolist() == [-1, 1, 0, -1, 1, 0, -1, 0]
    assert findings.per_class.loc[[1, 4], "most_overlapping"].tolist() == ["class 4", "class 1"]
    assert set(findings.tables["order of the tree"]["class_id"]) == {1, 2, 4, 5, 7}


def test_class_overlap__false_proposals_stay_below_alpha() -> None:
    """Over 120 sets with evenly wrong labels, at most as many as ``alpha`` allows call any pair an overlap."""
    wrong = sum(bool(pairs_with(run(planted((), seed=s, each=30, noise=0.2)), "merge", "overlap")) for s in range(120))
    assert wilson(wrong, 120)[0] <= 0.05


def test_class_overlap__flags_samples_of_the_other_class() -> None:
    made = planted(((1, 4),), noise=0)
    findings = run(made)
    truth = np.repeat(np.arange(8), 60)
    swapped = truth != made.labels
    np.testing.assert_array_equal(findings.per_sample["flag"], swapped)
    given, teacher = made.labels, made.label_sources["teacher"].values.numpy()
    partner = np.select([given == 1, given == 4], [4, 1], -1)
    rows, inside = np.arange(len(given)), partner >= 0
    own, other = teacher[rows, given], teacher[rows, partner]
    np.testing.assert_allclose(findings.per_sample["score"], np.where(inside, own / (own + other), 1.0), atol=1e-6)


def equals_cleanlab(findings: Findings, labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    classes = probabilities.shape[1]
    expected = find_overlapping_classes(labels=labels, pred_probs=probabilities)
    found = findings.tables["pairs"]
    assert len(found) == len(expected) == classes * (classes - 1) // 2
    np.testing.assert_allclose(found["joint_probability"], expected["Joint Probability"], atol=1e-12)  # the ranking
    keys = ["Class Index A", "Class Index B"]
    both = found.merge(expected, left_on=["class_a", "class_b"], right_on=keys, validate="one_to_one")
    np.testing.assert_allclose(both["joint_probability"], both["Joint Probability"], atol=1e-12)
    assert ((found["joint_low"] <= found["joint_probability"]) & (found["joint_probability"] <= found["joint_high"])).all()
    return found


@pytest.mark.parametrize("seed", range(10))
def test_class_overlap__joint_equals_cleanlabs(seed: int) -> None:
    made = planted(((0, 1),), seed=seed, classes=5, noise=0.3)
    equals_cleanlab(run(made), made.labels, made.label_sources["teacher"].values.numpy())


def test_class_overlap__cats_and_dogs_lead_on_cifar() -> None:
    labels = np.load(fixture("label-errors", "cifar10_test_set_original_labels.npy"))
    probabilities = np.load(fixture("label-errors", "cifar10_test_set_pyx.npy"))
    findings = run(labelled(labels, probabilities))
    found = equals_cleanlab(findings, labels, probabilities)
    assert found.loc[0, ["class_a", "class_b"]].tolist() == [3, 5]
    assert found["mass_exchanged"].idxmax() == 0
    assert {(3, 5), (1, 9)} <= pairs_with(findings, "overlap")
    assert not len(findings.tables["super-classes"]), "they are two classes after all"
    merged = run(labelled(labels, probabilities), merge_at=0.05).tables["super-classes"]
    assert merged["class_ids"].tolist() == ["3, 5"]


def test_class_overlap__fours_and_nines_exchange_most_on_mnist() -> None:
    labels = np.load(fixture("label-errors", "mnist_test_set_original_labels.npy"))
    probabilities = np.load(fixture("label-errors", "mnist_test_set_pyx.npy"))
    findings = run(labelled(labels, probabilities))
    found = equals_cleanlab(findings, labels, probabilities)
    assert found.loc[found["mass_exchanged"].idxmax(), ["class_a", "class_b"]].tolist() == [4, 9]
    assert not pairs_with(findings, "overlap", "merge"), "10 samples in 10,000 prove nothing"


def test_class_overlap__too_few_samples_are_never_merged() -> None:
    findings = run(planted(((1, 4),), each=5), merge_at=0.01)
    assert set(findings.tables["pairs"]["proposal"]) == {"too few"}
    assert not len(findings.tables["super-classes"]) and findings.per_sample["score"].isna().all()
    assert all(figure.value is None and "too few" in figure.basis for figure in findings.summary)
    assert any("Too few" in caveat for caveat in findings.caveats)


def test_class_overlap__predictions_that_know_nothing_propose_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    findings = run(labelled(labels, rng.dirichlet(np.ones(4), 200)))
    assert not pairs_with(findings, "merge", "overlap") and not findings.matrices
    assert findings.summary[0].value is None and "chance" in findings.summary[0].basis


def test_class_overlap__two_classes_have_no_other_pair_to_compare_with() -> None:
    findings = run(planted((), classes=2))
    assert "no other pair" in findings.summary[0].basis and not pairs_with(findings, "merge", "overlap")


def test_class_overlap__many_classes_without_a_table_of_all_pairs() -> None:
    """3,000 classes, top-5 labels: 9 million pairs, of which only those met are held."""
    classes = 3000
    labels = np.repeat(np.arange(classes), 12)
    truth = labels.copy()
    swapped = np.isin(labels, (10, 2000)) & (np.arange(len(labels)) % 2 == 0)
    labels[swapped] = 2010 - labels[swapped]
    indices = (truth[:, None] + np.array([0, 7, 31, 100, 999])) % classes
    values = torch.from_numpy(np.broadcast_to([0.7, 0.1, 0.08, 0.07, 0.05], indices.shape).copy()).float()
    teacher = TopKSoftLabels(values, torch.from_numpy(indices), classes, "probabilities")
    made = labelled(labels, teacher)
    findings = run(made, pairs=50)
    assert pairs_with(findings, "merge") == {(10, 2000)} and len(findings.tables["pairs"]) == 50
    assert not findings.matrices and any("left out" in caveat for caveat in findings.caveats)


def mixed_images(together: bool) -> DistilledSet:
    """Three classes of 40 images; the first two around one and the same image, or each around its own."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    prototypes = rng.uniform(0.2, 0.8, (3, 3, 8, 8))
    if together:
        prototypes[1] = prototypes[0]
    return replace(made_set((40, 40, 40)), labels=labels, images=images_around(prototypes, labels, 0.1, rng))


def test_mixing__of_one_class_under_two_names_is_as_expected_of_one() -> None:
    a, b = np.array([0, 0]), np.array([1, 2])
    near = mixing(mixed_images(together=True), "pixels", 5, Context())
    across, expected = near.across(a, b), near.expected(a, b)
    assert across.low[0] < expected[0] < across.high[0] and across.high[1] < expected[1]
    apart = mixing(mixed_images(together=False), "pixels", 5, Context()).across(a, b)
    assert apart.value.tolist() == [0, 0]


def test_mixing__expected_share_is_that_of_random_labels() -> None:
    """Labels permuted among two classes of 30 and 10, the neighbours as they are."""
    made = made_set((30, 10), teachers=0)
    same = images_around(np.full((1, 3, 8, 8), 0.5), np.zeros(40, np.int64), 0.1, np.random.default_rng(0))
    made = replace(made, images=same)
    pair = (np.array([0]), np.array([1]))
    rng = np.random.default_rng(0)
    permuted = [replace(made, labels=rng.permutation(made.labels)) for _ in range(200)]
    shares = [mixing(each, "pixels", 4, Context()).across(*pair).value[0] for each in permuted]
    error = np.std(shares) / np.sqrt(len(shares))
    assert mixing(made, "pixels", 4, Context()).expected(*pair)[0] == pytest.approx(np.mean(shares), abs=4 * error)


def test_class_overlap__neighbours_are_in_the_table_where_images_are() -> None:
    table = run(mixed_images(together=True)).tables["pairs"]
    assert table["neighbours_n"].tolist() == [80, 80, 80]
    assert "neighbours_n" not in run(mixed_images(together=True), neighbours=0).tables["pairs"]


def test_mass__sums_by_given_class_dense_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels, teacher = rng.integers(0, 6, 300), rng.dirichlet(np.ones(6), 300).astype(np.float32)
    expected = np.stack([teacher[labels == c].sum(axis=0) for c in range(6)])
    source = DenseSoftLabels(torch.from_numpy(teacher), "probabilities")
    np.testing.assert_allclose(mass(labels, source, CPU, Context()).toarray(), expected, rtol=1e-5)
    monkeypatch.setattr("analysis.overlap.class_mass.MOST_CLASSES_IN_A_MATRIX", 5)
    monkeypatch.setattr("analysis.overlap.class_mass.ENTRIES_AT_ONCE", 500)
    monkeypatch.setattr("analysis.label_sources.VALUES_A_CHUNK", 240)
    found = mass(labels, source, CPU, Context())
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)
    both = np.triu(expected + expected.T, k=1)
    best = np.dstack(np.unravel_index(np.argsort(-both, axis=None)[:4], both.shape))[0]
    assert heaviest_pairs(found, 4).tolist() == best.tolist()


def test_shares_of_partner__without_any_partner_reads_nothing() -> None:
    source = DenseSoftLabels(torch.full((2, 2), torch.nan), "probabilities")
    assert shares_of_partner(np.array([0, 1]), np.array([-1, -1]), source, CPU, Context()).tolist() == [0, 0]
