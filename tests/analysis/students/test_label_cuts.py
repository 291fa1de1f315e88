"""Cuts against a loop over rows, and against the loss that students are taught them by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.students.label_cuts import kept, swapped
from analysis.students.losses import top_k

ROWS = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 7)), elements=st.integers(-3, 3).map(float))


def by_hand(row: np.ndarray, k: int) -> np.ndarray:
    order = sorted(range(len(row)), key=lambda c: (-row[c], c))
    cut = row.copy()
    cut[order[k - 1]], cut[order[-1]] = row[order[-1]], row[order[k - 1]]
    return cut


@given(ROWS, st.data())
@settings(max_examples=100, deadline=None)
def test_swapped__is_one_exchange_a_row(rows, data):
    k = data.draw(st.integers(1, rows.shape[1]))
    found = swapped(torch.from_numpy(rows), k).numpy()
    np.testing.assert_array_equal(found, np.stack([by_hand(row, k) for row in rows]))
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(rows, axis=1), "the same values, elsewhere")


def test_swapped__logits_or_probabilities_are_the_same_thing():
    logits = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    for k in range(1, 7):
        torch.testing.assert_close(swapped(logits, k).softmax(1), swapped(logits.softmax(1), k))


def test_swapped__the_smallest_with_itself_changes_nothing():
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(swapped(logits, 5), logits) and not torch.equal(swapped(logits, 1), logits)


@given(ROWS, st.data())
@settings(max_examples=100, deadline=None)
def test_kept__the_largest_stay_as_they_are_and_the_rest_is_nothing(rows, data):
    k = data.draw(st.integers(1, rows.shape[1]))
    probabilities = torch.from_numpy(rows).softmax(1)
    found = kept(probabilities, k)
    for row, cut in zip(probabilities.tolist(), found.tolist(), strict=True):
        assert sorted(filter(None, cut)) == sorted(row)[-k:], "their own values, not renormalised"
        assert all(now in (0, was) for now, was in zip(cut, row, strict=True))


@pytest.mark.parametrize("k", [1, 3, 9])
def test_kept__is_what_top_k_students_are_asked_for(k):
    rng = torch.Generator().manual_seed(2)
    teacher, said = torch.randn(8, 5, generator=rng), torch.randn(8, 5, generator=rng)
    asked = -(kept(teacher.softmax(1), k) * said.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(top_k(said, teacher, k, 1.0), asked)
