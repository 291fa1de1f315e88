"""Probes on embeddings: class probabilities for each sample from a model that never saw that sample.

Three kinds learn from features and labels: multinomial logistic regression and a linear support vector machine, on
standardised features and cross-validated, and the nearest neighbours' vote, leaving one out. Confident learning wants its
probabilities so (arXiv 1911.00068, section 2), and Prompt Tuned Embedding Classification uses embeddings with a head so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from analysis.context import Context
from analysis.probes.folds import spread_over_folds
from analysis.probes.knn import neighbour_probabilities
from analysis.probes.linear import linear_svm, logistic
from data.errors import ImpossibleRequest

ProbeKind = Literal["logistic", "linear SVM", "nearest neighbours"]
PROBES: tuple[ProbeKind, ...] = get_args(ProbeKind)

PENALTY = 1.0
"""Of 0.03 to 3, best or near it at ranking flipped labels low (200 to 2,000 MNIST and CIFAR-10 images)."""
NEIGHBOURS = 10


@dataclass(frozen=True)
class Learner:
    """How a probe learns: ``penalty`` (L2) is the linear ones', ``neighbours`` how many vote."""

    kind: ProbeKind = "logistic"
    penalty: float = PENALTY
    neighbours: int = NEIGHBOURS

    @property
    def leaves_one_out(self) -> bool:
        """Whether each sample is judged by all others, so that there are no folds to choose."""
        return self.kind == "nearest neighbours"


@dataclass(frozen=True)
class ProbeResult:
    """``probabilities`` float32 (N, C), each row from a probe fitted without that sample, NaN in ``left_out`` rows.

    ``left_out`` int64 holds the samples whose class has no other image to learn from; no probe knows such a class.
    ``folds`` is 0 where the probe learnt from other images altogether, and the samples' number where it left one out.
    """

    probabilities: torch.Tensor
    left_out: np.ndarray
    folds: int = 0


def cross_validated(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    device: torch.device,
    context: Context | None = None,
    *,
    learner: Learner = Learner(),
    folds: int = 5,
    seed: int = 0,
) -> ProbeResult:
    """Out-of-fold probabilities from ``features`` (N, D) and ``labels`` int64 (N,).

    Each class is spread evenly over the folds, so a class of two still has one image to learn from when the other is
    held out; nearest neighbours need no folds. Raises ImpossibleRequest where fewer than two classes have two images.
    """
    context = context or Context()
    sizes = np.bincount(labels, minlength=num_classes)
    known = np.flatnonzero(sizes >= 2)
    if len(known) < 2:
        raise ImpossibleRequest(
            "a cross-validated probe needs two classes with at least two images each; "
            "choose a label source, such as a teacher, for the probabilities instead."
        )
    learnable, left_out = np.flatnonzero(sizes[labels] >= 2), np.flatnonzero(sizes[labels] < 2)
    targets = np.searchsorted(known, labels)
    if learner.leaves_one_out:
        own = _rows(features, learnable)
        rows = neighbour_probabilities(own, targets[learnable], len(known), learner.neighbours, device, context)
        return _result(rows, learnable, known, left_out, (len(labels), num_classes), len(learnable))
    folds = int(min(folds, sizes.max()))
    fold_of = spread_over_folds(labels, folds, seed)
    fold_of[left_out] = -1
    rows = torch.zeros(len(labels), len(known))
    for fold in range(folds):
        held_out, train = np.flatnonzero(fold_of == fold), np.flatnonzero((fold_of >= 0) & (fold_of != fold))
        learn_from = (_rows(features, train), targets[train])
        part = context.part(fold / folds, (fold + 1) / folds)
        rows[held_out] = _predicted(learner, learn_from, _rows(features, held_out), len(known), device, part)
    return _result(rows[learnable], learnable, known, left_out, (len(labels), num_classes), folds)


def learnt_elsewhere(
    learn_from: tuple[np.ndarray, np.ndarray],
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    device: torch.device,
    context: Context | None = None,
    *,
    learner: Learner = Learner(),
) -> ProbeResult:
    """Probabilities for ``features`` (N, D) from a probe fitted on other (features (M, D), labels int64 (M,)).

    Samples whose given class is not among those are left out. Raises ImpossibleRequest for fewer than two classes.
    """
    known = np.unique(learn_from[1])
    if len(known) < 2:
        raise ImpossibleRequest("a probe needs reference images of at least two classes; use a label source instead.")
    own = (_rows(learn_from[0], np.arange(len(learn_from[1]))), np.searchsorted(known, learn_from[1]))
    everyone = np.arange(len(labels))
    rows = _predicted(learner, own, _rows(features, everyone), len(known), device, context or Context())
    left_out = np.flatnonzero(~np.isin(labels, known))
    return _result(rows, everyone, known, left_out, (len(labels), num_classes), 0)


def _predicted(
    learner: Learner,
    learn_from: tuple[np.ndarray, np.ndarray],
    asked: np.ndarray,
    num_classes: int,
    device: torch.device,
    context: Context,
) -> torch.Tensor:
    """Probabilities float32 (n, C) for ``asked`` (n, D) from what ``learn_from`` (features, targets) teaches."""
    if learner.kind == "nearest neighbours":
        return neighbour_probabilities(*learn_from, num_classes, learner.neighbours, device, context, asked)
    fit = logistic if learner.kind == "logistic" else linear_svm
    inputs, targets = (torch.from_numpy(values).to(device) for values in learn_from)
    return fit(inputs, targets, num_classes, learner.penalty, context).predict(torch.from_numpy(asked))


def _result(
    rows: torch.Tensor, ids: np.ndarray, known: np.ndarray, left_out: np.ndarray, shape: tuple[int, int], folds: int
) -> ProbeResult:
    """``rows`` (n, K) of the samples ``ids`` over the classes ``known`` (K,), put where they belong in ``shape`` (N, C)."""
    probabilities = torch.zeros(shape)
    probabilities[torch.from_numpy(ids)[:, None], torch.from_numpy(known)] = rows
    probabilities[torch.from_numpy(left_out)] = torch.nan
    return ProbeResult(probabilities, left_out, folds)


def _rows(features: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.asarray(features[ids], dtype=np.float32)
