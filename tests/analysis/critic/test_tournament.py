"""Standings, against choix, a general optimiser and networkx."""

from __future__ import annotations

import time
from itertools import combinations, pairwise

import choix
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from analysis.critic import tournament as module
from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.tournament import Standings, chances, cycles, places_of, rows_of, tournament
from analysis.critic.votes import Preferences
from data.pair_answers import NOTHING
from tests.analysis.critic.made_preferences import Row, preferences_of

ROUNDS = st.one_of(st.just(0.0), st.floats(0.05, 6).map(lambda rounds: round(rounds, 3)))
PRIORS = st.sampled_from([0.01, 0.1, 0.5, 2.0])


def candidates_of(*classes: list[int], ids: list[int] | None = None) -> Candidates:
    width = max(2, max(map(len, classes), default=2))
    table = np.array([[*row, *[NO_CLASS] * (width - len(row))] for row in classes], np.int64).reshape(-1, width)
    support = np.where(table == NO_CLASS, np.nan, np.linspace(0.9, 0.1, width)).astype(np.float32)
    return Candidates(np.array(ids or range(len(classes)), np.int64), table, support, np.full(table.shape, "", object))


def wins_as_preferences(wins: np.ndarray, sample: int = 0, judge: str = "clip") -> list[Row]:
    """``wins`` (K, K) of the labels 0 to K - 1 as rows."""
    pairs = combinations(range(len(wins)), 2)
    return [(sample, i, j, judge, wins[i, j], wins[j, i], 0.0, 0.0) for i, j in pairs]


def standings_of(wins: np.ndarray, prior: float) -> Standings:
    preferences = preferences_of(wins_as_preferences(wins))
    return tournament(candidates_of(list(range(len(wins)))), preferences, {"clip": 1.0}, prior)


@st.composite
def win_tables(draw: st.DrawFn, least: int = 2, most: int = 6) -> np.ndarray:
    size = draw(st.integers(least, most))
    wins = np.array(draw(st.lists(ROUNDS, min_size=size * size, max_size=size * size))).reshape(size, size)
    np.fill_diagonal(wins, 0)
    return wins


def most_likely(wins: np.ndarray, prior: float) -> np.ndarray:
    """The strengths of the largest likelihood times p**(prior K) of each, by a general optimiser."""

    def loss(theta: np.ndarray) -> float:
        beats = np.logaddexp(0, theta[None, :] - theta[:, None])
        return (wins * beats).sum() - prior * len(theta) * log_softmax(theta).sum()

    return softmax(minimize(loss, np.zeros(len(wins)), method="BFGS", options={"gtol": 1e-9}).x)


@settings(deadline=None)
@given(ROUNDS, ROUNDS, st.floats(1e-3, 5))
def test_tournament__two_candidates_in_closed_form_equal_choix(for_first: float, for_second: float, prior: float) -> None:
    wins = np.array([[0, for_first], [for_second, 0]])
    expected = softmax(choix.ilsr_pairwise_dense(wins, alpha=prior))
    np.testing.assert_allclose(standings_of(wins, prior).p[0], expected, atol=1e-6)


