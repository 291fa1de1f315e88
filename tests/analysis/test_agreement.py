"""The analysis of agreement: made crowds, what is said where nothing can be told, and a real crowd's votes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.agreement import agreement
from analysis.consensus.side_by_side import METHODS, side_by_side
from analysis.context import Context
from analysis.findings import Findings
from analysis.registry import run
from data.annotations import Annotations
from data.errors import ImpossibleRequest
from tests.analysis.consensus.crowds import crowd, said, votes_of
from tests.analysis.made_sets import made_set
from tests.analysis.voters import spoken
from tests.fixtures import fixture


def heard(answers: Annotations, n: int = 12, classes: int = 3, **parameters: object) -> Findings:
    distilled_set = made_set((n // classes,), num_classes=classes, size=2, reference=False)
    return run("agreement", distilled_set, Context(annotations=answers), **parameters)


def figure(found: Findings, start: str):
    return next(f for f in found.summary if f.label.startswith(start))


def test_agreement__nobody_one_person_or_no_overlap_is_said_with_what_to_do():
    nobody = heard(said([]))
    one = heard(said([(0, "ada", 0), (1, "ada", 0)]))
    apart = heard(said([(0, "ada", 0), (1, "bob", 0)]))
    for found, sentence in ((nobody, "Nobody has answered"), (one, "Only ada has answered"), (apart, "no sample twice")):
        assert sentence in found.caveats[0] and "overlap of 3" in found.caveats[0]
        assert found.per_sample["score"].isna().all() and not found.per_sample["flag"].any()
    assert figure(apart, "Conflicts").value is None and figure(apart, "Agreement beyond").value is None
    assert "planner" not in apart.tables and any("no plan" in caveat for caveat in apart.caveats)
    assert one.per_sample["consensus_label"].tolist()[:3] == [0, 0, -1], "said, if by one person"


def test_agreement__conflicts_are_flagged_with_their_two_answers():
    rows = [(0, "a", 0), (0, "b", 0), (0, "c", 0), (1, "a", 0), (1, "b", 2), (2, "a", 1)]
    table = heard(said(rows)).per_sample
    assert table["flag"].tolist() == [False, True, *[False] * 10]
    assert {table["first_label"][1], table["second_label"][1]} == {0, 2}
    assert table["majority_label"].tolist()[:4] == [0, -1, 1, -1] and table["majority_share"].tolist()[:3] == [1, 0.5, 1]
    assert table["n_answers"].tolist()[:4] == [3, 2, 1, 0] and table["score"].isna().tolist()[:4] == [
        False,
        False,
        True,
        True,
    ]
    np.testing.assert_allclose(table["risk"][:3], 1 - table["p_consensus"][:3])
    assert table["entropy"][1] == 1 and table["entropy"][0] == 0


def test_agreement__a_known_label_settles_a_conflict_and_is_no_vote():
    rows = [(0, "a", 0), (0, "b", 1), (1, "a", 0), (1, "b", 0), (0, "rev", 1)]
    assert heard(said(rows)).per_sample["n_answers"][0] == 3
    found = heard(said(rows), gold="rev")
    assert found.per_sample["n_answers"][0] == 2 and not found.per_sample["flag"][0]
    assert found.per_sample["known_label"].tolist()[:2] == [1, -1]
    people = found.tables["annotators"].set_index("annotator")
    assert people["gold_accuracy"].to_dict() == {"a": 0.0, "b": 1.0}
    assert any("the harder ones" in caveat for caveat in found.caveats), "known only where the answers differ"


def test_agreement__of_a_known_crowd_is_right_more_often_than_the_given_labels():
    true, rows = crowd(150, (0.9, 0.85, 0.8), seed=2, classes=3)
    rng = np.random.default_rng(0)
    given = np.where(rng.random(150) < 0.8, true, (true + 1) % 3)
    soft = 0.5 * np.eye(3)[np.where(rng.random(150) < 0.85, true, 0)] + 0.5 / 3
    answers = said([*rows, *((i, "rev", int(true[i])) for i in range(0, 150, 3))])
    found = agreement(spoken(given, soft), Context(annotations=answers), gold="rev", budget=300)
    table, methods = found.per_sample, found.tables["methods"].set_index("method")
    assert (table["consensus_label"] == true).mean() > 0.93 > (given == true).mean()
    assert (
        table["p_consensus"][table["consensus_label"] == true].mean()
        > table["p_consensus"][table["consensus_label"] != true].mean()
    )
    assert set(methods.index) == set(METHODS) and (methods["gold_n"] >= 45).all()
    assert ((methods["gold_accuracy_low"] <= methods["gold_accuracy"]) & (methods["gold_accuracy"] >= 0.85)).all()
    values = found.matrices["methods"].values
    np.testing.assert_allclose(values, values.T)
    assert (np.diag(values) == 1).all() and methods["same_as_chosen"]["mean of methods"] == 1
    given_rate = figure(found, "Consensus other")
    assert given_rate.low <= (given != true).mean() <= given_rate.high
    planner = found.tables["planner"]
    assert planner["chosen"].sum() == 1 and set(planner["group"]) == {"annotators", "reviewer"}
    assert planner["labelled"].tolist()[:3] == [150, 150, 100], "no more than there are"
    assert any(caveat.startswith("Of 300 answers to spend, ") for caveat in found.caveats)
    assert any("measured where the label is known (150 answers)" in caveat for caveat in found.caveats)
    assert found.per_class["answered_twice"].tolist() == np.bincount(given, minlength=3).tolist()
    assert found.per_class["conflict_share"].notna().all()


def test_agreement__the_consensus_that_counts_is_chosen():
    rows = [(0, "a", 0), (0, "b", 0), (0, "c", 1), (1, "a", 1), (1, "b", 1), (1, "c", 1)]
    votes = votes_of(rows)
    one = spoken(np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]]))
    by = {name: told.p_first[0] for name, told in side_by_side(votes, one, "", Context()).said.items()}
    assert tuple(by) == METHODS and by["majority"] == by["mean of annotators"] == pytest.approx(2 / 3)
    others = [p for name, p in by.items() if name != "mean of methods"]
    np.testing.assert_allclose(by["mean of methods"], np.mean(others), atol=1e-6)
    found = agreement(one, Context(annotations=said(rows)), consensus="CROWDLAB").per_sample
    assert found["p_consensus"][0] == found["p_crowdlab"][0] == pytest.approx(by["CROWDLAB"])
    bare = spoken(np.zeros(2, int), np.eye(3)[[0, 0]])
    bare = type(bare)(bare.name, bare.labels, bare.class_names, bare.provenance)
    assert any("CROWDLAB is left out" in caveat for caveat in agreement(bare, Context(annotations=said(rows))).caveats)
    with pytest.raises(ImpossibleRequest, match="no consensus by CROWDLAB"):
        agreement(bare, Context(annotations=said(rows)), consensus="CROWDLAB")


def test_agreement__two_annotators_and_few_answers_are_warned_of():
    caveats = " ".join(heard(said([(0, "a", 0), (0, "b", 1), (1, "a", 1), (1, "b", 1)])).caveats)
    assert "Two annotators" in caveats and "Only 2 samples have two answers" in caveats and "2.0 answers a sample" in caveats
    assert "independent" in caveats
    tied = heard(said([(0, "a", [0.5, 0.0, 0.5]), (0, "b", 1)]))
    assert any(caveat.startswith("1 softened answers have no single") for caveat in tied.caveats)
    assert tied.per_sample["flag"][0] and tied.per_sample["second_label"][0] == 0


def test_agreement__an_accuracy_can_be_given_for_the_planner():
    found = heard(said([(0, "a", 0), (1, "b", 0)]), accuracy=0.9, budget=12, most_answers=1, reviewer_price=4.0)
    assert found.tables["planner"]["right_consensus"].tolist() == pytest.approx([12 * 0.9, 3])


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_agreement__of_a_real_crowd_is_its_majority(name):
    """Five votes a sample on given, guessed, both or neither; who cast which is not known, so they are dealt at random."""
    items = json.loads(fixture("label-errors", f"{name}_mturk.json").read_text())[:60]
    rng, classes = np.random.default_rng(0), 10
    given = np.array([item["given_original_label"] for item in items])
    rows, majority = [], []
    for i, item in enumerate(items):
        a, b = item["given_original_label"], item["our_guessed_label"]
        both = [0.5 * (c == a) + 0.5 * (c == b) for c in range(classes)]
        answers = {"given": a, "guessed": b, "both": both if a != b else a}
        cast = [answers[said_] for said_, n in item["mturk"].items() if said_ in answers for _ in range(n)]
        rows += [(i, f"w{k}", cast[place]) for k, place in enumerate(rng.permutation(len(cast)))]
        counts = np.bincount([c for c in cast if isinstance(c, int)], minlength=classes)
        majority.append(int(counts.argmax()) if (counts == counts.max()).sum() == 1 else -1)
    soft = np.full((len(items), classes), 0.01) + 0.9 * np.eye(classes)[given]
    found = agreement(spoken(given, soft / soft.sum(axis=1, keepdims=True)), Context(annotations=said(rows)))
    asked = found.per_sample["n_answers"] > 0
    assert found.per_sample["majority_label"][asked].tolist() == [m for m, yes in zip(majority, asked, strict=True) if yes]
    several = found.per_sample["n_answers"] > 1
    assert found.per_sample["flag"][several & (found.per_sample["majority_label"] == -1)].all(), "a tie is a conflict"
    assert not found.per_sample["flag"][found.per_sample["entropy"] == 0].any(), "full agreement is none"
    alpha = figure(found, "Agreement beyond")
    assert 0 < alpha.low < alpha.value < alpha.high < 1
