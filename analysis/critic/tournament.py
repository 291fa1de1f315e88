"""Bradley-Terry over the candidates of each sample: a best label with its probability, a ranking, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import choix
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, shortest_path
from scipy.special import softmax

from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.votes import Preferences

FEWEST_IN_A_CYCLE = 3
SAME = 1e-9
"""Two sums of weighted rounds that differ by less than this part of them are a tie, not a majority."""
ALIKE = 1e-6
SAMPLES_AT_ONCE = 1 << 16
"""Of 6 candidates each, what is held of them at once is some 60 MiB."""
MOST_STEPS = 3_000
"""Of I-LSR: a few wins and next to no prior take thousands, anything else a dozen."""
TRIES = 8
"""How often the prior is made ten times as strong where the strengths are not found."""


@dataclass(frozen=True, eq=False)
class Standings:
    """The same samples and candidates as a ``Candidates``: ``p`` float64 (n, K), the probability of each by Luce's choice
    rule, rows sum to 1, 0 beside NO_CLASS; ``cycle`` bool (n,), whether the answers contradict any ranking; ``rounds``
    float64 (n,), answered rounds of all judges."""

    p: np.ndarray
    cycle: np.ndarray
    rounds: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The place of the likeliest candidate, int64 (n,); of equal ones the first, which speaks for the given label.

        Equal is what differs by less than the strengths are found to: where labels beat each other in a circle, rounding
        would choose."""
        return (self.p > self.p.max(axis=1, keepdims=True) - ALIKE).argmax(axis=1)

    @property
    def ranking(self) -> np.ndarray:
        """The places of each sample from the likeliest to the least, int64 (n, K), ``best`` first."""
        first = np.arange(self.p.shape[1]) == self.best[:, None]
        return np.argsort(-(self.p + first), axis=1, kind="stable")

    def take(self, rows: np.ndarray) -> Standings:
        """The samples at ``rows``, int64 (m,)."""
        return Standings(self.p[rows], self.cycle[rows], self.rounds[rows])


def tournament(candidates: Candidates, preferences: Preferences, weights: Mapping[str, float], prior: float) -> Standings:
    """The standings of each sample's candidates after all judges' ``preferences``, each judge counting ``weights`` of it.

    Bradley-Terry strengths by I-LSR (Maystre and Grossglauser, NIPS 2015) as in choix; ``p`` is Luce's choice among a
    sample's candidates, their softmax. A tie is half a win for each: enough to rank by, though it says nothing of how likely
    ties are (Turner and Firth 2012, doi:10.18637/jss.v048.i09; Davidson's model of 1970 would,
    doi:10.1080/01621459.1970.10481082). ``prior`` > 0 is choix's ``alpha``: with K candidates the strengths maximise the
    likelihood times the product of all p**(prior K), as if each had been chosen prior K times more from among all. A graph
    that is not connected, or a label that never lost, therefore has strengths too; without any answer all are alike.

    ``p`` says how often a label would be chosen, not how sure it is to be the best: of K labels, judges that are right four
    times in five leave the true one 4 / (K + 3) however often they are asked. ``chances`` has the other probability.

    Preferences about other samples or labels are ignored. Raises KeyError for a judge without a weight, ValueError for a
    weight or prior that is out of range.
    """
    if not (np.isfinite(prior) and prior > 0):
        raise ValueError("the prior is a number above 0")
    known = _known(candidates, preferences)
    held = candidates.classes != NO_CLASS
    p = np.divide(held, held.sum(axis=1, keepdims=True), out=np.zeros(held.shape), where=held)
    for rows, wins in _wins(candidates, known, weights):
        p[rows] = _probabilities(wins, held[rows], prior)
    return _standings(candidates, known, weights, p)


def chances(candidates: Candidates, preferences: Preferences, weights: Mapping[str, float]) -> Standings:
    """The same samples, but ``p`` is the probability that a label is the true one, if exactly one is and judges err
    independently: for planning what to ask, as it tells a sample that is settled from one that is not. Judges that err alike
    make it too sure to adopt a label by.

    A judge's weight is taken for the log-odds of being right where the true label is in the pair (Nitzan and Paroush 1982,
    doi:10.2307/2526438); between two wrong ones it is taken to toss a coin. Beforehand all labels are alike. A tie is half
    an answer each way. Raises as ``tournament`` does for weights.
    """
    known = _known(candidates, preferences)
    weight, half = _weight_of_each(known.said.judge, weights), known.said.tied / 2
    for_first, for_second = known.said.for_first + half, known.said.for_second + half
    won, lost = np.log(2) - np.logaddexp(0, -weight), np.log(2) - np.logaddexp(0, weight)
    likelihood = np.where(candidates.classes == NO_CLASS, -np.inf, 0.0)
    np.add.at(likelihood, (known.row, known.first), won * for_first + lost * for_second)
    np.add.at(likelihood, (known.row, known.second), won * for_second + lost * for_first)
    return _standings(candidates, known, weights, softmax(likelihood, axis=1))


