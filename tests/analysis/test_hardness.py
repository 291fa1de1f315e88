"""Hardness: its measures by hand, what needs respondents, and real votes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from analysis.answers.irt import Answered, fit
from analysis.context import Context
from analysis.findings import Findings
from analysis.hardness import hardness
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set
from tests.analysis.voters import crowd_checked, spoken
from tests.fixtures import fixture


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 15), st.integers(2, 6), st.integers(1, 4))
def test_hardness__measures_by_loops(seed, n, classes, sources):
    rng = np.random.default_rng(seed)
    rows, labels = rng.dirichlet(np.full(classes, 0.5), (sources, n)), rng.integers(0, classes, n)
    table = hardness(spoken(labels, *rows), Context(), item_response="none", glicko=False).per_sample
    for i in range(n):
        one_hot = np.eye(classes)[labels[i]]
        assert table["el2n"][i] == pytest.approx(np.mean([np.linalg.norm(p[i] - one_hot) for p in rows]), abs=1e-5)
        leads = [p[i, labels[i]] - np.delete(p[i], labels[i]).max() for p in rows]
        assert table["margin"][i] == pytest.approx(np.mean(leads), abs=1e-5)
        assert table["agreement"][i] == pytest.approx(np.mean([p[i].argmax() == labels[i] for p in rows]))
    assert (table["flag"] == (table["margin"] < 0)).all()
    np.testing.assert_allclose(table["score"], 1 - table["el2n"] / np.sqrt(2), atol=1e-6)


def test_hardness__its_ends():
    labels, rows = np.array([0, 0]), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    table = hardness(spoken(labels, rows), Context()).per_sample
    assert table["score"].tolist() == pytest.approx([1, 0], abs=1e-6)
    assert table["el2n"].tolist() == pytest.approx([0, np.sqrt(2)]) and table["margin"].tolist() == [1, -1]


def test_hardness__too_few_respondents_are_said_to_be_too_few():
    found = hardness(made_set((12, 12)), Context())
    assert found.per_sample[["difficulty", "rating"]].isna().all(axis=None)
    assert found.summary[-1].value is None and "needs 5 label sources" in found.summary[-1].basis
    assert any("Glicko-2 needs 5" in caveat for caveat in found.caveats)
    enough = hardness(made_set((12, 12)), Context(), fewest_respondents=2)
    assert enough.per_sample[["difficulty", "rating", "rating_deviation"]].notna().all(axis=None)


def simulated(seed: int = 0, n: int = 600, sources: int = 15) -> tuple[Findings, np.ndarray, np.ndarray]:
    """Findings on sources that answer by a 1PL, with the difficulties (n,) and abilities (sources,) behind."""
    rng = np.random.default_rng(seed)
    labels, difficulty, ability = np.arange(n) % 4, rng.standard_normal(n), np.linspace(-0.5, 2.5, sources)
    right = rng.random((sources, n)) < expit(1.5 * (ability[:, None] - difficulty))
    said = np.where(right, labels, (labels + 1) % 4)
    return hardness(spoken(labels, *(0.7 * np.eye(4)[row] + 0.075 for row in said)), Context()), difficulty, ability


def test_hardness__difficulty_and_rating_follow_the_truth():
    found, difficulty, ability = simulated()
    table = found.per_sample
    assert spearmanr(table["difficulty"], difficulty).statistic > 0.8
    assert spearmanr(table["rating"], difficulty).statistic > 0.8
    assert np.mean(np.abs(table["difficulty"] - difficulty) < 1.96 * table["difficulty_error"]) > 0.92
    people = found.tables["respondents"]
    assert people["respondent"].tolist() == [str(place) for place in range(15)]
    assert spearmanr(people["intercept"], ability).statistic > 0.95
    assert spearmanr(people["rating"], ability).statistic > 0.9, "the first period meets samples that nobody has rated"
    np.testing.assert_allclose(people["slope"], 1.5, atol=0.3)
    reliability = found.summary[-1].value
    assert reliability == pytest.approx(np.corrcoef(table["difficulty"], difficulty)[0, 1] ** 2, abs=0.07)


def test_hardness__two_parameters_on_request():
    rows = [0.8 * np.eye(3)[np.random.default_rng(s).integers(0, 3, 60)] + 0.2 / 3 for s in range(4)]
    labels = np.arange(60) % 3
    two = hardness(spoken(labels, *rows), Context(), item_response="2PL", fewest_respondents=2)
    assert two.tables["respondents"]["slope"].nunique() == 4
    few = hardness(spoken(labels, *rows[:2]), Context(), item_response="2PL", fewest_respondents=2)
    assert few.per_sample["difficulty"].isna().all(), "two respondents leave their slopes open"


def test_hardness__unnamed_votes_are_counts():
    rng = np.random.default_rng(0)
    labels, counts = np.arange(200) % 3, np.array([rng.multinomial(9, p) for p in rng.dirichlet(np.ones(3), 200)])
    found = hardness(spoken(labels, counts / 9), Context(), votes=9, item_response="2PL")
    right = counts[np.arange(200), labels]
    expected = fit(Answered(right[:, None], np.full((200, 1), 9)), "1PL")
    np.testing.assert_allclose(found.per_sample["difficulty"], expected.difficulty)
    np.testing.assert_allclose(found.per_sample["agreement"], right / 9)
    assert found.per_sample["rating"].isna().all()
    assert any("have no names" in caveat for caveat in found.caveats)
    assert any("the model is the 1PL" in caveat for caveat in found.caveats)


def test_hardness__votes_that_are_no_votes_are_refused():
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    with pytest.raises(ImpossibleRequest, match="not those of 9 votes"):
        hardness(spoken(np.arange(20) % 3, rows), Context(), votes=9)
    with pytest.raises(ImpossibleRequest, match="name the one that holds the votes"):
        hardness(spoken(np.arange(20) % 3, rows, rows), Context(), votes=9)


def test_hardness__of_thirty_models_votes_on_cifar10():
    """What 30 published models get wrong is what cross-validation finds hard, and where label errors are looked for."""
    opened, ids, _ = crowd_checked("cifar10", votes=True)
    by_votes = hardness(opened, Context(), source="votes", votes=30).per_sample
    by_model = hardness(opened, Context(), source="cross-validated").per_sample
    right = (opened.label_sources["votes"].probabilities(range(10_000)).numpy() * 30).round().astype(int)
    right = right[np.arange(10_000), opened.labels]
    assert spearmanr(by_votes["difficulty"], -right).statistic == pytest.approx(1), "in a Rasch model the number is all"
    assert spearmanr(by_votes["difficulty"], by_model["el2n"]).statistic > 0.6
    candidate = np.isin(np.arange(10_000), ids)
    assert roc_auc_score(candidate, by_votes["difficulty"]) > 0.9
    items = json.loads(fixture("label-errors", "cifar10_mturk.json").read_text())
    backing = [item["mturk"]["given"] for item in items]
    there = by_votes["difficulty"].to_numpy()[[item["id"] for item in items]]
    assert spearmanr(backing, there).statistic < -0.15 and spearmanr(backing, there).pvalue < 0.01


def test_hardness__certain_samples_are_not_told_apart():
    """29 of 30 right and 30 of 30 differ by less than their errors, and the errors say so."""
    opened, _, _ = crowd_checked("cifar10", votes=True)
    table = hardness(opened, Context(), source="votes", votes=30).per_sample
    easiest, next_to_it = (table[np.isclose(table["agreement"], share)].iloc[0] for share in (1.0, 29 / 30))
    assert next_to_it["difficulty"] - easiest["difficulty"] < 1.96 * easiest["difficulty_error"]
