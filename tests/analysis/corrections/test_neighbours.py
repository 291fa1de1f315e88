"""Neighbour-weighted labels against a double loop over images and neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from analysis.context import Context
from analysis.corrections import correct
from analysis.embedding import embed
from tests.analysis.made_sets import images_around, made_set


def noisy(sizes=(6, 4, 5)):
    made = made_set(sizes, reference=False)
    rng = np.random.default_rng(3)
    return replace(made, images=images_around(rng.uniform(0.3, 0.7, (len(sizes), 3, 8, 8)), made.labels, 0.25, rng))


def by_loop(made, rows: np.ndarray, k: int, own: float) -> np.ndarray:
    similarity = cosine_similarity(embed(made.images, "pixels", Context()).astype(float))
    found = np.zeros(rows.shape)
    for i in range(len(made)):
        others = sorted((j for j in range(len(made)) if j != i), key=lambda j: -similarity[i, j])[:k]
        weights = [max(similarity[i, j], 0) for j in others]
        for j, weight in zip(others, weights, strict=True):
            found[i] += (1 - own) * weight / sum(weights) * rows[j]
        found[i] += own * rows[i]
    return found


@pytest.mark.parametrize("k", [1, 3, 14])
@pytest.mark.parametrize("own", [0.0, 0.4, 1.0])
def test_neighbours__agree_with_a_double_loop(k, own):
    made = noisy()
    rows = made.label_sources["given"].probabilities(np.arange(15)).double().numpy()
    found = correct("neighbours", made, embedding="pixels", k=k, own=own).logits(np.arange(15)).softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), by_loop(made, rows, k, own), atol=1e-5)


def test_neighbours__with_hard_labels_only_mix_those():
    made = replace(noisy(), label_sources={})
    found = correct("neighbours", made, embedding="pixels", k=4, own=0.5)
    expected = by_loop(made, np.eye(3)[made.labels], 4, 0.5)
    np.testing.assert_allclose(found.logits(np.arange(15)).softmax(dim=1).numpy(), expected, atol=1e-5)
    assert any("hard labels were mixed" in said for said in found.caveats)


def test_neighbours__a_flipped_label_fades():
    """Far-apart classes: the neighbours of an image labelled wrongly all say what it is."""
    made = made_set((8, 8))
    flipped = made.labels.copy()
    flipped[0] = 1
    made = replace(made, labels=flipped, label_sources={})
    found = correct("neighbours", made, embedding="pixels", k=5, own=0.3).logits(np.arange(16)).softmax(dim=1)
    assert found[0, 0] == pytest.approx(0.7, abs=1e-5)


def test_neighbours__all_there_are_where_fewer_than_k():
    found = correct("neighbours", noisy((2, 1)), embedding="pixels", k=10)
    assert any("2 others" in said for said in found.caveats)


def test_neighbours__an_image_alone_keeps_its_label():
    made = made_set((1, 0))
    found = correct("neighbours", made, embedding="pixels", own=0.0)
    torch.testing.assert_close(found.logits(np.arange(1)).softmax(dim=1), made.label_sources["given"].probabilities([0]))
    assert found.found[0].value is None


def test_neighbours__figure_is_the_share_of_the_same_class():
    assert correct("neighbours", made_set((8, 8)), embedding="pixels", k=5).found[0].value == 1
