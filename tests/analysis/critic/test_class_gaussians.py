"""Class Gaussians: discriminant analysis and explicit refits as oracles."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from analysis.critic.class_gaussians import class_gaussians
from analysis.intervals import wilson

CLASSES = 4
SIZES = (9, 2, 14, 5)


def clouds(sizes: tuple[int, ...] = SIZES, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated vectors around one centre a class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    mixed = rng.standard_normal((len(labels), width)) @ rng.standard_normal((width, width))
    return (rng.standard_normal((len(sizes), width))[labels] + mixed).astype(np.float32), labels


def pooled(vectors: np.ndarray, labels: np.ndarray) -> tuple[LedoitWolf, int]:
    """The shrunk covariance within classes and its degrees of freedom."""
    means = np.stack([vectors[labels == c].mean(axis=0) if (labels == c).any() else 0 * vectors[0] for c in range(CLASSES)])
    freedom = len(labels) - len(np.unique(labels))
    return LedoitWolf(assume_centered=True).fit((vectors - means[labels]) * np.sqrt(len(labels) / freedom)), freedom


def test_log_likelihoods__equal_discriminant_analysis_with_equal_priors():
    vectors, labels = clouds()
    asked = np.random.default_rng(1).standard_normal((50, 6)).astype(np.float32) * 2
    covariance = pooled(vectors.astype(float), labels)[0].covariance_
    shared = SimpleNamespace(fit=lambda rows: None, covariance_=covariance)
    lda = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(CLASSES, 1 / CLASSES), covariance_estimator=shared)
    expected = lda.fit(vectors.astype(float), labels).predict_proba(asked)
    found = softmax(class_gaussians(vectors, labels, CLASSES).log_likelihoods(asked), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_left_out__equals_refits_without_each_sample(seed):
    vectors, labels = clouds(seed=seed)
    rows = vectors.astype(float)
    shrunk, freedom = pooled(rows, labels)
    floor = shrunk.shrinkage_ * np.trace(shrunk.covariance_) / rows.shape[1]
    found = class_gaussians(vectors, labels, CLASSES).left_out(vectors, labels)
    for i in range(len(rows)):
        kept = np.arange(len(rows)) != i
        means = np.stack([rows[kept & (labels == c)].mean(axis=0) for c in range(CLASSES)])
        off = rows[kept] - means[labels[kept]]
        scatter = (1 - shrunk.shrinkage_) * off.T @ off + freedom * floor * np.eye(rows.shape[1])
        precision = np.linalg.inv(scatter / (freedom - 1))
        expected = [-(rows[i] - mean) @ precision @ (rows[i] - mean) / 2 for mean in means]
        np.testing.assert_allclose(found[i], expected, rtol=1e-3)


def test_left_out__noise_is_of_no_class():
    """Were a vector still in the covariance, or in its class's mean, it would look like its class."""
    rng = np.random.default_rng(0)
    vectors, labels = rng.standard_normal((200, 100)).astype(np.float32), np.repeat(np.arange(20), 10)
    found = class_gaussians(vectors, labels, 20).left_out(vectors, labels)
    low, _ = wilson(int((found.argmax(axis=1) == labels).sum()), len(labels))
    assert low < 1 / 20


def test_class_gaussians__a_part_stands_for_all(monkeypatch):
    vectors, labels = clouds((400, 300, 500, 200), width=8)
    whole = class_gaussians(vectors, labels, CLASSES)
    monkeypatch.setattr("analysis.critic.class_gaussians.MOST_ROWS", 600)
    part = class_gaussians(vectors, labels, CLASSES)
    assert part.weight == 0 and whole.weight > 0
    # Means are of all rows either way.
    likelier = [held.left_out(vectors, labels).argmax(axis=1) for held in (whole, part)]
    assert (likelier[0] == likelier[1]).mean() > 0.97
