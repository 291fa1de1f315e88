"""Annotate, train, rank anew: analyses that learn from decisions are run again after every batch of them. No Streamlit."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from app.asking_queue import SOURCES
from app.services import services
from data.errors import StillroomError


@dataclass(frozen=True)
class Refit:
    """How learning stands: ``decided`` samples at the latest start, ``running`` or not, ``trouble`` a sentence or ""."""

    decided: int
    running: bool = False
    trouble: str = ""


class Refits:
    """When each set was last learnt from, by this process. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, Refit] = {}

    def status(self, set_id: str, decided: int) -> Refit:
        """How learning stands; a set met for the first time counts its ``decided`` samples from here."""
        known = self._known(set_id, decided)
        return Refit(known.decided, _runs(set_id), known.trouble)

    def after(self, set_id: str, decided: int, batch: int) -> bool:
        """Start every analysis of the set that learns from decisions, where a whole ``batch`` was ``decided`` since.

        Nothing starts while one still runs: the next decision asks again. What goes wrong is kept for the page to say, and
        never holds a decision back. Returns whether anything was started.
        """
        known = self._known(set_id, decided)
        if abs(decided - known.decided) < batch or _runs(set_id):
            return False
        started, trouble = False, ""
        for name in _learning(set_id):
            try:
                latest = services().workspace.latest_run(set_id, name)
                started |= services().start(set_id, name, {} if latest is None else latest.parameters).status == "running"
            except StillroomError as error:
                trouble = str(error)
        with self._lock:
            self._latest[set_id] = Refit(decided, trouble=trouble)
        return started

    def _known(self, set_id: str, decided: int) -> Refit:
        with self._lock:
            return self._latest.setdefault(set_id, Refit(decided))


def _learning(set_id: str) -> list[str]:
    """The analyses that learn from what people settle: what the queues follow, and whatever else was run on this set."""
    workspace = services().workspace
    able = [
        entry.name
        for entry in services().analyses_for(workspace.load(set_id))
        if entry.reads_verdicts and not entry.takes_minutes
    ]
    return [name for name in able if name in SOURCES or workspace.latest_run(set_id, name) is not None]


def _runs(set_id: str) -> bool:
    running = {run.analysis for run, _ in services().active(set_id)}
    return bool(running) and not running.isdisjoint(_learning(set_id))


refits = Refits()
