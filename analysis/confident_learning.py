"""Confident learning on streamed probabilities: which labels are probably wrong, and how noisy each class is.

The method is Northcutt, Jiang and Chuang's, *Confident Learning: Estimating Uncertainty in Dataset Labels*
(arXiv 1911.00068). Results equal ``cleanlab.filter.find_label_issues`` and ``cleanlab.rank.get_label_quality_scores``
(cleanlab 2.9) on the same probabilities in the same dtype, down to the order in which ties fall; that is why sorting
and the sums that decide a rounding are numpy's, in cleanlab's order, while the passes over all N x C probabilities run
on any device, a chunk at a time. Beside the input this holds a few vectors of length N and the non-zero part of the
C x C joint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from scipy import sparse

from analysis.context import Context
from analysis.label_sources import chunks, per_sample, rows_a_chunk
from data.soft_labels import SoftLabels

Filter = Literal[
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_self_confidence",
    "low_normalized_margin",
]
Ranking = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
FILTERS: tuple[Filter, ...] = get_args(Filter)
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)

NOT_CONFIDENT = -1
_NEAR = 1e-6
_LOWEST_THRESHOLD = 2e-6
_UNREACHABLE = 2
_VALUES_A_SUM = 1 << 20
_VALUES_A_GATHER = 1 << 25


@dataclass(frozen=True)
class RowFacts:
    """What one pass leaves of each sample's distribution; every array is (N,).

    ``given`` is the probability of the given label, ``other`` the highest of any other class, both in their source's
    dtype; ``top_label`` the most probable class. ``agrees``: the given label is within 1e-6 of being the most probable;
    such a sample is not flagged.
    """

    given: np.ndarray
    other: np.ndarray
    top_label: np.ndarray
    agrees: np.ndarray

    @property
    def top(self) -> np.ndarray:
        """The highest probability."""
        return np.maximum(self.given, self.other)


@dataclass(frozen=True)
class ConfidentLearning:
    """Given ``labels`` (N,) against the probabilities of ``source``, as far as all filters and rankings share it.

    ``thresholds`` (C,) is each class's mean self-confidence (2, out of reach, for a class nobody was given).
    ``confident_label`` int64 (N,) is the class a sample is confidently in, or NOT_CONFIDENT. ``counts`` (C, C) sparse
    int64 counts given label against confident label; ``joint`` is the same calibrated to the true number of samples of
    each given class.
    """

    labels: np.ndarray
    source: SoftLabels
    device: torch.device
    facts: RowFacts
    thresholds: np.ndarray
    confident_label: np.ndarray
    counts: sparse.csr_array
    joint: sparse.csr_array

    @property
    def num_classes(self) -> int:
        return len(self.thresholds)


def learn(labels: np.ndarray, source: SoftLabels, device: torch.device, context: Context | None = None) -> ConfidentLearning:
    """Two passes over ``source`` (N, C) with given ``labels`` int64 (N,).

    Raises ImpossibleRequest where a probability is not a number in [0, 1] (within 1e-6).
    """
    context = context or Context()
    classes = source.num_classes
    facts = _row_facts(labels, source, device, context.part(0, 0.5))
    thresholds = class_thresholds(labels, facts.given, classes)
    confident = _confident_labels(source, thresholds, facts.top_label, device, context.part(0.5, 1))
    counts = _count(labels, confident, classes)
    joint = _calibrated(counts, np.bincount(labels, minlength=classes))
    return ConfidentLearning(labels, source, device, facts, thresholds, confident, counts, joint)


def class_thresholds(labels: np.ndarray, given: np.ndarray, num_classes: int) -> np.ndarray:
    """Mean self-confidence of each class's samples, (C,) (equation 2 of the paper)."""
    means = [given[ids].mean() if len(ids) else _UNREACHABLE for ids in ids_by_class(labels, num_classes)]
    return np.clip(means, _LOWEST_THRESHOLD, None)


def quality_scores(learned: ConfidentLearning, ranking: Ranking, context: Context | None = None) -> np.ndarray:
    """(N,), 1 where the given label is surely right; unclipped, as cleanlab's. Only the entropy needs another pass."""
    facts = learned.facts
    if ranking == "self_confidence":
        return facts.given
    if ranking == "normalized_margin":
        return (facts.given - facts.other + 1) / 2
    weighted = _normalised_entropy(learned, context or Context()) / np.clip(facts.given, _NEAR, None)
    return np.log(weighted + 1) / np.clip(weighted, _NEAR, None)


def find_issues(
    learned: ConfidentLearning,
    filter_by: Filter = "prune_by_noise_rate",
    min_examples_per_class: int = 1,
    context: Context | None = None,
) -> np.ndarray:
    """Samples whose label is probably wrong, bool (N,).

    ``min_examples_per_class``: prune no class down to fewer than this, nor any class that has no more.
    """
    confidently_other = (learned.confident_label != NOT_CONFIDENT) & (learned.confident_label != learned.labels)
    if filter_by in ("low_self_confidence", "low_normalized_margin"):
        lowest = np.argsort(quality_scores(learned, filter_by.removeprefix("low_")))  # type: ignore[arg-type]
        mask = np.zeros(len(learned.labels), dtype=bool)
        mask[lowest[: np.count_nonzero(confidently_other & ~learned.facts.agrees)]] = True
        return mask
    if filter_by == "confident_learning":
        mask = confidently_other
    elif filter_by == "predicted_neq_given":
        mask = learned.facts.top_label != learned.labels
    else:
        mask = _pruned(learned, filter_by, min_examples_per_class, context or Context())
    return mask & ~learned.facts.agrees


