"""Distilled set + decisions -> curated set. Pure: nothing is written and the input is not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from data.decisions import SampleState
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.images import Images
from data.own_labels import own_labels
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.batch import LAYOUTS
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels, hard_labels

LEAST_PROBABILITY = 1e-6
"""What a soften's zeros become where logits are stored: their logarithm has to be finite in any dtype."""

Mixes = Literal["rows", "batch", "self"]
MIXES: tuple[Mixes, ...] = ("rows", "batch", "self")
"""What becomes of a row of a relabelled tree whose partner's image is pruned: its label is of a mixture that cannot be made
again. "rows": it goes, and so does every row that would then lack its partner, so what stays is exact. "batch": every mixed
batch with a pruned image goes whole. "self": it stays with its label, mixed with itself, which is approximate."""


@dataclass(frozen=True)
class CuratedSet:
    """``set`` is what is written; ``kept`` (M,) int64 are the original sample ids of its M samples, in order.

    ``relabelled`` and ``softened`` are original ids whose labels differ from ``original``; ``pruned`` are those left out.
    ``mixes`` says what becomes of the rows of a relabelled tree that were mixed with a pruned image.
    """

    original: DistilledSet
    set: DistilledSet
    kept: np.ndarray
    pruned: tuple[int, ...] = ()
    relabelled: tuple[int, ...] = ()
    softened: tuple[int, ...] = ()
    mixes: Mixes = "rows"

    @property
    def decided(self) -> bool:
        """Whether decisions change anything."""
        return bool(self.pruned or self.relabelled or self.softened)

    @property
    def relabels_all(self) -> bool:
        """Whether the set's own soft labels are others than those it came with (data/own_labels.py)."""
        return own_labels(self.original) is not None

    @property
    def unchanged(self) -> bool:
        return not (self.decided or self.relabels_all)


def curate(original: DistilledSet, decided: Mapping[int, SampleState]) -> CuratedSet:
    """Apply the standing decisions. Kept samples keep their order.

    A relabel changes the hard label, and in the given soft label exchanges the values of the most probable class and the
    new one, so that kind, scale and entropy stay what the authors' training code expects; in a relabelled tree the values of
    the old class and the new one, in the rows that are mostly of that image. A soften replaces the given soft label: as it
    is for probabilities; for logits as its logarithm, shifted to the old row's mean, so that their softmax is the
    distribution asked for; the hard label becomes its most probable class. Teachers and other label sources are opinions of
    their own: they are pruned along but never edited. Derived sources are left behind; one that is to be written is made a
    label source first (data/derived_sources.py).

    A set that stores hard labels only has nowhere to keep a distribution that its authors' code would read, so there a
    soften is refused rather than written where nobody looks. Scores have no agreed scale and cannot be softened either.
    Raises ImpossibleRequest naming the sample that cannot be applied.
    """
    check_fits(original, decided)
    changed = {i: decided[i] for i in sorted(decided) if decided[i].changes}
    pruned = tuple(i for i, state in changed.items() if state.pruned)
    edited = {i: state for i, state in changed.items() if not state.pruned}
    relabelled = tuple(i for i, s in edited.items() if s.label is not None and s.label != original.labels[i])
    softened = tuple(i for i, s in edited.items() if s.soft_label is not None)
    kept = np.setdiff1d(np.arange(len(original)), np.asarray(pruned, dtype=np.int64))
    if not len(kept):
        raise ImpossibleRequest("the decisions prune every sample; restore at least one before exporting.")
    if not (pruned or relabelled or softened):
        return CuratedSet(original, original, kept)
    edits = {i: edited[i] for i in (*relabelled, *softened)}
    return CuratedSet(original, _apply(original, kept, edits), kept, pruned, relabelled, softened)


def soften_obstacle(original: DistilledSet) -> str:
    """Why ``curate`` would refuse to soften a sample of this set, in a sentence; "" where it would not."""
    given = original.label_sources.get(GIVEN)
    kept = "a softened label stays in the log, and has to be taken back before the set is exported"
    if given is None:
        return f"This set stores hard labels only: {kept}."
    if not given.one_row_each:
        return f"This set stores the labels of many crops a sample: {kept}."
    if isinstance(given, TopKSoftLabels):
        return f"This set stores the top {given.values.shape[1]} classes of each sample: {kept}."
    if given.kind == "scores" or (given.kind != "probabilities" and given.num_classes > given.stored([0]).shape[1]):
        return f"This set stores unconstrained scores: {kept}."
    return ""


def check_fits(original: DistilledSet, decided: Mapping[int, SampleState]) -> None:
    """Raises ImpossibleRequest where a decision names a sample or a class that the set does not have."""
    for i, state in decided.items():
        if i >= len(original):
            raise ImpossibleRequest(
                f"a decision names sample {i:,}, but {original.name} has only {len(original):,}; check that the decisions "
                "belong to this set."
            )
        if state.label is not None and state.label >= original.num_classes:
            raise ImpossibleRequest(
                f"the decision for sample {i} gives class {state.label:,}, but {original.name} has classes 0 to "
                f"{original.num_classes - 1}; correct it."
            )
        if state.soft_label is not None and len(state.soft_label) != original.num_classes:
            raise ImpossibleRequest(
                f"the decision for sample {i} gives {len(state.soft_label)} soft-label values for {original.num_classes} "
                "classes; give one a class."
            )