@settings(deadline=None)
@given(st.integers(3, 6), ROUNDS, ROUNDS, PRIORS)
def test_tournament__one_pair_of_several_candidates_equals_choix(size: int, one: float, other: float, prior: float) -> None:
    wins = np.zeros((size, size))
    wins[2, 1], wins[1, 2] = one, other
    expected = softmax(choix.ilsr_pairwise_dense(wins, alpha=prior))
    np.testing.assert_allclose(standings_of(wins, prior).p[0], expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(win_tables(least=3), PRIORS)
def test_tournament__is_the_most_likely_under_the_prior_it_names(wins: np.ndarray, prior: float) -> None:
    p = standings_of(wins, prior).p[0]
    np.testing.assert_allclose(p, most_likely(wins, prior), atol=1e-4)
    assert p.sum() == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(win_tables(), PRIORS, st.randoms(use_true_random=False))
def test_tournament__other_names_for_the_labels_change_nothing(wins: np.ndarray, prior: float, random: object) -> None:
    names = list(range(len(wins)))
    random.shuffle(names)  # type: ignore[attr-defined]
    renamed = wins[np.ix_(names, names)]
    np.testing.assert_allclose(standings_of(renamed, prior).p[0], standings_of(wins, prior).p[0][names], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(win_tables(), PRIORS, st.data())
def test_tournament__one_more_win_never_lowers_the_winner(wins: np.ndarray, prior: float, data: st.DataObject) -> None:
    winner, loser = data.draw(st.permutations(range(len(wins))))[:2]
    more = wins.copy()
    more[winner, loser] += 1
    before, after = standings_of(wins, prior).p[0], standings_of(more, prior).p[0]
    assert after[winner] > before[winner] - 1e-7
    assert after[loser] < before[loser] + 1e-7


def test_tournament__a_tie_is_half_a_win_each() -> None:
    tied = preferences_of([(0, 0, 1, "clip", 2.0, 0.0, 1.0, 5.0)])
    found = tournament(candidates_of([0, 1]), tied, {"clip": 1.0}, 0.1)
    np.testing.assert_allclose(found.p[0], [(2.5 + 0.2) / 3.4, (0.5 + 0.2) / 3.4])
    assert found.rounds[0] == 3


def test_tournament__judges_count_by_their_weight() -> None:
    rows = [(0, 0, 1, "clip", 1.0, 0.0, 0.0, 0.0), (0, 0, 1, "committee", 0.0, 1.0, 0.0, 0.0)]
    found = tournament(candidates_of([0, 1]), preferences_of(rows), {"clip": 3.0, "committee": 0.5}, 0.1)
    np.testing.assert_allclose(found.p[0], [3.2 / 3.9, 0.7 / 3.9])
    assert found.rounds[0] == 2
    unweighted = tournament(candidates_of([0, 1]), preferences_of(rows), {"clip": 0.0, "committee": 0.0}, 0.1)
    np.testing.assert_allclose(unweighted.p[0], [0.5, 0.5])


def test_tournament__samples_of_different_sizes_keep_apart() -> None:
    rng = np.random.default_rng(1)
    candidates = candidates_of([4, 2], [7], [3, 9, NOTHING], [5, 6], [1, 0, 2, 8, 9], ids=[40, 7, 12, 3, 25])
    rows, expected = [], {40: [0.5, 0.5], 3: [0.5, 0.5], 7: [1.0]}
    for sample, labels in ((12, [3, 9, NOTHING]), (25, [1, 0, 2, 8, 9])):
        wins = rng.integers(0, 4, (len(labels), len(labels))) * (1 - np.eye(len(labels)))
        expected[sample] = softmax(choix.ilsr_pairwise_dense(wins, alpha=0.1)).tolist()
        for i, j in combinations(range(len(labels)), 2):
            i, j = sorted((i, j), key=labels.__getitem__)
            rows.append((sample, labels[i], labels[j], "clip", wins[i, j], wins[j, i], 0.0, 0.0))
    rng.shuffle(rows)
    found = tournament(
        candidates, preferences_of([(int(r[0]), int(r[1]), int(r[2]), *r[3:]) for r in rows]), {"clip": 1}, 0.1
    )
    for row, sample in enumerate(candidates.sample_id):
        p = expected[int(sample)]
        np.testing.assert_allclose(found.p[row], [*p, *[0] * (5 - len(p))], atol=1e-6)
    assert found.rounds[[0, 1, 3]].tolist() == [0, 0, 0] and (found.rounds[[2, 4]] > 0).all()


def test_tournament__what_is_no_candidate_is_ignored() -> None:
    rows = [
        (9, 0, 1, "clip", 1.0, 0.0, 0.0, 0.0),
        (0, 0, 5, "gone", 1.0, 0.0, 0.0, 0.0),
        (0, NO_CLASS, 0, "gone", 0.0, 1, 0, 0),
    ]
    found = tournament(candidates_of([0, 1], [0, 1, 2]), preferences_of(rows), {"clip": 1.0}, 0.1)
    np.testing.assert_allclose(found.p, [[0.5, 0.5, 0], [1 / 3] * 3])
    assert not found.rounds.any() and found.best.tolist() == [0, 0]


def test_tournament__of_nothing() -> None:
    none = preferences_of([])
    assert tournament(candidates_of(), none, {}, 0.1).p.shape == (0, 2)
    assert len(cycles(candidates_of(), none, {})) == 0
    assert len(tournament(candidates_of(), preferences_of([(0, 0, 1, "clip", 1, 0, 0, 0)]), {}, 0.1).p) == 0


def test_tournament__refuses_what_it_cannot_weigh() -> None:
    one, asked = candidates_of([0, 1]), preferences_of([(0, 0, 1, "clip", 1, 0, 0, 0)])
    with pytest.raises(KeyError, match="clip"):
        tournament(one, asked, {"committee": 1.0}, 0.1)
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="weight"):
            tournament(one, asked, {"clip": weight}, 0.1)
    for prior in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="prior"):
            tournament(one, asked, {"clip": 1.0}, prior)