def cycles(candidates: Candidates, preferences: Preferences, weights: Mapping[str, float]) -> pd.DataFrame:
    """The answers that contradict any ranking: columns ``sample_id`` and ``labels``, a list of int of which each was
    preferred to the next, and the last to the first, by the weighted majority.

    One row for each part of a sample's candidates that contradicts itself, with a shortest cycle in it. Raises as
    ``tournament`` does.
    """
    found = []
    for rows, wins in _wins(candidates, _known(candidates, preferences), weights):
        part, inside = _in_cycles(wins)
        better = _majorities(wins)
        for at in np.flatnonzero(inside.any(axis=1)):
            row = rows[at]
            for number in np.unique(part[at][inside[at]]):
                places = _shortest_cycle(better[at], np.flatnonzero(part[at] == number))
                found.append((candidates.sample_id[row], candidates.classes[row, places].tolist()))
    return pd.DataFrame(found, columns=["sample_id", "labels"]).astype({"sample_id": np.int64})


def rows_of(candidates: Candidates, sample_id: np.ndarray) -> np.ndarray:
    """The row of each sample ``sample_id`` int64 (n,) in ``candidates``, int64 (n,); -1 where it is not there."""
    if not len(candidates):
        return np.full(len(sample_id), -1)
    order = np.argsort(candidates.sample_id, kind="stable")
    at = order[np.minimum(np.searchsorted(candidates.sample_id, sample_id, sorter=order), len(order) - 1)]
    return np.where(candidates.sample_id[at] == sample_id, at, -1)


