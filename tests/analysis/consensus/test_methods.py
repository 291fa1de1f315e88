"""Consensus by each method, against the libraries' own answers and against crowds whose truth is known."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator
from crowdkit.aggregation import GLAD, DawidSkene, MajorityVote
from scipy import sparse

from analysis.consensus import methods
from analysis.consensus.methods import average, crowdlab, dawid_skene, fits_crowdlab, glad, majority, mean_of_annotators
from analysis.consensus.said import said
from analysis.consensus.votes import UNDECIDED, Votes
from tests.analysis.consensus.crowds import crowd, votes_of

ACCURACIES = (0.9, 0.85, 0.6, 0.75)


@pytest.fixture(scope="module")
def made():
    true, rows = crowd(120, ACCURACIES, seed=3, classes=4, overlap=3)
    return true, rows, votes_of(rows, 4)


def library(aggregator, rows) -> np.ndarray:
    """What crowd-kit itself says of the answers as they are, (tasks, classes), tasks and classes in order."""
    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return aggregator.fit_predict_proba(table).sort_index().sort_index(axis=1).to_numpy()


@pytest.mark.parametrize(("ours", "theirs"), [(majority, MajorityVote), (dawid_skene, DawidSkene), (glad, GLAD)])
def test_methods__say_what_crowd_kit_says(made, ours, theirs):
    _, rows, votes = made
    np.testing.assert_allclose(ours(votes).toarray(), library(theirs(), rows), atol=1e-4)


def predicted(true: np.ndarray, classes: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.6 * np.eye(classes)[np.where(rng.random(len(true)) < 0.8, true, 0)] + 0.4 * rng.dirichlet(
        np.ones(classes), len(true)
    )


def wide(votes: Votes) -> np.ndarray:
    table = np.full((len(votes.samples), len(votes.annotators)), np.nan)
    table[votes.sample, votes.annotator] = votes.label
    return table


def test_crowdlab__is_cleanlabs_consensus_and_annotator_quality(made):
    true, _, votes = made
    p = predicted(true)
    p /= p.sum(axis=1, keepdims=True)
    found, quality = crowdlab(votes, p)
    best = get_label_quality_multiannotator(wide(votes), p, consensus_method="best_quality", verbose=False)
    assert said(found).first.tolist() == best["label_quality"]["consensus_label"].tolist()
    usual = get_label_quality_multiannotator(wide(votes), p, consensus_method="majority_vote", verbose=False)
    consensus = usual["label_quality"]["consensus_label"].to_numpy()
    np.testing.assert_allclose(
        np.asarray(found[np.arange(len(true)), consensus]).ravel(),
        usual["label_quality"]["consensus_quality_score"],
        atol=1e-5,
    )
    np.testing.assert_allclose(quality, usual["annotator_stats"]["annotator_quality"].sort_index().to_numpy())


def test_crowdlab__the_same_votes_give_the_same_whatever_numpy_drew_before():
    votes = votes_of([(i, who, (i + k) % 3) for i in range(12) for k, who in enumerate("ab")] + [(12, "a", 0), (12, "b", 0)])
    even = np.full((13, 3), 1 / 3)
    np.random.seed(1)
    first, drawn = crowdlab(votes, even)[0].toarray(), np.random.random()
    np.random.seed(2)
    np.testing.assert_array_equal(crowdlab(votes, even)[0].toarray(), first)
    np.random.seed(1)
    assert np.random.random() == drawn, "the global generator is left as it was"


def test_crowdlab__samples_and_annotators_without_a_single_class_are_left_out():
    rows = [(0, "a", 0), (0, "b", 0), (1, "a", 1), (1, "b", 1), (2, "c", [0.5, 0.5, 0.0])]
    found, quality = crowdlab(votes_of(rows), np.full((3, 3), 1 / 3))
    assert found.toarray()[2].sum() == 0 and np.isnan(quality[2]) and not np.isnan(quality[:2]).any()


def test_mean_of_annotators__is_the_mean_of_their_distributions():
    votes = votes_of([(0, "a", 0), (0, "b", [0.5, 0.5, 0.0]), (0, "c", [0.0, 0.2, 0.8]), (1, "a", 2)])
    np.testing.assert_allclose(mean_of_annotators(votes).toarray(), [[0.5, 0.7 / 3, 0.8 / 3], [0, 0, 1]])
    np.testing.assert_allclose(majority(votes).toarray(), [[0.5, 0, 0.5], [0, 0, 1]])


def test_average__is_of_those_that_say_anything():
    parts = [sparse.csr_array(np.array(rows)) for rows in ([[1.0, 0], [0, 0], [0, 0]], [[0.5, 0.5], [0.2, 0.8], [0, 0]])]
    np.testing.assert_allclose(average(parts).toarray(), [[0.75, 0.25], [0.2, 0.8], [0, 0]])


@pytest.mark.parametrize("method", [dawid_skene, glad])
def test_methods__one_class_or_too_much_is_left_out(made, method, monkeypatch):
    assert method(votes_of([(0, "a", 1), (0, "b", 1)])) is None
    monkeypatch.setattr(methods, "MOST_DAWID_SKENE", 10)
    monkeypatch.setattr(methods, "MOST_GLAD", 10)
    assert method(made[2]) is None


def test_fits_crowdlab__needs_an_overlap_and_room(made, monkeypatch):
    assert fits_crowdlab(made[2]) and not fits_crowdlab(votes_of([(0, "a", 1), (1, "b", 1)]))
    monkeypatch.setattr(methods, "MOST_CROWDLAB_STEPS", 10)
    assert not fits_crowdlab(made[2])


def test_methods__two_good_annotators_outweigh_three_guessing_ones():
    """Where the accuracies are known, weighing by skill is right more often than counting heads."""
    true, rows = crowd(120, (0.95, 0.95, 0.3, 0.3, 0.3), seed=5, classes=4)
    votes = votes_of(rows, 4)
    right = {m.__name__: float((said(m(votes)).first == true).mean()) for m in (majority, dawid_skene, glad)}
    assert right["dawid_skene"] > right["majority"] + 0.03 and right["glad"] > right["majority"] + 0.03


def test_said__top_two_risk_and_ties():
    one = said(sparse.csr_array(np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]])))
    assert one.label.tolist() == [1, UNDECIDED, 1, UNDECIDED]
    assert one.first.tolist() == [1, 0, 1, UNDECIDED] and one.second.tolist() == [2, 1, UNDECIDED, UNDECIDED]
    np.testing.assert_allclose(one.risk, [0.3, 0.5, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(one.confusion, [0.2 / 0.9, 0.5, 0, np.nan])
    expected = [-sum(p * np.log2(p) for p in (0.1, 0.7, 0.2)), 1, 0, np.nan]
    np.testing.assert_allclose(one.entropy, expected, atol=1e-12)


def test_said__reads_chunk_by_chunk_what_it_reads_at_once(monkeypatch):
    rows = sparse.csr_array(np.random.default_rng(0).dirichlet(np.ones(5), 23))
    whole = said(rows)
    monkeypatch.setattr("analysis.consensus.said.VALUES_A_CHUNK", 20)
    assert all(np.array_equal(getattr(said(rows), name), getattr(whole, name)) for name in ("first", "second", "p_second"))
    assert said(sparse.csr_array(np.ones((3, 1)))).label.tolist() == [0, 0, 0]
