"""Prototype soft labels against double loops, with scikit-learn's cosine similarity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from analysis.context import Context
from analysis.corrections import correct
from analysis.corrections.class_prototypes import class_prototypes
from analysis.embedding import embed
from analysis.neighbours import unit_rows
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import images_around, made_set

SIZES = (6, 1, 0, 5, 2)


def noisy(seed: int = 0):
    """A set whose classes overlap."""
    made = made_set(SIZES, seed=seed, reference=False)
    rng = np.random.default_rng(seed)
    return replace(made, images=images_around(rng.uniform(0.3, 0.7, (5, 3, 8, 8)), made.labels, 0.25, rng))


def by_loop(made, kind: str) -> np.ndarray:
    vectors = unit_rows(embed(made.images, "pixels", Context())).astype(float)
    found = np.full((len(made), made.num_classes), -1.0)
    for i in range(len(made)):
        for c in range(made.num_classes):
            others = [j for j in range(len(made)) if made.labels[j] == c and j != i]
            others = others or [j for j in range(len(made)) if made.labels[j] == c]
            if others:
                of_class = vectors[others]
                likeness = cosine_similarity(of_class).sum(axis=1)
                prototype = of_class.mean(axis=0) if kind == "mean" else of_class[likeness.round(6).argmax()]
                found[i, c] = cosine_similarity(vectors[[i]], prototype[None])[0, 0]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_similarities__of_means_agree_with_a_double_loop(seed):
    made = noisy(seed)
    found = class_prototypes(made, "pixels", "mean", Context()).similarities(np.arange(len(made)))
    np.testing.assert_allclose(found.numpy(), by_loop(made, "mean"), atol=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_similarities__of_medoids_agree_with_a_double_loop(seed):
    """But for an own class of which the image is not the medoid: there it still has a say in which one is."""
    made = noisy(seed)
    held = class_prototypes(made, "pixels", "medoid", Context())
    found, expected = held.similarities(np.arange(len(made))).numpy(), by_loop(made, "medoid")
    other = np.arange(made.num_classes)[None] != made.labels[:, None]
    np.testing.assert_allclose(found[other], expected[other], atol=2e-6)
    medoids = held.medoid[made.per_class > 0]
    own = made.labels[medoids]
    np.testing.assert_allclose(found[medoids, own], expected[medoids, own], atol=2e-6)


def test_similarities__an_image_does_not_vote_for_itself():
    """One image far from its class is more like its class if it counts itself; it must not."""
    made = noisy()
    vectors = unit_rows(embed(made.images, "pixels", Context())).astype(float)
    found = class_prototypes(made, "pixels", "mean", Context()).similarities(np.arange(len(made))).numpy()
    with_itself = np.stack([cosine_similarity(vectors, vectors[made.labels == 0].mean(axis=0)[None])[:, 0]], axis=1)
    assert (found[:6, 0] < with_itself[:6, 0] - 1e-4).all()


def test_prototypes__are_the_softmax_of_similarity_over_temperature():
    made = noisy()
    corrected = correct("prototypes", made, embedding="pixels", temperature=0.25)
    expected = torch.softmax(torch.from_numpy(by_loop(made, "mean")) / 0.25, dim=1).float()
    torch.testing.assert_close(corrected.logits(np.arange(14)).softmax(dim=1), expected, atol=1e-5, rtol=0)
    agrees = by_loop(made, "mean").argmax(axis=1) == made.labels
    assert corrected.found[0].value == pytest.approx(agrees.mean())


def test_prototypes__mix_with_the_label_source():
    made = noisy()
    alone = correct("prototypes", made, embedding="pixels").logits(np.arange(14)).softmax(dim=1)
    source = made.label_sources["given"].probabilities(np.arange(14))
    mixed = correct("prototypes", made, embedding="pixels", weight=0.3).logits(np.arange(14)).softmax(dim=1)
    torch.testing.assert_close(mixed, 0.3 * alone + 0.7 * source, atol=1e-5, rtol=0)


def test_prototypes__lone_and_absent_images_are_told():
    caveats = correct("prototypes", noisy(), embedding="pixels").caveats
    assert any("1 of 5 classes have one image" in said for said in caveats)
    assert any("1 of 5 classes have no image" in said for said in caveats)


def test_prototypes__without_a_source_the_weight_is_1_and_that_is_told():
    made = noisy()
    bare = replace(made, label_sources={})
    asked = correct("prototypes", bare, embedding="pixels", weight=0.3)
    alone = correct("prototypes", made, embedding="pixels")
    torch.testing.assert_close(asked.logits(np.arange(14)), alone.logits(np.arange(14)))
    assert any("no label source to mix with" in said for said in asked.caveats)


def test_prototypes__without_images_there_are_none():
    with pytest.raises(ImpossibleRequest, match="needs images"):
        correct("prototypes", replace(noisy(), images=None))
