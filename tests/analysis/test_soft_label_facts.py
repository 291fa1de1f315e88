"""Soft-label facts, against SciPy and loops over rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, entropy

import analysis
from analysis import label_sources
from analysis.findings import Figure, Findings
from data.distilled_set import DistilledSet, Provenance, numbered_classes
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels
from tests.analysis.made_sets import made_set

CLASSES, N = 6, 40


def labelled(**sources: SoftLabels) -> DistilledSet:
    labels = np.arange(N) % (CLASSES - 1)
    return DistilledSet(
        "made", labels, numbered_classes(CLASSES), Provenance(Path("made"), "made", "", ()), label_sources=sources
    )


def logits(seed: int = 0, dtype: torch.dtype = torch.float32) -> DenseSoftLabels:
    return DenseSoftLabels(torch.from_numpy(np.random.default_rng(seed).normal(0, 2, (N, CLASSES))).to(dtype), "logits")


def rows_of(made: DistilledSet, name: str = "given", temperature: float = 1.0) -> np.ndarray:
    return made.label_sources[name].probabilities(range(len(made)), temperature).double().numpy()


def figure(findings: Findings, label: str) -> Figure:
    return next(figure for figure in findings.summary if figure.label == label)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_labels__per_sample_equals_a_loop(temperature: float) -> None:
    made = labelled(given=logits())
    table = analysis.run("soft_labels", made, k=2, temperature=temperature).per_sample
    for row, label, (_, facts) in zip(rows_of(made, "given", temperature), made.labels, table.iterrows(), strict=True):
        rest = np.delete(row, row.argmax())
        assert facts["entropy"] == pytest.approx(entropy(row), abs=1e-5)
        assert facts["effective_classes"] == pytest.approx(np.exp(entropy(row)), rel=1e-5)
        assert facts["top_k_mass"] == pytest.approx(np.sort(row)[-2:].sum(), abs=1e-6)
        assert facts["evenness"] == pytest.approx(entropy(rest) / np.log(CLASSES - 1), abs=1e-5)
        assert facts["score"] == pytest.approx(row[label], abs=1e-6)
        assert facts["flag"] == (row.argmax() != label)
        assert facts["top_label"] == row.argmax()


def test_soft_labels__figures_equal_their_definitions() -> None:
    made = labelled(given=logits())
    rows, findings = rows_of(made), analysis.run("soft_labels", made)
    agreeing = int((rows.argmax(axis=1) == made.labels).sum())
    agreement = figure(findings, "Agreement with the hard labels")
    expected = binomtest(agreeing, N).proportion_ci(method="wilson")
    assert (agreement.value, agreement.low, agreement.high) == pytest.approx((agreeing / N, expected.low, expected.high))
    assert figure(findings, "Mean entropy").value == pytest.approx(entropy(rows, axis=1).mean(), abs=1e-5)
    assert figure(findings, "Entropy over its most").value == pytest.approx(
        entropy(rows, base=CLASSES, axis=1).mean(), abs=1e-5
    )


def test_soft_labels__class_structure_equals_a_loop() -> None:
    made = labelled(given=logits())
    rows, findings = rows_of(made), analysis.run("soft_labels", made)
    structure = findings.matrices["class structure"].values
    for i in range(CLASSES):
        assert np.isnan(structure[i, i])
        for j in set(range(CLASSES)) - {i}:
            expected = rows[made.labels == i, j].mean() if i < CLASSES - 1 else np.nan
            assert structure[i, j] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    second = findings.per_class["second_guess"]
    assert second[0] == made.class_names[1 + rows[made.labels == 0][:, 1:].mean(axis=0).argmax()]
    assert second[CLASSES - 1] == "", "a class without samples guesses nothing"


@pytest.mark.parametrize(("matrix", "asymmetry"), [([[0.6, 0.4], [0.4, 0.6]], 0.0), ([[0.6, 0.4], [0.0, 1.0]], 1.0)])
def test_soft_labels__asymmetry_by_hand(matrix: list[list[float]], asymmetry: float) -> None:
    made = made_set((2, 2), size=1, teachers=0)
    rows = torch.tensor(matrix).repeat_interleave(2, dim=0)
    made = replace(made, label_sources={"given": DenseSoftLabels(rows, "probabilities")})
    assert figure(analysis.run("soft_labels", made), "Asymmetry of the class structure").value == pytest.approx(asymmetry)


def test_soft_labels__one_hot_labels_have_nothing_to_describe() -> None:
    made = made_set((3, 3, 3), size=1, teachers=0)
    one_hot = DenseSoftLabels(torch.eye(3).repeat_interleave(3, dim=0), "probabilities")
    findings = analysis.run("soft_labels", replace(made, label_sources={"given": one_hot}))
    assert figure(findings, "Mean entropy").value == 0
    assert figure(findings, "Evenness outside the top class").value is None
    assert figure(findings, "Asymmetry of the class structure").value is None
    assert findings.per_sample["evenness"].isna().all()
    assert (findings.per_sample["score"] == 1).all()


def test_soft_labels__uniform_rest_has_lost_its_structure() -> None:
    smoothed = torch.full((N, CLASSES), 0.02)
    smoothed[range(N), torch.arange(N) % (CLASSES - 1)] = 0.9
    findings = analysis.run("soft_labels", labelled(given=DenseSoftLabels(smoothed, "probabilities")))
    assert figure(findings, "Evenness outside the top class").value == pytest.approx(1, abs=1e-5)


def test_soft_labels__distance_between_sources_equals_scipy() -> None:
    made = labelled(given=logits(0), strong=logits(1), weak=logits(2, torch.float16))
    findings = analysis.run("soft_labels", made)
    matrix = findings.matrices["sources"]
    assert matrix.row_names == ("given", "strong", "weak")
    for i, first in enumerate(matrix.row_names):
        for j, second in enumerate(matrix.row_names):
            distances = jensenshannon(rows_of(made, first), rows_of(made, second), base=2, axis=1)
            expected = np.nan_to_num(distances**2).mean()
            assert matrix.values[i, j] == pytest.approx(expected, abs=1e-5)


def test_soft_labels__chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = labelled(given=logits(0), other=logits(1))
    whole = analysis.run("soft_labels", made)
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", 7 * CLASSES)
    parts = analysis.run("soft_labels", made)
    for name in ("class structure", "sources"):
        np.testing.assert_allclose(parts.matrices[name].values, whole.matrices[name].values, atol=1e-6)
    np.testing.assert_allclose(parts.per_sample["entropy"], whole.per_sample["entropy"], atol=1e-6)


def test_soft_labels__many_classes_leave_the_matrix_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.soft_label_facts.MOST_CLASSES_IN_A_MATRIX", CLASSES - 1)
    monkeypatch.setattr(label_sources, "MOST_CLASSES_IN_A_MATRIX", CLASSES - 1)
    findings = analysis.run("soft_labels", labelled(given=logits()))
    assert "class structure" not in findings.matrices
    assert any("The class structure is left out" in caveat for caveat in findings.caveats)


def test_soft_labels__what_the_stored_numbers_are_is_said() -> None:
    raw = np.random.default_rng(0).uniform(0, 1, (N, CLASSES))
    positive = labelled(given=DenseSoftLabels(torch.from_numpy(raw), "logits"))
    scores = labelled(given=DenseSoftLabels(torch.from_numpy(raw - 0.5), "scores"))
    top = labelled(given=TopKSoftLabels(torch.randn(N, 2), torch.tensor([[0, 1]] * N), CLASSES, "logits"))
    for made, words in ((positive, "read as logits"), (scores, "unconstrained scores"), (top, "keeps 2 of 6 classes")):
        assert any(words in caveat for caveat in analysis.run("soft_labels", made).caveats), words
    plain = analysis.run("soft_labels", labelled(given=logits())).caveats
    assert plain == ("1 of 6 classes have fewer than 3 samples here: what is said of each of them rests on those alone.",)


def test_soft_labels__a_source_that_is_not_given_is_said_to_be_taken() -> None:
    findings = analysis.run("soft_labels", labelled(teacher=logits()))
    assert any("label source 'teacher' was taken" in caveat for caveat in findings.caveats)


def test_soft_labels__rows_that_are_no_distribution() -> None:
    broken = logits().values.clone()
    broken[17, 2] = torch.nan
    with pytest.raises(ImpossibleRequest, match="sample 17"):
        analysis.run("soft_labels", labelled(given=DenseSoftLabels(broken, "logits")))