def hard_table() -> np.ndarray:
    """Wins of very different sizes that next to no prior leaves choix iterating in vain."""
    rng = np.random.default_rng(0)
    while True:
        wins = np.zeros((6, 6))
        for i, j in combinations(range(6), 2):
            better, worse = (i, j) if rng.random() < 0.8 else (j, i)
            wins[better, worse] = rng.random() * 10 ** rng.uniform(-2, 3)
        try:
            choix.ilsr_pairwise_dense(wins, alpha=1e-8)
        except RuntimeError:
            return wins


def test_tournament__goes_on_with_more_prior_where_choix_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 100)
    wins = hard_table()
    p = standings_of(wins, 1e-8).p[0]
    one_that_works = [most_likely_by_choix(wins, 1e-8 * 10**k) for k in range(1, module.TRIES)]
    assert any(found is not None and np.allclose(p, found) for found in one_that_works)


def most_likely_by_choix(wins: np.ndarray, prior: float) -> np.ndarray | None:
    try:
        return softmax(choix.ilsr_pairwise_dense(wins, alpha=prior))
    except RuntimeError:
        return None


def test_tournament__says_nothing_where_no_prior_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIES", 1)
    monkeypatch.setattr(module, "MOST_STEPS", 100)
    np.testing.assert_allclose(standings_of(hard_table(), 1e-8).p[0], np.full(6, 1 / 6))


@settings(max_examples=100, deadline=None)
@given(win_tables())
def test_tournament__cycles_are_networkx_components(wins: np.ndarray) -> None:
    graph = majority_graph(wins)
    components = [part for part in nx.strongly_connected_components(graph) if len(part) >= 3]
    candidates, preferences = candidates_of(list(range(len(wins)))), preferences_of(wins_as_preferences(wins))
    assert standings_of(wins, 0.1).cycle[0] == bool(components)
    shown = cycles(candidates, preferences, {"clip": 1.0})
    assert shown["sample_id"].tolist() == [0] * len(components)
    for part, labels in zip(sorted(components, key=min), shown.sort_values("labels")["labels"], strict=True):
        assert set(labels) <= part and len(set(labels)) == len(labels) >= 3
        assert labels[0] == min(labels)
        assert all(graph.has_edge(better, worse) for better, worse in pairwise([*labels, labels[0]]))
        assert len(labels) == min(map(len, nx.simple_cycles(graph.subgraph(part))))


def majority_graph(wins: np.ndarray) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(wins)))
    graph.add_edges_from((i, j) for i in range(len(wins)) for j in range(len(wins)) if wins[i, j] > wins[j, i])
    return graph


def test_cycles__by_the_weighted_majority_and_in_the_sets_own_labels() -> None:
    three, two = candidates_of([8, 3, 5], [8, 3], ids=[70, 71]), {"clip": 1.0, "loud": 0.0}
    rows = [(70, 3, 8, "clip", 0.0, 1.0, 0.0, 0.0), (70, 3, 5, "clip", 1.0, 0.0, 0.0, 0.0), (70, 5, 8, "clip", 1.0, 0, 0, 0)]
    louder = [*rows, (70, 5, 8, "loud", 0.0, 9.0, 0.0, 0.0)]
    assert cycles(three, preferences_of(louder), two)["labels"].tolist() == [[8, 3, 5]]
    assert cycles(three, preferences_of(louder), two)["sample_id"].tolist() == [70]
    assert len(cycles(three, preferences_of(louder), {"clip": 1.0, "loud": 1.0})) == 0


def test_cycles__rounding_makes_no_majority() -> None:
    near = 0.1 + 0.2
    wins = np.array([[0, near, 0], [0.3, 0, 1], [1, 0, 0.0]])
    assert near > 0.3
    assert not standings_of(wins, 0.1).cycle[0]


@settings(max_examples=60, deadline=None)
@given(win_tables(), st.floats(0, 4), st.floats(0, 4), st.data())
def test_chances__are_bayes_rule_for_judges_that_err_independently(
    wins: np.ndarray, weight: float, other: float, data: st.DataObject
) -> None:
    wins, more = wins.round(), data.draw(win_tables(len(wins), len(wins))).round()
    rows = [*wins_as_preferences(wins), *wins_as_preferences(more, judge="committee")]
    found = chances(candidates_of(list(range(len(wins)))), preferences_of(rows), {"clip": weight, "committee": other})
    likelihood = np.ones(len(wins))
    for true in range(len(wins)):
        for table, odds in ((wins, np.exp(weight)), (more, np.exp(other))):
            for i, j in np.ndindex(*table.shape):
                right, wrong = odds / (1 + odds), 1 / (1 + odds)
                likelihood[true] *= (right if true == i else wrong if true == j else 0.5) ** table[i, j]
    np.testing.assert_allclose(found.p[0], likelihood / likelihood.sum(), atol=1e-9)
    assert found.rounds[0] == wins.sum() + more.sum()


