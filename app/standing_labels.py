"""The soft label that stands for a sample: what it came with, or what people made of it; and what an edit makes of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.label_edits import apply_edit, one_hot, with_top
from app.components.event_queue import Event
from app.components.soft_edit import SoftEdit
from app.services import services
from data.decisions import Decision, SampleState
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest

STANDING = "standing label"
"""As the base of an edit: the label that stands for the sample, also where a label source is called so."""


def given_rows(distilled_set: DistilledSet, ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """The labels that the set came with, float64 (n, C): its soft labels, or its hard labels as one class each."""
    given = distilled_set.label_sources.get(GIVEN)
    if given is None:
        return one_hot(distilled_set.labels[np.asarray(ids, np.int64)], distilled_set.num_classes)
    return given.probabilities(ids).numpy().astype(np.float64)


def standing_rows(
    distilled_set: DistilledSet, ids: Sequence[int] | np.ndarray, states: Mapping[int, SampleState]
) -> np.ndarray:
    """The labels that stand, float64 (n, C): what people made of them, or what they came with."""
    return as_decided(given_rows(distilled_set, ids), [states.get(int(i), SampleState()) for i in ids])


def as_decided(given: np.ndarray, states: Sequence[SampleState]) -> np.ndarray:
    """``given`` (n, C) with each row softened or relabelled as ``states`` says, as data/curation.py writes it."""
    rows = given.copy()
    relabelled = [row for row, state in enumerate(states) if state.label is not None]
    if relabelled:
        rows[relabelled] = with_top(rows[relabelled], np.asarray([states[row].label for row in relabelled]))
    for row, state in enumerate(states):
        if state.soft_label is not None:
            rows[row] = state.soft_label
    return rows


def base_row(distilled_set: DistilledSet, sample_id: int, base: str | None, state: SampleState) -> np.ndarray:
    """What the classes that an edit does not name are in proportion to, float64 (C,); zeros where ``base`` is None.

    A source that is not there any more is replaced by the label that stands, so that no decision is lost over it.
    """
    if base is None:
        return np.zeros(distilled_set.num_classes)
    source = distilled_set.selectable_sources.get(base)
    if source is None or base == STANDING:
        return standing_rows(distilled_set, [sample_id], {sample_id: state})[0]
    return source.probabilities([sample_id])[0].numpy().astype(np.float64)


def edited_label(distilled_set: DistilledSet, sample_id: int, edit: SoftEdit, state: SampleState) -> tuple[float, ...]:
    """What an edit makes of the sample's label, C numbers that sum to 1. Raises ImpossibleRequest where it cannot be applied
    to this set, and another StillroomError where a file of its labels cannot be read."""
    if sample_id >= len(distilled_set):
        raise ImpossibleRequest(f"sample {sample_id} does not exist: this set has {len(distilled_set):,} samples.")
    base = base_row(distilled_set, sample_id, edit.base, state)
    try:
        return tuple(apply_edit(np.nan_to_num(base, nan=0.0), edit.classes, edit.values).tolist())
    except ValueError as error:
        raise ImpossibleRequest(f"sample {sample_id} cannot be softened so: {error}.") from error


def decision_of(set_id: str, event: Event, who: str, finding: str | None) -> Decision:
    """What a browser sent as an entry for the log; an edit of a soft label is worked out from what stands now. Raises as
    ``edited_label`` does."""
    if event.soft is None:
        return event.decision(who, finding)
    workspace, i = services().workspace, event.sample_id
    state = workspace.states(set_id, [i]).get(i, SampleState())
    return event.decision(who, finding, edited_label(workspace.load(set_id), i, event.soft, state))
