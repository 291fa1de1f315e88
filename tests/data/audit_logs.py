"""Logs as a store leaves them: numbered, dated, every undo naming an entry of its sample that stood."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from data.decisions import ACTIONS, REASONS, Decision, standing
from tests.data.workspaces import CLASSES

SAMPLES = 4
NAMES = ("ann", "bea@example.org", "=HYPERLINK(1)", "'-cy", "Zoë", "a,\nb")
START = datetime(2026, 11, 1, 9, tzinfo=UTC)


@st.composite
def stored_logs(draw, actions=ACTIONS, size: int = 20) -> list[Decision]:
    log: list[Decision] = []
    for number in range(1, draw(st.integers(0, size)) + 1):
        entry = draw(_entries(actions))
        if entry.action == "undo":
            left = standing(log).get(entry.sample_id)
            if not left:
                continue
            entry = replace(entry, undoes=draw(st.sampled_from(left)).id)
        at = (START + timedelta(milliseconds=draw(st.integers(0, 10**9)))).isoformat(timespec="milliseconds")
        log.append(replace(entry, id=number, at=at))
    return log


@st.composite
def _entries(draw, actions) -> Decision:
    action = draw(st.sampled_from(actions))
    soft = [0.0] * CLASSES
    soft[draw(st.integers(0, CLASSES - 2))] += 0.7
    soft[-1] += 0.3
    return Decision(
        sample_id=draw(st.integers(0, SAMPLES - 1)),
        action=action,
        label=draw(st.integers(0, CLASSES - 1)) if action == "relabel" else None,
        soft_label=tuple(soft) if action == "soften" else None,
        reason=draw(st.none() | st.sampled_from(REASONS)),
        annotator=draw(st.sampled_from(NAMES)),
        seconds=draw(st.none() | st.floats(0, 1e4)),
        finding=draw(st.none() | st.sampled_from(("label_errors", "map"))),
    )