def ids_by_class(labels: np.ndarray, num_classes: int) -> list[np.ndarray]:
    """Sample ids of each class, ascending, C arrays."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=num_classes))[:-1])


def _row_facts(labels: np.ndarray, source: SoftLabels, device: torch.device, context: Context) -> RowFacts:
    given_labels = torch.from_numpy(labels)
    streamed = chunks(source, device, context, "Reading probabilities")
    parts = ((ids, _facts_of_chunk(chunk, given_labels[ids].to(chunk.device))) for ids, chunk in streamed)
    return RowFacts(*per_sample(len(source), parts))


def _facts_of_chunk(chunk: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    given = chunk.gather(1, labels[:, None])[:, 0]
    other, other_label = chunk.scatter(1, labels[:, None], -1.0).max(dim=1)

    def first_of_highest(own: torch.Tensor) -> torch.Tensor:
        """Whether a label with this probability is the row's argmax: the lower class index wins a tie."""
        return (own > other) | ((own == other) & (labels < other_label))

    top_label = torch.where(first_of_highest(given), labels, other_label)
    return given, other, top_label, first_of_highest(given + _NEAR)


def _confident_labels(
    source: SoftLabels, thresholds: np.ndarray, top_label: np.ndarray, device: torch.device, context: Context
) -> np.ndarray:
    """The class above whose threshold a sample lies; the most probable one where it is above several."""
    confident = np.full(len(source), NOT_CONFIDENT, dtype=np.int64)
    for ids, chunk in chunks(source, device, context, "Counting confident samples"):
        above = chunk >= torch.from_numpy(thresholds - _NEAR).to(chunk.device)
        rows, classes = above.nonzero(as_tuple=True)
        confident[ids[rows.cpu().numpy()]] = classes.cpu().numpy()
        several = ids[(above.sum(dim=1) > 1).cpu().numpy()]
        confident[several] = top_label[several]
    return confident


def _normalised_entropy(learned: ConfidentLearning, context: Context) -> np.ndarray:
    """Each sample's entropy over log C, float64 (N,)."""
    streamed = chunks(learned.source, learned.device, context, "Reading entropies")
    parts = ((ids, (-torch.special.xlogy(chunk, chunk).sum(dim=1),)) for ids, chunk in streamed)
    return per_sample(len(learned.source), parts)[0] / np.log(learned.source.num_classes)


def _count(labels: np.ndarray, confident: np.ndarray, num_classes: int) -> sparse.csr_array:
    sure = confident != NOT_CONFIDENT
    pairs, counts = np.unique(labels[sure] * num_classes + confident[sure], return_counts=True)
    return sparse.csr_array((counts, np.divmod(pairs, num_classes)), shape=(num_classes, num_classes))


def _calibrated(counts: sparse.csr_array, per_class: np.ndarray) -> sparse.csr_array:
    """``counts`` scaled so that each row sums to its class's samples, in whole numbers, int64.

    Every class counts at least one sample as its own, so no row is empty.
    """
    joint = counts + sparse.diags_array(counts.diagonal() < 1, format="csr", dtype=np.int64)
    joint.eliminate_zeros()
    joint.sort_indices()
    classes = len(per_class)
    row = np.repeat(np.arange(classes), np.diff(joint.indptr))
    scaled = joint.data / joint.sum(axis=1)[row] * per_class[row]
    stored_at = joint.indices.astype(np.int64) * classes + row
    scaled = scaled / _sum_as_dense(stored_at, scaled, classes**2) * per_class.sum()
    whole = np.round(scaled)
    for k in np.flatnonzero(np.bincount(row, whole, classes) != per_class):
        span = slice(joint.indptr[k], joint.indptr[k + 1])
        dense = np.zeros(classes)
        dense[joint.indices[span]] = scaled[span]
        whole[span] = _round_to_total(dense, int(per_class[k]))[joint.indices[span]]
    return sparse.csr_array((whole.astype(np.int64), joint.indices, joint.indptr), shape=joint.shape)


def _round_to_total(values: np.ndarray, total: int) -> np.ndarray:
    """``values`` (C,) rounded, those rounded furthest the wrong way moved by one until they sum to ``total``."""
    whole = np.round(values)
    missing = int(total - whole.sum())
    # numpy's unstable order of equal remainders decides who is moved, so it must see all C of them.
    order = np.argsort(values - whole)
    whole[order[::-1][:missing] if missing > 0 else order[:-missing]] += np.sign(missing)
    return whole


