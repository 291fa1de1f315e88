"""What is told of marks: bounds that make sense, and sentences for what cannot be known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.class_groups import HEAD, MEDIUM, TAIL
from analysis.students.comparison import Estimate, over_seeds, paired
from analysis.students.told import (
    POINTS,
    Marked,
    common_caveats,
    difference_figures,
    differences_table,
    estimate_figure,
    groups_table,
    with_interval,
)
from tests.analysis.students.made_marks import made_marks

LABELS = np.repeat([0, 1, 2], 10)


def marked(*shares: list[float], group: tuple[int, ...] = (HEAD, MEDIUM, TAIL)) -> Marked:
    marks = [made_marks(f"lesson {i}", np.array(share), LABELS, 3, range(len(share))) for i, share in enumerate(shares)]
    return Marked(marks, LABELS, np.array(group), "made")


def test_with_interval__stays_within_what_there_can_be():
    wide = Estimate(np.array([0.9]), np.array([-0.2]), np.array([1.4]))
    assert {k: v.tolist() for k, v in with_interval("accuracy", wide).items()} == {
        "accuracy": [0.9], "accuracy_low": [0.0], "accuracy_high": [1.0]
    }  # fmt: skip
    assert with_interval("difference", wide, None)["difference_low"].tolist() == [-0.2]


def test_estimate_figure__differences_in_points_and_shares_within_0_and_1():
    estimate = over_seeds(np.array([0.9, 1.0, 1.0]))
    share, points = estimate_figure("a", estimate, "made", 30), estimate_figure("a", estimate, "made", 30, POINTS)
    assert share.high == 1.0 and points.high == pytest.approx(100 * float(estimate.high)) and points.high > 100
    assert estimate_figure("a", over_seeds(np.full(3, np.nan)), "made", 30).value is None


def test_basis__speaks_of_an_interval_only_where_there_are_seeds_enough():
    assert "interval" not in marked([0.5, 0.6]).basis and "interval" in marked([0.5, 0.6, 0.7]).basis


def test_groups_table__a_group_without_classes_is_not_known():
    found = groups_table(marked([0.5, 0.6, 0.7], group=(HEAD, HEAD, TAIL))).set_index("group")
    assert np.isnan(found.loc["medium", "accuracy"]) and found["test_images"].tolist() == [20, 0, 10]
    assert found.loc["head", "accuracy"] == pytest.approx(np.mean([15, 18, 20]) / 20)


def test_differences__each_kind_of_chance_has_its_interval():
    made = marked([0.5, 0.6, 0.6], [0.7, 0.7, 0.8])
    pair = paired(made.marks[0], made.marks[1], LABELS)
    seeds, images = difference_figures("After less before", pair, made, adjusted=0.03)
    assert seeds.value == images.value == pytest.approx(100 * np.mean([0.2, 0.1, 0.2]))
    assert (seeds.low, seeds.high) != (images.low, images.high) and "0.03" in images.basis
    table = differences_table(["a less b"], [pair])
    assert table.loc[0, "larger_p_value"] == max(pair.t_p, pair.images_p) == table.loc[0, "p_value_after_holm"]


def test_common_caveats__what_an_exam_of_that_size_can_tell():
    said = " ".join(common_caveats(marked([0.5, 0.6]), counts_known=False))
    assert "30 test images" in said and f"{98 / 30**0.5:.1f} points" in said and "2 seeds a lesson" in said
    assert "counts are not known" in said
    alike = " ".join(common_caveats(marked([0.5] * 12, group=(MEDIUM,) * 3), counts_known=True))
    assert "no head and no tail" in alike and "rough" not in alike


def test_common_caveats__students_that_diverged_are_counted():
    made = marked([0.5, 0.6, 0.7], [0.2, 0.2, 0.2])
    assert not any("diverged" in said for said in common_caveats(made, True))
    curve = made.marks[1].curve
    curve.loc[(curve["seed"] == 1) & (curve["step"] == 2), "loss"] = np.nan
    curve.loc[curve["seed"] == 2, "loss"] = np.inf
    said = [sentence for sentence in common_caveats(made, True) if "diverged" in sentence]
    assert len(said) == 1 and "2 of 3 students of 'lesson 1'" in said[0]