def _apply(original: DistilledSet, kept: np.ndarray, edits: Mapping[int, SampleState]) -> DistilledSet:
    sources = {
        name: _kept_source(source, kept, edits if name == GIVEN else {}, original)
        for name, source in original.label_sources.items()
    }
    labels = original.labels[kept]
    rows = np.searchsorted(kept, sorted(edits))
    if len(rows):
        labels[rows] = _new_labels(edits, rows, sources.get(GIVEN), original)
    images = original.images
    if images is not None and len(kept) < len(original):
        images = Images(images.store.take(kept), images.pixel_space)
    return replace(original, labels=labels, label_sources=sources, derived_sources={}, images=images)


def _new_labels(
    edits: Mapping[int, SampleState], rows: np.ndarray, given: SoftLabels | None, original: DistilledSet
) -> np.ndarray:
    """The hard label of each edited sample, int64, in the order of ids; checked against its edited soft label."""
    ids = sorted(edits)
    asked = [edits[i].label for i in ids]
    if given is None or not given.one_row_each:
        if None in asked:
            raise ImpossibleRequest(
                f"{original.name} stores hard labels only, so sample {ids[asked.index(None)]} cannot be softened; relabel "
                "or prune it instead."
            )
        return np.asarray(asked)
    stored = hard_labels(given.take(rows))
    for i, label, found in zip(ids, asked, stored, strict=True):
        if label is not None and label != found:
            raise ImpossibleRequest(
                f"sample {i} cannot be relabelled as class {label}: its soft label gives several classes the same value, so "
                "exchanging them changes nothing; soften or prune it instead."
            )
    return stored


def _kept_source(
    source: SoftLabels, kept: np.ndarray, edits: Mapping[int, SampleState], original: DistilledSet
) -> SoftLabels:
    if not edits:
        return source if len(kept) == len(source) else source.take(kept)
    if not source.one_row_each:
        return _kept_crops(source, kept, edits, original)
    rows = {int(row): i for row, i in zip(np.searchsorted(kept, list(edits)), edits, strict=True)}
    if isinstance(source, DenseSoftLabels):
        values = source.stored(kept)
        for row, i in rows.items():
            values[row] = _edited_row(values[row], source, i, edits[i])
        return DenseSoftLabels(values, source.kind)
    assert isinstance(source, TopKSoftLabels)
    return _edited_top_k(source.take(kept), {row: (i, edits[i]) for row, i in rows.items()})


def _kept_crops(
    source: SoftLabels, kept: np.ndarray, edits: Mapping[int, SampleState], original: DistilledSet
) -> SoftLabels:
    """A relabel exchanges the sample's old and new class in the rows that are mostly of it; see AugmentedSoftLabels."""
    assert isinstance(source, AugmentedSoftLabels)
    if softened := [i for i, state in edits.items() if state.soft_label is not None]:
        raise ImpossibleRequest(
            f"the soft labels of {original.name} are of many crops a sample, so sample {min(softened)} cannot be softened; "
            "relabel or prune it instead."
        )
    if source.tree.batch(0).layout not in LAYOUTS:
        raise ImpossibleRequest(
            f"the soft labels of {original.name} are quantised, one file a sample, so sample {min(edits)} cannot be "
            "relabelled in them; prune it instead."
        )
    exchanges = {int(source.images[i]): (int(original.labels[i]), state.label) for i, state in edits.items()}
    return replace(source.take(kept), exchanges=exchanges)


def _edited_row(row: torch.Tensor, source: DenseSoftLabels, sample_id: int, state: SampleState) -> torch.Tensor:
    if state.soft_label is not None:
        return _softened_row(row, source, sample_id, state.soft_label)
    if len(row) == 1:  # a binary score: the other class is the same distance on the other side
        return row.abs() if state.label == 1 else -row.abs()
    swapped = row.clone()
    top = int(row.float().argmax())
    swapped[top], swapped[state.label] = row[state.label], row[top]
    return swapped


def _softened_row(row: torch.Tensor, source: DenseSoftLabels, sample_id: int, wanted: tuple[float, ...]) -> torch.Tensor:
    target = torch.tensor(wanted, dtype=torch.float64)
    if source.kind == "probabilities":
        return target.to(row.dtype)
    if source.kind == "scores" or len(row) == 1:
        raise ImpossibleRequest(
            f"sample {sample_id} cannot be softened: its soft label is stored as unconstrained scores, which have no agreed "
            "scale; relabel or prune it instead."
        )
    logits = target.clamp_min(LEAST_PROBABILITY).log()
    return (logits - logits.mean() + row.double().mean()).to(row.dtype)


def _edited_top_k(source: TopKSoftLabels, edits: Mapping[int, tuple[int, SampleState]]) -> TopKSoftLabels:
    """Relabel by exchanging class indices: the new class takes the largest value, the old one what the new one had."""
    indices = source.indices.clone()
    for row, (sample_id, state) in edits.items():
        if state.soft_label is not None:
            raise ImpossibleRequest(
                f"sample {sample_id} cannot be softened: top-k soft labels cannot hold a full distribution; relabel or "
                "prune it instead."
            )
        top = int(source.values[row].float().argmax())
        known = (indices[row] == state.label).nonzero()
        if len(known):
            indices[row, int(known[0])] = indices[row, top]
        indices[row, top] = state.label
    return TopKSoftLabels(source.values, indices, source.num_classes, source.kind)
