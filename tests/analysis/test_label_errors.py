"""The analysis of label errors: what it hands on, and what it refuses to say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

import analysis
import data
from analysis.findings import Figure, Findings
from analysis.judging.judgement import Rules
from analysis.probes.label_evidence import MADE_TOGETHER
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set
from tests.fixtures import fixture


def with_flips(made: DistilledSet, flips: dict[int, int]) -> DistilledSet:
    labels = made.labels.copy()
    labels[list(flips)] = list(flips.values())
    return replace(made, labels=labels)


def with_teacher(made: DistilledSet, probabilities: np.ndarray) -> DistilledSet:
    return replace(made, label_sources={"teacher": DenseSoftLabels(torch.from_numpy(probabilities), "probabilities")})


def run(made: DistilledSet, **parameters: object) -> Findings:
    return analysis.run("label_errors", made, **{"embedding": "pixels", **parameters})


def unsure_teacher(labels: np.ndarray, classes: int, weight: float, seed: int = 0) -> np.ndarray:
    """Random distributions (N, C) mixed with the labels, which get ``weight``."""
    random = np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), len(labels))
    return (1 - weight) * random + weight * np.eye(classes)[labels]


def figure(findings: Findings, label: str) -> Figure:
    return next(figure for figure in findings.summary if figure.label == label)


@pytest.mark.parametrize("probabilities_from", ["automatic", "reference", "probe"])
def test_label_errors__finds_what_was_flipped(probabilities_from: str) -> None:
    flips = {3: 1, 17: 2, 30: 0}
    findings = run(with_flips(made_set((12, 12, 12)), flips), probabilities_from=probabilities_from)
    assert np.flatnonzero(findings.per_sample["flag"]).tolist() == list(flips)
    rows = findings.per_sample.loc[list(flips)]
    assert rows["suggested_label"].tolist() == [0, 1, 2]
    assert rows["given_label"].tolist() == list(flips.values())
    assert findings.per_sample["score"].nsmallest(3).index.isin(flips).all()
    assert (rows["margin"] < 0).all() and (rows["p_suggested"] > rows["p_given"]).all()
    assert findings.per_class["flagged"].tolist() == [1, 1, 1]
    assert figure(findings, "Flagged labels").value == 3


def test_label_errors__given_soft_labels_cannot_contradict_themselves() -> None:
    made = made_set((12, 12, 12))
    assert any("cannot contradict" in caveat for caveat in run(made).caveats)
    told = run(made, probabilities_from="label source")
    assert any("find nothing" in caveat for caveat in told.caveats)
    assert not told.per_sample["flag"].any()


@pytest.mark.parametrize("ranking", ["self_confidence", "normalized_margin", "confidence_weighted_entropy"])
@pytest.mark.parametrize("filter_by", ["prune_by_noise_rate", "both", "low_self_confidence"])
def test_label_errors__equals_cleanlab_on_a_label_source(filter_by: str, ranking: str) -> None:
    made = made_set((12, 12, 12))
    made = with_teacher(made, unsure_teacher(made.labels, 3, 0.3))
    given = made.label_sources["teacher"].probabilities(range(36)).numpy()
    findings = run(made, source="teacher", filter_by=filter_by, ranking=ranking, min_per_class=1, thresholds="exact")
    expected = find_label_issues(made.labels, given, filter_by=filter_by, n_jobs=1)
    assert expected.any()
    np.testing.assert_array_equal(findings.per_sample["flag"], expected)
    scores = get_label_quality_scores(made.labels, given, method=ranking)
    np.testing.assert_allclose(findings.per_sample["score"], scores, atol=1e-6)


def test_label_errors__per_class_rates_by_hand() -> None:
    sure, other = [0.9, 0.1], [0.2, 0.8]
    made = with_teacher(made_set((6, 6)), np.array([sure] * 4 + [other] * 2 + [[0.1, 0.9]] * 6))
    table = run(made, source="teacher").per_class
    assert table["mean_self_confidence"].to_numpy() == pytest.approx([4 / 6 * 0.9 + 2 / 6 * 0.2, 0.9])
    assert table["confident"].tolist() == [4, 6], "0.8 is below the 0.9 that class 1 sets itself"
    assert table["noise_rate"].tolist() == [0, 0]
    assert table["noise_high"][0] > table["noise_high"][1] > 0, "fewer samples, wider interval"


def test_label_errors__few_images_in_a_class_get_no_flags_by_their_own_threshold() -> None:
    made = with_flips(made_set((12, 12, 3)), {24: 0, 25: 0, 2: 2})
    findings = run(made, min_per_class=3, probabilities_from="probe", thresholds="exact")
    small = findings.per_sample["given_label"] == 2
    assert small.sum() == 2
    assert not findings.per_sample.loc[small, "flag"].any()
    assert findings.per_sample.loc[small, "score"].notna().all(), "withholding a flag keeps the score"
    assert np.isnan(findings.per_class["noise_rate"][2])
    assert any(caveat.startswith("1 of 3 classes have fewer than 3 images") for caveat in findings.caveats)
    shrunk = run(made, min_per_class=3, probabilities_from="probe")
    assert np.isnan(shrunk.per_class["noise_rate"][2]), "two images tell no rate, whatever the threshold"


def test_label_errors__the_only_image_of_its_class_has_no_score() -> None:
    findings = run(made_set((8, 1, 8), reference=False))
    assert np.isnan(findings.per_sample["score"][8]) and not findings.per_sample["flag"][8]
    assert findings.per_sample["suggested_label"][8] == -1
    assert findings.per_sample["score"].notna().sum() == 16
    assert any(caveat.startswith("1 of 17 images have no score") for caveat in findings.caveats)


def test_label_errors__a_reference_judges_the_only_image_of_its_class() -> None:
    findings = run(made_set((8, 1, 8)))
    assert findings.per_sample["score"].notna().all()
    assert not any("cross-validated" in figure.basis for figure in findings.summary)


def test_label_errors__classes_the_reference_lacks_have_no_score() -> None:
    made = made_set((6, 6, 6))
    known = np.flatnonzero(made.reference.labels != 1)
    images = replace(made.reference.images, store=made.reference.images.store.take(known))
    findings = run(replace(made, reference=Reference(images, made.reference.labels[known])))
    np.testing.assert_array_equal(findings.per_sample["score"].isna(), made.labels == 1)


def test_label_errors__a_reference_that_is_not_there() -> None:
    with pytest.raises(ImpossibleRequest, match="no reference images"):
        run(made_set((4, 4), reference=False), probabilities_from="reference")


def test_label_errors__one_image_a_class_says_what_to_do() -> None:
    with pytest.raises(ImpossibleRequest, match="choose a label source"):
        run(made_set((1, 1, 1), reference=False))
    findings = run(made_set((1,), num_classes=12), source="teacher 1")
    assert not findings.per_sample["flag"].any()
    assert figure(findings, "Confidently of another class").value is None, "no class is large enough"


def test_label_errors__neither_images_nor_soft_labels() -> None:
    with pytest.raises(ImpossibleRequest, match="no images"):
        run(replace(made_set((4, 4)), images=None, label_sources={}))
    with pytest.raises(ImpossibleRequest, match="no images"):
        run(replace(made_set((4, 4)), images=None), probabilities_from="probe")
    assert len(run(replace(made_set((4, 4)), images=None)).per_sample) == 8


def test_label_errors__weak_predictions_are_said_to_be_weak() -> None:
    made = made_set((12,), num_classes=12)
    made = with_teacher(made, unsure_teacher(made.labels, 12, 0.16))
    findings = run(made, source="teacher")
    assert 0.2 < figure(findings, "Predictions that agree with the given label").value < 0.5
    assert any("most flags will be its errors" in caveat for caveat in findings.caveats)


def test_label_errors__predictions_no_better_than_chance_say_nothing() -> None:
    made = made_set((12, 12, 12))
    findings = run(with_teacher(made, unsure_teacher(made.labels, 3, 0.0)), source="teacher")
    assert not findings.per_sample["flag"].any() and findings.per_sample["score"].isna().all()
    assert findings.per_class["noise_rate"].isna().all() and not findings.matrices
    assert figure(findings, "Flagged labels").value is None
    assert any("nothing is said about any label" in caveat for caveat in findings.caveats)


@pytest.mark.parametrize("method", ["DC", "DM", "DSA"])
def test_label_errors__published_sets_defy_a_probe_on_their_pixels(method: str) -> None:
    """Their images complement each other, so that what is left of a class points away from the one held out."""
    grid = next(fixture("distilled").glob(f"vis_{method}_CIFAR10_*.png"))
    findings = run(data.open_set(grid))
    assert figure(findings, "Predictions that agree with the given label").value < 0.1
    assert not findings.per_sample["flag"].any()
    assert MADE_TOGETHER in findings.caveats


def test_label_errors__unknown_source_names_those_there_are() -> None:
    with pytest.raises(ImpossibleRequest, match="given, teacher 0, teacher 1"):
        run(made_set((4, 4)), source="teacher 9")


def test_label_errors__joint_counts_every_sample_once() -> None:
    labels = np.load(fixture("label-errors", "cifar10_test_set_original_labels.npy")).astype(np.int64)
    made = made_set((1000,), num_classes=10, size=1, reference=False, teachers=0)
    order = np.argsort(labels, kind="stable")
    made = with_teacher(made, np.load(fixture("label-errors", "cifar10_test_set_pyx.npy"))[order])
    findings = run(made, source="teacher")
    matrix = findings.matrices["confident joint"]
    np.testing.assert_array_equal(matrix.values.sum(axis=1), 1000)
    estimate = figure(findings, "Confidently of another class")
    assert estimate.low < 1 - np.trace(matrix.values) / 10_000 < estimate.high


def permuted(classes: int, ipc: int, wrong: dict[int, int]) -> DistilledSet:
    """``ipc`` images a class whose teacher is almost sure of the true class; ``wrong`` labels by sample."""
    made = made_set((ipc,), num_classes=classes, size=1, reference=False, teachers=0)
    sure = np.where(np.eye(classes, dtype=bool)[made.labels], 0.999, 0.001 / (classes - 1))
    return with_flips(with_teacher(made, sure), wrong)


@pytest.mark.parametrize("ipc", [1, 2, 4])
def test_label_errors__flags_in_classes_of_a_few_images(ipc: int) -> None:
    findings = run(permuted(20, ipc, {3: 7, 11: 0}), source="teacher", min_per_class=6)
    assert np.flatnonzero(findings.per_sample["flag"]).tolist() == [3, 11]
    table = findings.per_sample
    assert set(table.loc[[3, 11], "verdict"]) <= {"surely wrong", "maybe wrong"}
    assert (table["score_low"] <= table["score"]).all() and (table["score"] <= table["score_high"]).all()
    assert findings.per_class["noise_rate"].isna().all(), "a rate needs more images than a flag"
    assert any("lean on the pooled one" in caveat and "cleanlab" in caveat for caveat in findings.caveats)
    rate = figure(findings, "Wrong labels, by the model of small classes")
    assert rate.low < 2 / (20 * ipc) < rate.high


def test_label_errors__automatic_thresholds_are_exact_in_large_classes() -> None:
    for ipc, exact in ((99, False), (100, True)):
        made = made_set((ipc, ipc, ipc), size=1, reference=False, teachers=0)
        made = with_teacher(made, unsure_teacher(made.labels, 3, 0.3))
        findings = run(made, source="teacher")
        expected = find_label_issues(made.labels, made.label_sources["teacher"].probabilities(range(3 * ipc)).numpy())
        assert np.array_equal(findings.per_sample["flag"], expected) == exact
        assert any("as in cleanlab" in caveat for caveat in findings.caveats) == exact
        assert ("verdict" in findings.per_sample) != exact


def test_label_errors__what_only_exact_thresholds_have() -> None:
    made = permuted(5, 6, {3: 1})
    for asked in ({"filter_by": "both"}, {"ranking": "normalized_margin"}, {"backend": "cleanlab"}):
        with pytest.raises(ImpossibleRequest, match="take thresholds 'exact'"):
            run(made, source="teacher", thresholds="shrunk", **asked)
        automatic, exact = (run(made, source="teacher", thresholds=used, **asked) for used in ("automatic", "exact"))
        np.testing.assert_array_equal(automatic.per_sample["score"], exact.per_sample["score"])
        assert "verdict" not in automatic.per_sample


def test_label_errors__always_naming_the_largest_class_knows_nothing() -> None:
    made = made_set((40, 5, 5), size=1, reference=False, teachers=0)
    findings = run(with_teacher(made, np.tile([0.98, 0.01, 0.01], (50, 1))), source="teacher")
    assert not findings.per_sample["flag"].any() and findings.per_sample["score"].isna().all()


def test_shrinks__only_where_classes_are_small_and_the_set_is_not_huge() -> None:
    asked = Rules("automatic", "automatic", "automatic", "stillroom", 5, 0)
    assert asked.shrinks(np.array([99, 5000, 0])) and not asked.shrinks(np.array([100, 5000, 0]))
    assert not asked.shrinks(np.array([99, 200_000]))
    assert Rules("shrunk", "automatic", "automatic", "stillroom", 5, 0).shrinks(np.array([99, 200_000]))