@settings(deadline=None)
@given(ROUNDS, ROUNDS, ROUNDS, st.floats(0, 4))
def test_chances__of_two_labels_are_the_weighted_vote(one: float, other: float, tied: float, weight: float) -> None:
    said = preferences_of([(0, 0, 1, "clip", one, other, tied, 1.0)])
    found = chances(candidates_of([0, 1], [2, 3, 4]), said, {"clip": weight})
    assert found.p[0, 0] == pytest.approx(1 / (1 + np.exp(-weight * (one - other))))
    np.testing.assert_allclose(found.p[:, 2], [0, 1 / 3])


def test_chances__tell_contradictions_and_refuse_weights_as_the_tournament_does() -> None:
    candidates, preferences = many(25, 3)
    expected = tournament(candidates, preferences, {"clip": 1.0}, 0.1)
    found = chances(candidates, preferences, {"clip": 1.0})
    assert found.cycle.tolist() == expected.cycle.tolist() and found.rounds.tolist() == expected.rounds.tolist()
    with pytest.raises(KeyError, match="clip"):
        chances(candidates, preferences, {})
    with pytest.raises(ValueError, match="weight"):
        chances(candidates, preferences, {"clip": -1.0})


def test_best__of_equals_is_the_given_label() -> None:
    # Each beats the next: rounding leaves one of them ahead.
    wins = np.array([[0, 2, 0], [0, 0, 2], [2, 0, 0.0]])
    for turned in ([0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        assert standings_of(wins[np.ix_(turned, turned)], 0.1).best[0] == 0
    p = np.array([[1 / 3 - 1e-9, 1 / 3 + 1e-9, 1 / 3], [0.2, 0.3, 0.5], [0.45, 0.55, 0]])
    standings = Standings(p, np.zeros(3, bool), np.zeros(3))
    assert standings.best.tolist() == [0, 2, 1]
    assert standings.ranking.tolist() == [[0, 1, 2], [2, 1, 0], [1, 0, 2]]
    assert standings.take(np.array([1])).p.tolist() == [[0.2, 0.3, 0.5]]


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), unique=True, max_size=12), st.lists(st.integers(0, 30), max_size=12))
def test_rows_and_places__equal_a_search(ids: list[int], wanted: list[int]) -> None:
    candidates = candidates_of(*([i % 5, i % 5 + 5] for i in ids), ids=ids)
    found = rows_of(candidates, np.array(wanted, np.int64))
    assert found.tolist() == [ids.index(i) if i in ids else -1 for i in wanted]
    labels = np.array(wanted, np.int64) % 10
    places = places_of(candidates, found, labels)
    rows = [candidates.classes[row].tolist() if row >= 0 else [] for row in found]
    assert places.tolist() == [row.index(label) if label in row else -1 for row, label in zip(rows, labels, strict=True)]


def many(samples: int, size: int) -> tuple[Candidates, Preferences]:
    rng = np.random.default_rng(0)
    candidates = candidates_of(*[list(range(size))] * samples)
    one, other = np.triu_indices(size, 1)
    n = samples * len(one)
    won, none = rng.random(n), np.zeros(n)
    sample, first, second = np.repeat(np.arange(samples), len(one)), np.tile(one, samples), np.tile(other, samples)
    return candidates, Preferences(sample, first, second, np.full(n, "clip", object), won, 1 - won, none, none)


@pytest.mark.parametrize(("samples", "size", "seconds"), [(10_000, 2, 0.5), (1_000, 4, 3.0)])
def test_tournament__is_fast(samples: int, size: int, seconds: float) -> None:
    candidates, preferences = many(samples, size)
    began = time.process_time()
    found = tournament(candidates, preferences, {"clip": 1.0}, 0.1)
    assert time.process_time() - began < seconds  # measured: 0.01 s and 0.65 s
    np.testing.assert_allclose(found.p.sum(axis=1), 1)


def test_tournament__parts_of_many_samples_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, preferences = many(25, 3)
    whole = tournament(candidates, preferences, {"clip": 1.0}, 0.1)
    contradictions = cycles(candidates, preferences, {"clip": 1.0})
    monkeypatch.setattr(module, "SAMPLES_AT_ONCE", 4)
    parts = tournament(candidates, preferences, {"clip": 1.0}, 0.1)
    np.testing.assert_array_equal(parts.p, whole.p)
    np.testing.assert_array_equal(parts.cycle, whole.cycle)
    assert len(contradictions) == whole.cycle.sum() > 0
    assert cycles(candidates, preferences, {"clip": 1.0}).equals(contradictions)
