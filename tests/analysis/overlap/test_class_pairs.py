"""The statistics of confused pairs, against loops, scipy and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats

from analysis.intervals import wilson
from analysis.overlap.class_pairs import Confusion, benjamini_hochberg, confusion, habit, p_values

square = st.integers(3, 6).flatmap(lambda c: arrays(np.int64, (c, c), elements=st.integers(0, 30)))


def csr(dense: np.ndarray) -> sparse.csr_array:
    return sparse.csr_array(np.asarray(dense))


@given(square)
def test_confusion__has_every_pair_with_samples_between_it(dense: np.ndarray) -> None:
    found = confusion(csr(dense))
    expected = [(a, b) for a in range(len(dense)) for b in range(a + 1, len(dense)) if dense[a, b] + dense[b, a]]
    assert list(zip(found.a.tolist(), found.b.tolist(), strict=True)) == expected
    assert found.ab.tolist() == [dense[a, b] for a, b in expected]
    assert found.ba.tolist() == [dense[b, a] for a, b in expected]
    assert found.n_a.tolist() == [dense[a].sum() for a, _ in expected]


def test_confusion__adds_pairs_asked_for_without_samples() -> None:
    found = confusion(csr([[5, 0, 1], [0, 5, 0], [0, 0, 5]]), np.array([[0, 1]]))
    assert found.a.tolist() == [0, 0] and found.b.tolist() == [1, 2] and found.ab.tolist() == [0, 1]


def habit_by_loop(dense: np.ndarray, a: int, b: int) -> tuple[float, float]:
    """The mean over classes of where their samples astray go, weighted n / (n + 10), and how many draws it is worth."""
    classes = len(dense)
    lost = dense.sum(axis=1) - dense.diagonal()

    def weighted(j: int) -> float:
        there = (i for i in range(classes) if i not in (a, j) and lost[i])
        return 0.5 / (classes - 1) + sum(lost[i] / (lost[i] + 10) * dense[i, j] / lost[i] for i in there)

    others = [i for i in range(classes) if i not in (a, b) and lost[i]]
    weights = np.array([0.5, *(lost[i] / (lost[i] + 10) for i in others)])
    draws = np.array([10, *(lost[i] for i in others)])
    worth = weights.sum() ** 2 / (weights**2 / draws).sum()
    return weighted(b) / sum(weighted(j) for j in range(classes) if j != a), worth


@given(square)
def test_habit__equals_a_loop_and_sums_to_one(dense: np.ndarray) -> None:
    known = np.ones(len(dense), dtype=bool)
    for a in range(len(dense)):
        others = np.array([b for b in range(len(dense)) if b != a])
        found = habit(csr(dense), known, np.full(len(others), a), others)
        expected = np.array([habit_by_loop(dense, a, b) for b in others])
        np.testing.assert_allclose(found.chance, expected[:, 0], rtol=1e-9)
        np.testing.assert_allclose(found.samples, expected[:, 1], rtol=1e-9)
        assert found.chance.sum() == pytest.approx(1)


@given(square)
@settings(max_examples=30, deadline=None)
def test_p_values__are_scipys_beta_binomial_tail(dense: np.ndarray) -> None:
    pairs = confusion(csr(dense))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.overlap.class_pairs.TERMS_AT_ONCE", 7)
        found = p_values(pairs, csr(dense), np.ones(len(dense), dtype=bool))
    lost = dense.sum(axis=1) - dense.diagonal()
    for pair, (a, b) in enumerate(zip(pairs.a, pairs.b, strict=True)):
        there, back = habit_by_loop(dense, a, b), habit_by_loop(dense, b, a)
        trials, hits = lost[a] + lost[b], dense[a, b] + dense[b, a]
        chance, worth = (lost[a] * there[0] + lost[b] * back[0]) / trials, min(there[1], back[1])
        if hits == pytest.approx(trials * chance, abs=1e-9):
            continue  # whether that is more than expected is a matter of rounding
        expected = 1.0
        if hits > trials * chance:
            expected = stats.betabinom(trials, chance * worth, (1 - chance) * worth).sf(hits - 1)
        assert found[pair] == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_p_values__are_1_where_two_classes_are_all_there_is() -> None:
    dense = csr([[5, 9], [9, 5]])
    assert p_values(confusion(dense), dense, np.ones(2, dtype=bool)).tolist() == [1]


def drawn(rng: np.random.Generator, go_to: np.ndarray, lost: np.ndarray, n: int = 200) -> np.ndarray:
    """Counts of n samples a class of which ``lost`` (C,) go astray, to others in proportion to ``go_to`` (C,)."""
    dense = np.zeros((len(lost), len(lost)), dtype=np.int64)
    for i, astray in enumerate(lost):
        weights = np.where(np.arange(len(lost)) == i, 0, go_to)
        dense[i] = rng.multinomial(astray, weights / weights.sum())
        dense[i, i] = n - astray
    return dense


@pytest.mark.parametrize(("classes", "sink"), [(3, 1), (3, 3), (10, 1), (10, 6), (40, 1), (40, 6)])
def test_p_values__false_positives_stay_below_alpha(classes: int, sink: int) -> None:
    """Over 300 sets without overlap: noisy classes, rare errors, or one class that everything is taken for."""
    rng, wrong = np.random.default_rng(classes + sink), 0
    go_to, known = np.ones(classes), np.ones(classes, dtype=bool)
    go_to[0] = sink
    for _ in range(300):
        dense = csr(drawn(rng, go_to, rng.integers(0, rng.choice([3, 20, 100]), classes)))
        pairs = confusion(dense)
        wrong += bool((benjamini_hochberg(p_values(pairs, dense, known), classes * (classes - 1) // 2) <= 0.05).any())
    assert wilson(wrong, 300)[0] <= 0.05, f"{wrong} of 300 sets"


@pytest.mark.parametrize("members", [(0, 1), (0, 1, 2)])
def test_p_values__find_classes_confused_among_themselves(members: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    dense = drawn(rng, np.ones(10), np.full(10, 10))
    for a in members:
        dense[a, [b for b in members if b != a]] += 20
    pairs = confusion(csr(dense))
    found = benjamini_hochberg(p_values(pairs, csr(dense), np.ones(10, dtype=bool)), 45) <= 0.05
    sure = {(int(a), int(b)) for a, b in zip(pairs.a[found], pairs.b[found], strict=True)}
    assert sure == {(a, b) for a in members for b in members if a < b}


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)), st.integers(0, 30))
def test_benjamini_hochberg__equals_scipy_with_the_untested_at_one(p: np.ndarray, more: int) -> None:
    expected = stats.false_discovery_control(np.concatenate([p, np.ones(more)]))[: len(p)]
    np.testing.assert_allclose(benjamini_hochberg(p, len(p) + more), expected, atol=1e-12)


@pytest.mark.parametrize(("share_a", "share_b"), [(0.02, 0.05), (0.3, 0.1), (0.01, 0.01)])
def test_overlap__interval_covers_the_truth(share_a: float, share_b: float) -> None:
    """Coverage over 4,000 draws at n = 60 and 100 stays within a few points of 95 %."""
    rng = np.random.default_rng(1)
    ab, ba = rng.binomial(60, share_a, 4000), rng.binomial(100, share_b, 4000)
    every = np.arange(4000)
    found = Confusion(every, every + 1, ab, ba, np.full(4000, 60), np.full(4000, 100)).overlap()
    covered = (found.low <= share_a + share_b) & (share_a + share_b <= found.high)
    assert 0.92 <= covered.mean() <= 0.99


def test_leaning__is_the_side_that_is_surely_larger() -> None:
    def leaning(ab: int, ba: int) -> int:
        return int(confusion(csr([[100 - ab, ab], [ba, 100 - ba]])).leaning()[0])

    assert (leaning(40, 5), leaning(5, 40), leaning(8, 5)) == (1, -1, 0)


def test_overlap__of_swapped_classes_is_at_most_one() -> None:
    found = confusion(csr([[0, 50], [50, 0]])).overlap()
    assert found.value[0] == found.high[0] == 1 and found.low[0] > 0.8