def places_of(candidates: Candidates, rows: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The place of each ``label`` int64 (n,) among the candidates at ``rows`` (n,), int64 (n,); -1 where it is none."""
    place = np.full(len(rows), -1)
    there = np.flatnonzero((rows >= 0) & (label != NO_CLASS))
    same = candidates.classes[rows[there]] == label[there, None]
    place[there] = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    return place


@dataclass(frozen=True, eq=False)
class _Known:
    """Preferences about candidates in the order of their rows, with the row and the places that they stand at."""

    row: np.ndarray
    first: np.ndarray
    second: np.ndarray
    said: Preferences

    def take(self, rows: np.ndarray) -> _Known:
        return _Known(self.row[rows], self.first[rows], self.second[rows], self.said.take(rows))


def _known(candidates: Candidates, preferences: Preferences) -> _Known:
    """The ``preferences`` that were answered and are about candidates of theirs."""
    row = rows_of(candidates, preferences.sample_id)
    first, second = (places_of(candidates, row, label) for label in (preferences.first, preferences.second))
    there = np.flatnonzero((first >= 0) & (second >= 0) & (preferences.answered > 0))
    return _Known(row, first, second, preferences).take(there[np.argsort(row[there], kind="stable")])


def _standings(candidates: Candidates, known: _Known, weights: Mapping[str, float], p: np.ndarray) -> Standings:
    rounds = np.bincount(known.row, known.said.answered, len(candidates)).astype(float)
    cycle = np.zeros(len(candidates), bool)
    for rows, wins in _wins(candidates, known, weights):
        cycle[rows] = _in_cycles(wins)[1].any(axis=1)
    return Standings(p, cycle, rounds)


def _wins(candidates: Candidates, known: _Known, weights: Mapping[str, float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows (n,) that anything was said about, a part of them at a time, and in each the weighted wins of each place
    (second axis) over each (third): float64 (n, K, K)."""
    weight = _weight_of_each(known.said.judge, weights)
    half, size = known.said.tied / 2, candidates.classes.shape[1]
    for_first, for_second = weight * (known.said.for_first + half), weight * (known.said.for_second + half)
    rows, start = np.unique(known.row, return_index=True)
    for begin in range(0, len(rows), SAMPLES_AT_ONCE):
        part = rows[begin : begin + SAMPLES_AT_ONCE]
        at = slice(start[begin], start[begin + len(part)] if begin + len(part) < len(rows) else len(known.row))
        wins = np.zeros((len(part), size, size))
        table = np.searchsorted(part, known.row[at])
        np.add.at(wins, (table, known.first[at], known.second[at]), for_first[at])
        np.add.at(wins, (table, known.second[at], known.first[at]), for_second[at])
        yield part, wins


def _weight_of_each(judge: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    number, names = pd.factorize(judge)
    found = np.array([weights[name] for name in names], float)
    if not (np.isfinite(found) & (found >= 0)).all():
        raise ValueError("a judge's weight is a number of at least 0")
    return found[number]


def _probabilities(wins: np.ndarray, held: np.ndarray, prior: float) -> np.ndarray:
    """Luce's choice among the places ``held`` bool (n, K) after ``wins`` (n, K, K): float64 (n, K)."""
    p = np.zeros(held.shape)
    pairs = np.triu(wins + wins.transpose(0, 2, 1)) > 0
    single = pairs.sum(axis=(1, 2)) <= 1
    p[single] = _one_pair(wins[single], held[single], prior)
    # Answers without a confidence make few different tables of many samples.
    tables, which = np.unique(wins[~single], axis=0, return_inverse=True)
    alike, sample = np.unique(np.column_stack([which.reshape(-1), held[~single]]), axis=0, return_inverse=True)
    found = [_choice(tables[row[0]], row[1:].astype(bool), prior) for row in alike]
    p[~single] = np.array(found).reshape(-1, held.shape[1])[sample.reshape(-1)]
    return p


def _one_pair(wins: np.ndarray, held: np.ndarray, prior: float) -> np.ndarray:
    """The same in closed form where at most one pair was compared.

    All others have but the prior, 1 / K each; the two share what is left as their wins and prior K each: the stationary
    distribution of choix's chain, whose rates between two labels are alpha + wins / (their strengths' sum, 2 of K).
    """
    count = held.sum(axis=1, keepdims=True)
    won, lost = wins.sum(axis=2), wins.sum(axis=1)
    compared = won + lost > 0
    share = (won + prior * count) / (won + lost + 2 * prior * count)
    return np.where(held, np.where(compared, 2 * share, 1.0) / count, 0.0)


def _choice(wins: np.ndarray, held: np.ndarray, prior: float) -> np.ndarray:
    """The same for one sample by choix: ``wins`` (K, K), ``held`` bool (K,).

    Where it finds no strengths, which takes wins of very different sizes and next to no prior, the prior is made stronger,
    which only draws the labels together; at last all are alike, for then nothing is known.
    """
    p = np.zeros(len(held))
    places = np.flatnonzero(held)
    p[places] = 1 / len(places)
    for stronger in range(TRIES):
        try:
            with np.errstate(all="ignore"):
                found = choix.ilsr_pairwise_dense(wins[np.ix_(places, places)], prior * 10**stronger, max_iter=MOST_STEPS)
        except (RuntimeError, ValueError, np.linalg.LinAlgError):
            continue
        if np.isfinite(found).all():
            p[places] = softmax(found)
            break
    return p


def _majorities(wins: np.ndarray) -> np.ndarray:
    """Whether more weighted rounds prefer a place to another than the other way: bool of ``wins``'s shape."""
    lost = wins.swapaxes(-1, -2)
    return wins - lost > SAME * (wins + lost)


def _in_cycles(wins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongly connected part that each place belongs to, int64 (n, K), and whether it is a cycle's, bool (n, K).

    All samples are one graph, of which no edge leads from one to another.
    """
    n, size = wins.shape[:2]
    sample, better, worse = np.nonzero(_majorities(wins))
    edges = coo_array((np.ones(len(sample)), (sample * size + better, sample * size + worse)), (n * size, n * size))
    part = connected_components(edges, connection="strong")[1].astype(np.int64)
    return part.reshape(n, size), (np.bincount(part)[part] >= FEWEST_IN_A_CYCLE).reshape(n, size)


def _shortest_cycle(better: np.ndarray, places: np.ndarray) -> list[int]:
    """A shortest cycle among ``places`` of the graph ``better`` bool (K, K), from its lowest place."""
    inside = better[np.ix_(places, places)]
    steps, before = shortest_path(inside.astype(float), unweighted=True, return_predecessors=True)
    # A cycle is an edge and the shortest way back.
    start, end = np.unravel_index(np.where(inside, steps.T, np.inf).argmin(), inside.shape)
    way = [int(start)]
    while way[0] != end:
        way.insert(0, int(before[end, way[0]]))
    turn = way.index(min(way))
    return [int(places[place]) for place in way[turn:] + way[:turn]]
