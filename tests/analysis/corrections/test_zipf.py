"""Zipf labels against the formula by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.context import Context
from analysis.corrections import correct
from analysis.corrections.class_prototypes import class_prototypes
from analysis.corrections.zipf import by_rank
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set


def with_logits(values: list[list[float]], labels: list[int]):
    made = made_set(tuple(np.bincount(labels, minlength=len(values[0]))), teachers=0)
    made = replace(made, labels=np.array(labels), label_sources={"given": DenseSoftLabels(torch.tensor(values), "logits")})
    return made


def test_zipf__by_hand():
    made = with_logits([[5.0, 1.0, 3.0, 2.0], [0.0, 1.0, 2.0, 3.0]], [0, 1])
    found = correct("zipf", made, target=0.7).logits(np.arange(2)).softmax(dim=1)
    a, b, c = (0.3 * share / (1 + 1 / 2 + 1 / 3) for share in (1, 1 / 2, 1 / 3))
    np.testing.assert_allclose(found.numpy(), [[0.7, c, a, b], [c, 0.7, b, a]], atol=1e-6)


def test_zipf__the_exponent_sharpens_it():
    made = with_logits([[5.0, 1.0, 3.0, 2.0]], [0])
    found = correct("zipf", made, target=0.5, exponent=2).logits(np.arange(1)).softmax(dim=1)
    a, b, c = (0.5 * share / (1 + 1 / 4 + 1 / 9) for share in (1, 1 / 4, 1 / 9))
    np.testing.assert_allclose(found.numpy(), [[0.5, c, a, b]], atol=1e-6)
    even = correct("zipf", made, target=0.4, exponent=0).logits(np.arange(1)).softmax(dim=1)
    np.testing.assert_allclose(even.numpy(), [[0.4, 0.2, 0.2, 0.2]], atol=1e-6)


def test_zipf__classes_that_tie_share_alike():
    """Labels that say nothing of the other classes leave them alike, in whatever order they come."""
    made = made_set((3, 3, 3, 3), teachers=0)
    hard = DenseSoftLabels(torch.eye(4)[torch.from_numpy(made.labels)], "probabilities")
    found = correct("zipf", replace(made, label_sources={"given": hard})).logits(np.arange(12)).softmax(dim=1)
    expected = torch.full((12, 4), 0.1 / 3).scatter(1, torch.from_numpy(made.labels)[:, None], 0.9)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_zipf__ranks_by_images_where_there_are_only_hard_labels():
    made = replace(made_set((5, 4, 3, 6)), label_sources={})
    similar = class_prototypes(made, "pixels", "mean", Context()).similarities(np.arange(18)).numpy()
    found = correct("zipf", made, embedding="pixels").logits(np.arange(18)).numpy()
    for label, ranks, values in zip(made.labels, similar, found, strict=True):
        others = np.array([c for c in range(4) if c != label])
        assert (others[np.argsort(-ranks[others])] == others[np.argsort(-values[others])]).all()
        assert values.argmax() == label


def test_zipf__images_can_rank_where_there_is_a_source_too():
    made = made_set((5, 4, 3))
    by_images = correct("zipf", made, embedding="pixels", rank_by="images").logits(np.arange(12))
    bare = correct("zipf", replace(made, label_sources={}), embedding="pixels").logits(np.arange(12))
    torch.testing.assert_close(by_images, bare)


def test_zipf__a_runner_up_ahead_of_the_own_class_is_told():
    made = with_logits([[5.0, -1.0, 3.0]], [0])
    assert any("as much as the own class" in said for said in correct("zipf", made, target=0.2).caveats)
    assert not correct("zipf", made, target=0.6).caveats


def test_zipf__says_what_is_missing():
    made = made_set((2, 2))
    with pytest.raises(ImpossibleRequest, match="no images to rank the classes by; rank them by a label source"):
        correct("zipf", replace(made, images=None), rank_by="images")
    with pytest.raises(ImpossibleRequest, match="no soft labels to rank"):
        correct("zipf", replace(made, label_sources={}), rank_by="label source")
    with pytest.raises(ImpossibleRequest, match="no soft labels either"):
        correct("zipf", replace(made, label_sources={}, images=None))


@given(arrays(np.int64, (4, 6), elements=st.integers(0, 4)))
def test_by_rank__agrees_with_a_loop(scores):
    values = torch.tensor([8.0, 5.0, 3.0, 2.0, 1.0, 0.0])
    found = by_rank(torch.from_numpy(scores).float(), values).numpy()
    for row, given_values in zip(scores, found, strict=True):
        for c, score in enumerate(row):
            ahead, alike = int((row > score).sum()), int((row == score).sum())
            assert given_values[c] == pytest.approx(float(values[ahead : ahead + alike].mean()))
