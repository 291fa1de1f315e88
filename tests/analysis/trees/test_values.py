"""Row values and their sums against loops."""

from __future__ import annotations

import numpy as np

from analysis.trees.sums import VALUES
from analysis.trees.values import add_by_image, add_choices, row_values


def test_row_values__of_each_kind_of_row():
    confidence = np.array([0.1, 0.15, 0.49, 0.5, 0.95, 0.96, 1.0, 0.3, 0.3, 0.3])
    rng = np.random.default_rng(0)
    margin, entropy, given = rng.random((3, 10))
    top = np.array([0, 1, 2, 0, 1, 2, 3, 4, 4, 4])
    own = np.array([0, 0, 0, 0, 0, 0, 0, -1, 4, 1])
    partner = np.array([0, 1, 1, 1, 1, 1, 1, 2, -1, -1])
    values = row_values((confidence, margin, entropy, given), top, (own, partner), (0.15, 0.5, 0.95))
    found = dict(zip(VALUES, values.T, strict=True))
    np.testing.assert_array_equal(found["rows"], np.ones(10))
    np.testing.assert_array_equal([found["given"], found["given squared"]], [given, given**2])
    np.testing.assert_array_equal([found["entropy"], found["confidence"], found["margin"]], [entropy, confidence, margin])
    assert found["other"].tolist() == [0, 0, 1, 0, 0, 1, 1, 0, 0, 0]
    names = ("hard negative", "context", "hard positive", "easy")
    assert np.stack([found[name] for name in names]).argmax(axis=0).tolist() == [0, 1, 1, 2, 2, 3, 3, 1, 1, 1]
    assert (np.stack([found[name] for name in names]).sum(axis=0) == 1).all()


def test_row_values__thresholds_that_fall_together_leave_regions_empty():
    confidence = np.array([0.1, 0.5, 0.9])
    nothing = np.zeros(3)
    values = row_values((confidence, nothing, nothing, nothing), np.zeros(3, int), (np.zeros(3, int),) * 2, (0.5, 0.5, 0.5))
    assert values[:, -4:].argmax(axis=1).tolist() == [0, 2, 3]


def test_add_choices__marks_counts_and_adds_to_what_was_there():
    rng = np.random.default_rng(0)
    top, values = rng.integers(0, 9, 50), rng.random((50, len(VALUES)))
    values[0, VALUES.index("confidence")] = 1.0
    seen, histogram = np.arange(12) == 11, np.ones(100, np.int64)
    assert add_choices(top, values, seen, histogram) == len(np.unique(top))
    assert set(np.flatnonzero(seen)) == set(top) | {11}
    expected = np.histogram(values[:, VALUES.index("confidence")], 100, (0, 1))[0]
    np.testing.assert_array_equal(histogram - 1, expected)


def test_add_by_image__images_that_occur_several_times():
    rng = np.random.default_rng(0)
    images, values, weights = rng.integers(0, 4, 50), rng.normal(size=(50, 3)), np.array([1.0, 0.5])
    sums, expected = np.zeros((4, 2, 3)), np.zeros((4, 2, 3))
    add_by_image(sums, images, values, weights)
    np.add.at(expected, images, values[:, None] * weights[:, None])
    np.testing.assert_allclose(sums, expected)
