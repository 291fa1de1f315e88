"""The editor of one sample's soft label, beside the grid."""

from __future__ import annotations

from app.components.label_editor import editor_data, label_editor
from app.identity import scope_of
from app.queue import commit_events
from app.roles import may
from app.selection import annotator
from app.services import services
from data.curation import soften_obstacle
from data.decisions import SampleState
from data.distilled_set import DistilledSet

MOST_LISTED = 1_000
"""Every class of most sets: one sample at a time is sent, so that no class is left to its share of the others."""


def label_panel(set_id: str, distilled_set: DistilledSet, sample_id: int, finding: str | None, key: str) -> None:
    """A button that opens the editor. Not shown to those who may not decide."""
    if not may("decide"):
        return
    state = services().workspace.states(set_id, [sample_id]).get(sample_id, SampleState())
    label = editor_data(distilled_set, sample_id, state, MOST_LISTED)
    if label is None:  # what is wrong with the file is said where the bars would be
        return
    place = f"{key} label"
    label_editor(
        {**label, "note": soften_obstacle(distilled_set)},
        distilled_set.class_names,
        key=place,
        scope=f"{scope_of(set_id)}/{place}",
        commit=lambda events: commit_events(set_id, annotator(), finding, events),
    )
