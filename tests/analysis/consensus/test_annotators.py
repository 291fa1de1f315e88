"""What is said of each annotator, against crowds whose accuracies are known and against loops."""

from __future__ import annotations

import numpy as np

from analysis.consensus.annotators import annotator_table
from analysis.consensus.methods import dawid_skene
from analysis.consensus.votes import Gold, Votes, numbered
from tests.analysis.consensus.crowds import crowd, said, votes_of

ACCURACIES = np.array([0.9, 0.85, 0.8, 0.75, 0.7])
NO_GOLD = Gold(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def table(votes: Votes, gold: Gold = NO_GOLD, **more):
    return annotator_table(votes, gold, more.get("skilled"), more.get("quality")).set_index("annotator")


def test_agreement_with_others__leaves_ones_own_answer_and_ties_out():
    rows = [(0, "a", 0), (0, "b", 1), (0, "c", 1), (1, "a", 2), (1, "b", 2), (2, "a", 0), (3, "a", [0.5, 0.5, 0.0])]
    found = table(votes_of(rows))
    # Sample 0: b and c say 1, so a is wrong; of b's others a says 0 and c says 1, a tie, and so for c. Sample 1: both agree.
    assert found["compared"].to_dict() == {"a": 2, "b": 1, "c": 0}
    assert found["agreement_with_others"].to_dict() | {"c": None} == {"a": 0.5, "b": 1.0, "c": None}
    assert np.isnan(found.loc["c", "agreement_with_others"]) and found["n"].to_dict() == {"a": 4, "b": 2, "c": 1}


def test_agreement_with_others__is_what_a_loop_finds():
    _, rows = crowd(80, ACCURACIES, seed=1, classes=3, overlap=4)
    found = table(votes_of(rows))
    for name in found.index:
        hits = []
        for i, mine in ((i, label) for i, who, label in rows if who == name):
            others = [label for j, who, label in rows if j == i and who != name]
            counts = np.bincount(others, minlength=3)
            if (counts == counts.max()).sum() == 1:
                hits.append(counts.argmax() == mine)
        assert found.loc[name, "compared"] == len(hits) and found.loc[name, "agreement_with_others"] == np.mean(hits)


def test_gold_accuracy__its_interval_holds_the_known_accuracy():
    held = []
    for seed in range(40):
        true, rows = crowd(100, ACCURACIES, seed, overlap=3)
        answers = said([*rows, *((i, "rev", int(c)) for i, c in enumerate(true))])
        votes, gold = numbered(answers, "rev", len(true), 4)
        found = table(votes, gold)
        assert found["gold_n"].tolist() == found["n"].tolist()
        held += ((found["gold_accuracy_low"] <= ACCURACIES) & (found["gold_accuracy_high"] >= ACCURACIES)).tolist()
    assert 0.92 <= np.mean(held) <= 0.99


def test_dawid_skene_accuracy__is_the_confusion_matrix_diagonal_and_near_the_truth():
    held, off = [], []
    for seed in range(8):
        true, rows = crowd(200, ACCURACIES, seed)
        votes = votes_of(rows, 4)
        found = table(votes, skilled=dawid_skene(votes))
        own = np.array([np.mean([label == true[i] for i, who, label in rows if who == name]) for name in found.index])
        off += (found["dawid_skene_accuracy"] - own).tolist()
        low, high = found["dawid_skene_accuracy_low"], found["dawid_skene_accuracy_high"]
        held += ((low <= ACCURACIES) & (high >= ACCURACIES)).tolist()
    assert abs(np.mean(off)) < 0.01 and np.std(off) < 0.03 and np.mean(held) >= 0.85


def test_annotator_table__pace_is_the_median_of_what_is_known():
    votes = votes_of([(0, "a", 0), (1, "a", 0), (2, "a", 0), (0, "b", 0)])
    seconds = np.where(votes.annotator == 0, np.array([2.0, 2.0, 9.0, 4.0])[: len(votes)], np.nan)
    timed = Votes(votes.samples, votes.annotators, votes.sample, votes.annotator, votes.label, votes.rows, seconds)
    found = table(timed)["seconds"]
    assert found["a"] == np.median(seconds[votes.annotator == 0]) and np.isnan(found["b"])
