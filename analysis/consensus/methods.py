"""Ways of making one distribution a sample of several annotators' answers.

Each returns a sparse matrix (n, C) whose rows sum to 1, or are empty where the method can say nothing. Dawid-Skene and GLAD
are crowd-kit's, CROWDLAB is cleanlab's. All but the mean of annotators count a softened answer as its likeliest class, and
leave it out where two classes tie.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.consensus.votes import Votes
from analysis.intervals import share

MOST_DAWID_SKENE, MOST_GLAD, MOST_CROWDLAB = 20_000_000, 400_000, 8_000_000
"""Answers, or samples, times classes named: beyond that a method takes gigabytes, or minutes (GLAD: 11 s at 600,000)."""
MOST_CROWDLAB_STEPS = 300_000_000
LEAST = 1e-6
"""A probability below this is not kept: every method but the votes themselves gives a little to every class."""


def majority(votes: Votes) -> sparse.csr_array:
    """The share of the votes that each class has."""
    return _normalised(votes.counts)


def mean_of_annotators(votes: Votes) -> sparse.csr_array:
    """The plain average of the annotators' soft labels; whoever named a class gave all to it."""
    v, n = len(votes), len(votes.samples)
    gather = sparse.csr_array((np.ones(v), (votes.sample, np.arange(v))), shape=(n, v))
    return _normalised(sparse.csr_array(gather @ votes.rows))


def dawid_skene(votes: Votes) -> sparse.csr_array | None:
    """A confusion matrix for each annotator and a class prior, by EM (Dawid and Skene 1979, doi 10.2307/2346806).

    None where fewer than two classes are named, or too many for what there is to hold.
    """
    return _by_em("DawidSkene", votes, MOST_DAWID_SKENE)


def glad(votes: Votes) -> sparse.csr_array | None:
    """An ability for each annotator and a difficulty for each sample, by EM (Whitehill et al., NIPS 2009).

    None where fewer than two classes are named, or too many for what there is to do.
    """
    return _by_em("GLAD", votes, MOST_GLAD)


def fits_crowdlab(votes: Votes) -> bool:
    """Whether CROWDLAB has an overlap to learn from and is not too large."""
    n, classes = len(votes.samples), votes.num_classes
    small = n * classes <= MOST_CROWDLAB and n * classes * len(votes.annotators) <= MOST_CROWDLAB_STEPS
    return small and classes > 1 and bool((votes.counts.sum(axis=1) > 1).any())


def crowdlab(votes: Votes, predicted: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
    """A weighted mean of the annotators and of a classifier's ``predicted`` float (n, C), each weighed by how far it agrees
    with the others (Goh, Tkachenko and Mueller, arXiv 2210.06812), and the quality of each annotator, float64 (M,), NaN
    without a vote. Needs ``fits_crowdlab``.
    """
    from cleanlab.multiannotator import get_label_quality_multiannotator

    rows = np.unique(votes.sample[votes.hard])
    wide = np.full((len(votes.samples), len(votes.annotators)), np.nan)
    wide[votes.sample[votes.hard], votes.annotator[votes.hard]] = votes.label[votes.hard]
    voting = np.flatnonzero(~np.isnan(wide).all(axis=0))
    wide, predicted = wide[np.ix_(rows, voting)], predicted[rows].astype(np.float64)
    predicted /= predicted.sum(axis=1, keepdims=True)
    with _quiet(), _seeded():
        told = get_label_quality_multiannotator(
            pd.DataFrame(wide, columns=voting),
            predicted,
            consensus_method="majority_vote",  # its posterior's likeliest class is what "best_quality" takes
            return_detailed_quality=False,
            return_weights=True,
            verbose=False,
        )
    quality = np.full(len(votes.annotators), np.nan)
    quality[told["annotator_stats"].index.to_numpy(int)] = told["annotator_stats"]["annotator_quality"]
    posterior = _crowdlab_posterior(wide, predicted, told)
    found = sparse.csr_array(np.where(posterior >= LEAST, posterior, 0))
    place = sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(len(votes.samples), len(rows)))
    return _normalised(sparse.csr_array(place @ found)), quality


def average(parts: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """The plain average of what several methods say, of each sample those that say anything (Wright and Augenstein, arXiv
    2212.09409)."""
    return _normalised(sparse.csr_array(sum(parts[1:], start=parts[0])))


def _crowdlab_posterior(wide: np.ndarray, predicted: np.ndarray, told: dict) -> np.ndarray:
    """The distributions (n, C) whose value at the consensus label is the quality that cleanlab tells: eq. 2 of the paper."""
    classes = predicted.shape[1]
    several = told["label_quality"]["num_annotations"].to_numpy() != 1
    right = float(told["label_quality"]["annotator_agreement"].to_numpy()[several].mean())
    wrong = (1 - right) / (classes - 1)
    weights, voted = np.asarray(told["annotator_weight"]), ~np.isnan(wide)
    total = voted @ weights
    found = predicted * told["model_weight"] + wrong * total[:, None]
    row, annotator = np.nonzero(voted)
    np.add.at(found, (row, wide[row, annotator].astype(int)), (right - wrong) * weights[annotator])
    return found / (total + told["model_weight"])[:, None]


def _by_em(method: Literal["DawidSkene", "GLAD"], votes: Votes, most: int) -> sparse.csr_array | None:
    """What crowd-kit's ``method`` makes of the votes, unless fewer than two classes are named or ``most`` is exceeded."""
    if not 1 < _named(votes) <= most // max(len(votes.hard), 1):
        return None
    with _quiet():
        from crowdkit import aggregation

        found = getattr(aggregation, method)().fit_predict_proba(_long(votes))
    return _by_sample(found, votes)


def _named(votes: Votes) -> int:
    """How many classes the votes name."""
    return len(np.unique(votes.label[votes.hard]))


def _long(votes: Votes) -> pd.DataFrame:
    """The votes as crowd-kit reads them."""
    hard = votes.hard
    return pd.DataFrame({"task": votes.sample[hard], "worker": votes.annotator[hard], "label": votes.label[hard]})


def _by_sample(found: pd.DataFrame, votes: Votes) -> sparse.csr_array:
    """What crowd-kit found, (tasks, classes named), as rows of the votes' samples."""
    values = found.to_numpy(dtype=float)
    row, column = np.nonzero(values >= LEAST)
    where = found.index.to_numpy(int)[row], found.columns.to_numpy(int)[column]
    shape = len(votes.samples), votes.num_classes
    return _normalised(sparse.csr_array(sparse.coo_array((values[row, column], where), shape=shape)))


def _normalised(rows: sparse.csr_array) -> sparse.csr_array:
    """Rows that sum to 1; an empty one stays so."""
    total = np.asarray(rows.sum(axis=1), dtype=float)
    return sparse.csr_array(sparse.diags_array(np.nan_to_num(share(1, total))) @ rows)


@contextmanager
def _quiet() -> Iterator[None]:
    """Both libraries still use arguments that pandas is about to drop, and say so thousands of times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _seeded() -> Iterator[None]:
    """cleanlab breaks its last ties with numpy's global generator: the same votes must give the same consensus."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)
