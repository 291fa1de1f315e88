"""Decisions and answers that were on their way when their page was left: saved on the next one."""

from __future__ import annotations

from app.compare_queue import commit_answers
from app.components.left_strokes import left_strokes
from app.identity import scopes_of
from app.queue import commit_events
from app.selection import annotator
from app.services import services


def save_what_was_left() -> None:
    """To be called on every page. Shows nothing, but while something waits how many they are, and why."""
    ids = [record.id for record in services().workspace.sets()]
    sets = dict(zip(scopes_of(ids), ids, strict=True))
    left_strokes(
        list(sets),
        key="left strokes",
        decide=lambda scope, events: commit_events(sets[scope], annotator(), None, events, own=True),
        answer=lambda scope, events: commit_answers(sets[scope], events),
    )
