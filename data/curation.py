"""Distilled set + decisions -> curated set. Pure: nothing is written and the input is not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from data.decisions import SampleState
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.images import Images
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels, to_probabilities


@dataclass(frozen=True)
class CuratedSet:
    """``set`` is what is written; ``kept`` (M,) int64 are the original sample ids of its M samples, in order.

    ``relabelled`` and ``softened`` are original ids whose labels differ from ``original``; ``pruned`` are those left out.
    """

    original: DistilledSet
    set: DistilledSet
    kept: np.ndarray
    pruned: tuple[int, ...] = ()
    relabelled: tuple[int, ...] = ()
    softened: tuple[int, ...] = ()

    @property
    def unchanged(self) -> bool:
        return not (self.pruned or self.relabelled or self.softened)


def curate(original: DistilledSet, decided: Mapping[int, SampleState]) -> CuratedSet:
    """Apply the standing decisions.

    A relabel changes the hard label, and in every given soft-label source exchanges the values of the sample's most
    probable class and the new one, so that kind, scale and entropy stay what the authors' training code expects. A
    soften replaces the row: as it is for probabilities, as its logarithm at the old row's mean for logits. Scores have no
    agreed scale and cannot be softened. Raises ImpossibleRequest naming the sample that cannot be applied.
    """
    _check_ids(original, decided)
    changed = {i: state for i, state in decided.items() if state.changes}
    pruned = tuple(sorted(i for i, state in changed.items() if state.pruned))
    relabelled = tuple(
        sorted(i for i, s in changed.items() if s.label is not None and not s.pruned and s.label != original.labels[i])
    )
    softened = tuple(sorted(i for i, s in changed.items() if s.soft_label is not None and not s.pruned))
    kept = np.setdiff1d(np.arange(len(original)), np.asarray(pruned, dtype=np.int64))
    if not len(kept):
        raise ImpossibleRequest("the decisions prune every sample; restore at least one before exporting.")
    if not (pruned or relabelled or softened):
        return CuratedSet(original, original, kept)
    states = {int(i): changed[int(i)] for i in (*relabelled, *softened)}
    return CuratedSet(original, _apply(original, kept, states), kept, pruned, relabelled, softened)


def _apply(original: DistilledSet, kept: np.ndarray, states: Mapping[int, SampleState]) -> DistilledSet:
    labels = original.labels.copy()
    for i, state in states.items():
        labels[i] = state.label if state.label is not None else int(np.argmax(state.soft_label))
    sources = {name: _edit(source, kept, states) for name, source in original.label_sources.items()}
    images = original.images
    if images is not None and len(kept) < len(original):
        images = Images(images.store.take(kept), images.pixel_space)
    return replace(original, labels=labels[kept], label_sources=sources, images=images)


def _edit(source: SoftLabels, kept: np.ndarray, states: Mapping[int, SampleState]) -> SoftLabels:
    taken = source.take(kept)
    position = {int(i): row for row, i in enumerate(kept)}
    edits = {position[i]: state for i, state in states.items()}
    if not edits:
        return taken
    if isinstance(taken, TopKSoftLabels):
        return _edit_top_k(taken, edits)
    values = taken.stored(np.arange(len(taken))).clone()
    for row, state in edits.items():
        values[row] = _edited_row(values[row], taken, state)
    return DenseSoftLabels(values, taken.kind)


def _edited_row(row: torch.Tensor, source: SoftLabels, state: SampleState) -> torch.Tensor:
    if state.soft_label is not None:
        return _softened_row(row, source, state.soft_label)
    if len(row) == 1:  # a binary score: the other class is the same distance on the other side
        wanted = state.label == int(to_probabilities(row[None], source.kind).argmax())
        return row if wanted else -row
    swapped = row.clone()
    top = int(row.float().argmax())
    swapped[top], swapped[state.label] = row[state.label], row[top]
    return swapped


def _softened_row(row: torch.Tensor, source: SoftLabels, wanted: tuple[float, ...]) -> torch.Tensor:
    target = torch.tensor(wanted, dtype=torch.float64)
    if source.kind == "probabilities":
        return target.to(row.dtype)
    if source.kind == "scores":
        raise ImpossibleRequest("soft labels stored as unconstrained scores have no agreed scale; relabel or prune instead.")
    logits = target.clamp_min(1e-6).log()
    return (logits - logits.mean() + row.double().mean()).to(row.dtype)


def _edit_top_k(source: TopKSoftLabels, edits: Mapping[int, SampleState]) -> TopKSoftLabels:
    indices = source.indices.clone()
    for row, state in edits.items():
        if state.soft_label is not None:
            raise ImpossibleRequest("top-k soft labels cannot hold a full distribution; relabel or prune instead.")
        top = int(source.values[row].float().argmax())
        known = (indices[row] == state.label).nonzero()
        if len(known):
            indices[row, int(known[0])] = indices[row, top]
        indices[row, top] = state.label
    return TopKSoftLabels(source.values, indices, source.num_classes, source.kind)


def _check_ids(original: DistilledSet, decided: Mapping[int, SampleState]) -> None:
    for i, state in decided.items():
        if i >= len(original):
            raise ImpossibleRequest(
                f"a decision names sample {i}, but {original.name} has only {len(original)}; check that the decisions belong to this set."
            )
        if state.label is not None and state.label >= original.num_classes:
            raise ImpossibleRequest(
                f"the decision for sample {i} gives class {state.label}, but {original.name} has {original.num_classes} classes; correct it."
            )
        if state.soft_label is not None and len(state.soft_label) != original.num_classes:
            raise ImpossibleRequest(
                f"the decision for sample {i} gives {len(state.soft_label)} soft-label values for {original.num_classes} classes; give one a class."
            )
