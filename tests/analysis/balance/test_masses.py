"""Where the mass lies, against a loop over samples and classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import label_sources
from analysis.balance import masses as masses_module
from analysis.balance.masses import Balance, masses_of
from analysis.balance.tables import class_table, group_table, leakage_matrices
from analysis.class_groups import HEAD, MEDIUM, TAIL
from analysis.context import Context
from data.distilled_set import numbered_classes
from data.soft_labels import DenseSoftLabels

GROUP = np.array([TAIL, HEAD, MEDIUM, TAIL, HEAD])


def held(rows: np.ndarray, labels: np.ndarray, group: np.ndarray = GROUP) -> Balance:
    soft = DenseSoftLabels(torch.from_numpy(rows), "probabilities")
    return Balance(labels, np.arange(1, len(group) + 1), group, masses_of(soft, labels, group, 1.0, Context()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 30))
def test_masses_of__tail_to_head_equals_a_loop(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows, labels = rng.dirichlet(np.ones(5), n), rng.integers(0, 5, n)
    found = held(rows, labels)
    expected = np.zeros((2, 2))
    for row, label in zip(rows, labels, strict=True):
        if label in (0, 3):
            for place, head in enumerate((1, 4)):
                expected[(0, 3).index(label), place] += row[head]
    np.testing.assert_allclose(found.masses.tail_to_head, expected, atol=1e-5)
    np.testing.assert_allclose(found.masses.peak, rows.max(axis=1), atol=1e-6)
    assert (found.masses.top == rows.argmax(axis=1)).all()
    matrix = leakage_matrices(found, numbered_classes(5))["tail to head"]
    assert matrix.row_names == ("class 0", "class 3") and matrix.column_names == ("class 1", "class 4")
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(matrix.values, expected / np.bincount(labels, minlength=5)[[0, 3], None], atol=1e-5)
    # over samples, the rows of the class matrix add up to the groups' matrix
    tail = np.isin(labels, (0, 3))
    if tail.any():
        by_group = leakage_matrices(found, numbered_classes(5))["leakage"].values[TAIL, HEAD]
        assert by_group == pytest.approx(expected.sum() / tail.sum(), abs=1e-5)


def test_masses_of__chunks_change_nothing_and_too_many_classes_have_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.dirichlet(np.ones(5), 40), rng.integers(0, 5, 40)
    whole = held(rows, labels)
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", 15)
    np.testing.assert_allclose(held(rows, labels).masses.tail_to_head, whole.masses.tail_to_head, atol=1e-6)
    monkeypatch.setattr(masses_module, "MOST_CLASSES_IN_A_MATRIX", 4)
    many = held(rows, labels)
    assert many.masses.tail_to_head is None and set(leakage_matrices(many, numbered_classes(5))) == {"leakage"}


def test_masses_of__no_head_or_no_tail() -> None:
    found = held(np.full((3, 5), 0.2), np.arange(3), np.full(5, MEDIUM))
    assert found.masses.tail_to_head is None and leakage_matrices(found, numbered_classes(5)) == {}


def test_group_table__is_the_class_table_added_up() -> None:
    rng = np.random.default_rng(4)
    rows, labels = rng.dirichlet(np.ones(5), 200), rng.integers(0, 5, 200)
    found = held(rows, labels)
    classes, groups = class_table(numbered_classes(5), found), group_table(found, 15)
    assert groups["group"].tolist() == ["head", "medium", "tail"] and groups["classes"].tolist() == [2, 1, 2]
    for column in ("given_share", "received_share", "top_share"):
        added = classes.groupby("group")[column].sum()
        np.testing.assert_allclose(groups[column], added[groups["group"]])
        assert groups[column].sum() == pytest.approx(1, abs=1e-6)
    for column in ("confidence", "accuracy"):
        weighted = (classes[column] * classes["n"]).groupby(classes["group"]).sum() / classes.groupby("group")["n"].sum()
        np.testing.assert_allclose(groups[column], weighted[groups["group"]])
    np.testing.assert_allclose(classes["top_share"], np.bincount(rows.argmax(axis=1), minlength=5) / 200)
    np.testing.assert_allclose(classes["top_to_received"], classes["top_share"] / rows.mean(axis=0), rtol=1e-5)
    right = rows.argmax(axis=1) == labels
    expected = [(rows.max(axis=1) - right)[labels == c].mean() for c in range(5)]
    np.testing.assert_allclose(classes["overconfidence"], expected, atol=1e-6)


def test_group_table__a_group_without_samples_says_nothing() -> None:
    found = held(np.full((40, 5), 0.2), np.full(40, 1))
    table = group_table(found, 15).set_index("group")
    assert np.isnan(table.loc["tail", "confidence"]) and table.loc["tail", "samples"] == 0
    assert table.loc["tail", "received_share"] == pytest.approx(0.4, abs=1e-6)
