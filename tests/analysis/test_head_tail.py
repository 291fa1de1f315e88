"""Head and tail, against loops over samples and sets whose masses are chosen by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import analysis
from analysis import label_sources
from analysis.class_groups import GROUPS, HEAD, MEDIUM, TAIL, group_classes
from analysis.findings import Figure, Findings
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set


def long_tailed(per_class: tuple[int, ...], counts: list[int] | None, seed: int = 0) -> DistilledSet:
    made = made_set(per_class, size=1, reference=False, teachers=0)
    rows = np.random.default_rng(seed).dirichlet(np.full(len(per_class), 0.5), len(made))
    source = DenseSoftLabels(torch.from_numpy(rows), "probabilities")
    known = None if counts is None else np.array(counts)
    return replace(made, label_sources={"given": source}, class_counts=known)


def figure(findings: Findings, label: str) -> Figure:
    return next(figure for figure in findings.summary if figure.label == label)


def loop_leakage(labels: np.ndarray, rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    sums, n = np.zeros((3, 3)), np.zeros(3)
    for label, row in zip(labels, rows, strict=True):
        n[group[label]] += 1
        for k, mass in enumerate(row):
            if k != label:
                sums[group[label], group[k]] += mass
    with np.errstate(invalid="ignore"):
        return sums / n[:, None]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=3, max_size=8), st.integers(0, 2**16))
def test_head_tail__equals_a_loop_over_samples(per_class: list[int], seed: int) -> None:
    counts = [1000 // (k + 1) for k in range(len(per_class))]
    made = long_tailed(tuple(per_class), counts, seed)
    rows = made.label_sources["given"].probabilities(range(len(made))).numpy().astype(float)
    findings = analysis.run("head_tail", made)
    group = np.array([GROUPS.index(name) for name in findings.per_class["group"]])
    expected = loop_leakage(made.labels, rows, group)
    np.testing.assert_allclose(findings.matrices["leakage"].values, expected, atol=1e-6)
    table = findings.per_class
    np.testing.assert_allclose(table["received_share"], rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(table["given_share"], np.array(per_class) / len(made))
    np.testing.assert_allclose(
        table["confidence"], [rows[made.labels == k, k].mean() for k in range(len(per_class))], atol=1e-6
    )
    confidence = table["confidence"]
    assert figure(findings, "Spread of class confidence").value == pytest.approx(np.std(confidence))
    assert figure(findings, "NSD of class confidence").value == pytest.approx(np.std(confidence) / np.mean(confidence))
    leakage = figure(findings, "Tail-to-head leakage")
    if leakage.n >= 3:
        assert leakage.value == pytest.approx(expected[TAIL, HEAD], abs=1e-6)
        assert 0 <= leakage.low <= leakage.value <= leakage.high <= 1
    else:
        assert leakage.value is None


def test_head_tail__leaking_labels_by_hand() -> None:
    """Three tail samples give 0.6 of their mass to the head; one of them keeps its own class on top."""
    made = made_set((3, 3, 3), size=1, reference=False, teachers=0)
    rows = np.repeat(np.eye(3), 3, axis=0)
    rows[6:8], rows[8] = [0.6, 0.1, 0.3], [0.2, 0.0, 0.8]
    made = replace(
        made,
        label_sources={"given": DenseSoftLabels(torch.from_numpy(rows), "probabilities")},
        class_counts=np.array([900, 90, 9]),
    )
    findings = analysis.run("head_tail", made)
    assert findings.per_class["group"].tolist() == ["head", "medium", "tail"]
    assert figure(findings, "Tail-to-head leakage").value == pytest.approx(1.4 / 3, abs=1e-6)
    assert figure(findings, "Tail-to-head leakage against an even spread").value == pytest.approx(1.4 / 1.6 / 0.5, abs=1e-5)
    assert figure(findings, "Mass received by the tail").value == pytest.approx(1.4 / 3, abs=1e-6)
    assert figure(findings, "Mass received by the head").value == pytest.approx(4.4 / 3, abs=1e-6)
    assert findings.per_class["received_to_given"].to_numpy() == pytest.approx([4.4 / 3, 3.2 / 3, 1.4 / 3], abs=1e-6)
    assert np.flatnonzero(findings.per_sample["flag"]).tolist() == [6, 7]
    assert findings.per_sample["score"].to_numpy() == pytest.approx([1] * 6 + [0.3, 0.3, 0.8], abs=1e-6)
    assert findings.per_class["top_share"].to_numpy() == pytest.approx([5 / 9, 3 / 9, 1 / 9])


def test_head_tail__equal_counts_have_no_head() -> None:
    findings = analysis.run("head_tail", long_tailed((4, 4, 4), [500, 500, 500]))
    assert figure(findings, "Tail-to-head leakage").value is None
    assert any("no head and no tail" in caveat for caveat in findings.caveats)
    assert not findings.per_sample["flag"].any() and not findings.matrices


def test_head_tail__unknown_counts_are_said_to_be_the_sets_own() -> None:
    findings = analysis.run("head_tail", long_tailed((9, 5, 3), None))
    assert findings.per_class["original_count"].tolist() == [9, 5, 3]
    assert any("not known" in caveat for caveat in findings.caveats)


def test_head_tail__too_few_tail_samples_for_a_figure() -> None:
    findings = analysis.run("head_tail", long_tailed((9, 9, 2), [900, 90, 9]))
    leakage = figure(findings, "Tail-to-head leakage")
    assert leakage.value is None and leakage.n == 2 and "too few" in leakage.basis
    assert any(caveat.startswith("1 of 3 classes have fewer than 3 samples") for caveat in findings.caveats)


def test_head_tail__cut_offs_that_leave_no_tail() -> None:
    findings = analysis.run("head_tail", long_tailed((4, 4, 4), [500, 400, 300]), grouping="counts")
    assert any("change them, or group by thirds" in caveat for caveat in findings.caveats)


def test_head_tail__counts_from_the_reference() -> None:
    made = made_set((4, 4, 4), size=2)
    labels = np.repeat([0, 1, 2], [60, 25, 5])
    made = replace(made, reference=replace(made.reference, labels=labels), class_counts=np.array([1, 2, 3]))
    findings = analysis.run("head_tail", made, counts_from="the reference")
    assert findings.per_class["original_count"].tolist() == [60, 25, 5]
    assert findings.per_class["group"].tolist() == ["head", "medium", "tail"]
    assert any("whole original training set" in caveat for caveat in findings.caveats)
    assert analysis.run("head_tail", made).per_class["group"].tolist() == ["tail", "medium", "head"]
    with pytest.raises(ImpossibleRequest, match="name one when opening it"):
        analysis.run("head_tail", replace(made, reference=None), counts_from="the reference")


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_head_tail__a_teacher_shifted_by_the_prior_is_level_at_tau_one(temperature: float) -> None:
    counts = np.array([9000, 900, 300, 90, 30, 9])
    made = made_set((3,) * 6, size=1, reference=False, teachers=0)
    clean = np.repeat([np.roll([4.0, 0.6, 0.3, 0.1, 0.0, 0.0], shift) for shift in range(6)], 3, axis=0)
    source = DenseSoftLabels(torch.from_numpy(clean + np.log(counts / counts.sum())), "logits")
    made = replace(made, label_sources={"given": source}, class_counts=counts)
    findings = analysis.run("head_tail", made, temperature=temperature, most_tau=2.0, taus=41)
    assert figure(findings, "Tau of the most even class confidence").value == 1.0
    assert figure(findings, "Spread of class confidence at that tau").value < 1e-6
    curve = findings.tables["spread by tau"]
    assert curve["spread"].iloc[0] == pytest.approx(figure(findings, "Spread of class confidence").value, abs=1e-6)


def test_head_tail__tables_for_every_group_tau_and_bin() -> None:
    findings = analysis.run("head_tail", long_tailed((30, 20, 10), [900, 90, 9]), taus=5, calibration_bins=4)
    assert findings.tables["groups"]["group"].tolist() == ["head", "medium", "tail"]
    assert sorted(set(findings.tables["spread by tau"]["tau"])) == [0, 0.75, 1.5, 2.25, 3]
    assert len(findings.tables["confidence by tau"]) == 15 and len(findings.tables["calibration"]) <= 4
    assert findings.matrices["tail to head"].values.shape == (1, 1)
    assert findings.matrices["tail to head"].values[0, 0] == pytest.approx(findings.matrices["leakage"].values[TAIL, HEAD])


def test_head_tail__more_classes_than_a_matrix_is_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis.balance import masses

    monkeypatch.setattr(masses, "MOST_CLASSES_IN_A_MATRIX", 2)
    monkeypatch.setattr(label_sources, "MOST_CLASSES_IN_A_MATRIX", 2)
    findings = analysis.run("head_tail", long_tailed((3, 3, 3), [900, 90, 9]))
    assert set(findings.matrices) == {"leakage"}
    assert any("tail classes against head classes is left out" in caveat for caveat in findings.caveats)


def test_head_tail__no_soft_labels() -> None:
    with pytest.raises(ImpossibleRequest, match="needs soft labels"):
        analysis.run("head_tail", made_set((3, 3), teachers=0))


def test_head_tail__chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = long_tailed((9, 7, 5, 3), [900, 90, 9, 1])
    whole = analysis.run("head_tail", made)
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", 20)
    np.testing.assert_allclose(
        analysis.run("head_tail", made).per_class["received_share"], whole.per_class["received_share"], atol=1e-6
    )


def test_group_classes__cut_offs_of_the_literature() -> None:
    groups = group_classes(np.array([101, 100, 20, 19, 0]), "counts")
    assert groups.tolist() == [HEAD, MEDIUM, MEDIUM, TAIL, TAIL]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_group_classes__thirds(counts: list[int]) -> None:
    groups = group_classes(np.array(counts), "thirds")
    for a, b in zip(counts, groups, strict=True):
        assert all(g == b for c, g in zip(counts, groups, strict=True) if c == a), "tied classes are apart"
        assert all(g <= b for c, g in zip(counts, groups, strict=True) if c > a), "a larger class is further from the head"
    if len(set(counts)) == len(counts):
        sizes = np.bincount(groups, minlength=3)
        assert sizes[HEAD] == sizes[TAIL] and abs(sizes[HEAD] - len(counts) / 3) < 1