def _sum_as_dense(positions: np.ndarray, values: np.ndarray, size: int) -> float:
    """numpy's pairwise sum of a vector of ``size``, ``values`` at ``positions`` and 0 elsewhere, without making it.

    A sum in another order differs in the last bit, which can turn a half that rounds to even.
    """
    order = np.argsort(positions, kind="stable")
    positions, values = positions[order], values[order]

    def of(start: int, length: int) -> float:
        if length > _VALUES_A_SUM:
            half = length // 2 - length // 2 % 8
            return of(start, half) + of(start + half, length - half)
        inside = slice(*np.searchsorted(positions, (start, start + length)))
        dense = np.zeros(length)
        dense[positions[inside] - start] = values[inside]
        return dense.sum()

    return of(0, size)


def _pruned(learned: ConfidentLearning, filter_by: Filter, fewest: int, context: Context) -> np.ndarray:
    rules: dict[str, tuple[_Rule, ...]] = {
        "prune_by_class": (_lowest_of_class,),
        "prune_by_noise_rate": (_furthest_towards_others,),
        "both": (_lowest_of_class, _furthest_towards_others),
    }
    mask = np.zeros(len(learned.labels), dtype=bool)
    for members in _members(learned, max(fewest, 1), context):
        found = [rule(learned, members, fewest) for rule in rules[filter_by]]
        mask[members.ids] = np.logical_and.reduce(found)
    return mask


@dataclass(frozen=True)
class _Members:
    """The samples ``ids`` (n,) given class ``k``; ``columns`` gives their probabilities of some classes, (len, n)."""

    k: int
    ids: np.ndarray
    columns: Callable[[np.ndarray], np.ndarray]


_Rule = Callable[[ConfidentLearning, _Members, int], np.ndarray]


def _members(learned: ConfidentLearning, more_than: int, context: Context) -> Iterator[_Members]:
    """Classes of more than so many samples. Small ones are read together: a read for each would cost more than the rest."""
    by_class = ids_by_class(learned.labels, learned.num_classes)
    rows = rows_a_chunk(learned.num_classes)
    block_of = np.cumsum([len(ids) for ids in by_class]) // rows
    blocks = [np.flatnonzero(block_of == block) for block in np.unique(block_of)]
    for block in context.track(blocks, len(blocks), "Comparing classes"):
        classes = [k for k in block if len(by_class[k]) > more_than]
        large = [k for k in classes if len(by_class[k]) > rows]
        for k in large:
            yield _Members(k, by_class[k], partial(_columns, learned.source, by_class[k]))
        small = [k for k in classes if k not in large]
        if small:
            table = learned.source.probabilities(np.concatenate([by_class[k] for k in small])).numpy()
            parts = np.split(table, np.cumsum([len(by_class[k]) for k in small])[:-1])
            for k, part in zip(small, parts, strict=True):
                yield _Members(k, by_class[k], part.T.__getitem__)


def _lowest_of_class(learned: ConfidentLearning, members: _Members, fewest: int) -> np.ndarray:
    """The class's least self-confident samples, as many as the joint takes for noise."""
    kept, _, _ = _row_of_joint(learned, members.k, fewest)
    mask = np.zeros(len(members.ids), dtype=bool)
    mask[np.argsort(learned.facts.given[members.ids])[: max(0, len(mask) - kept)]] = True
    return mask


def _furthest_towards_others(learned: ConfidentLearning, members: _Members, fewest: int) -> np.ndarray:
    """For each other class, the samples furthest on its side, as many as the joint says are truly of it."""
    _, others, counts = _row_of_joint(learned, members.k, fewest)
    given = learned.facts.given[members.ids]
    mask = np.zeros(len(given), dtype=bool)
    columns_at_once = max(1, _VALUES_A_GATHER // len(given))
    for start in range(0, len(others), columns_at_once):
        some = slice(start, start + columns_at_once)
        for column, count in zip(members.columns(others[some]), counts[some], strict=True):
            mask[np.argsort(-(column - given))[:count]] = True
    return mask


def _row_of_joint(learned: ConfidentLearning, k: int, fewest: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Row k of the joint: samples of class k to keep (at least ``fewest``), other classes, samples that belong to each."""
    joint = learned.joint
    span = slice(joint.indptr[k], joint.indptr[k + 1])
    columns, counts = joint.indices[span], joint.data[span]
    own = int(counts[columns == k].sum())
    lacking = max(own, fewest) - own
    # cleanlab takes one from the non-zero counts for the diagonal even where that is 0 itself.
    spread = max(np.count_nonzero(counts) - 1, 1)
    reduced = np.clip(counts - lacking / spread, 0, None).astype(np.int64)
    wanted = (columns != k) & (reduced > 0)
    return max(own, fewest), columns[wanted], reduced[wanted]


def _columns(source: SoftLabels, ids: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Probabilities of ``columns`` for ``ids``, (len(columns), len(ids))."""
    rows = rows_a_chunk(source.num_classes)
    index = torch.from_numpy(columns.astype(np.int64))
    parts = [source.probabilities(ids[start : start + rows])[:, index] for start in range(0, len(ids), rows)]
    return np.ascontiguousarray(torch.cat(parts).numpy().T)
