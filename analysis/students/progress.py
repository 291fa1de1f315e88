"""How far all lessons are, and the learning curves so far."""

from __future__ import annotations

import time

import pandas as pd

from analysis.context import Context
from analysis.students.cohort import Worked

DRAFT = "learning curve"
SECONDS_BETWEEN_DRAFTS = 1.0


class Progress:
    """Of ``total`` work, in images that one student is taken through, forward."""

    def __init__(self, context: Context, total: float) -> None:
        self._context, self._total, self._done = context, total, 0.0
        self._curves: dict[str, pd.DataFrame] = {}
        self._due = 0.0

    def of(self, lesson: str) -> Worked:
        """What to call while students learn from ``lesson``; raises Cancelled where the run should stop."""

        def worked(images: float) -> None:
            self._done += images
            self._context.report(min(1.0, self._done / max(self._total, 1.0)), f"students learn from: {lesson}")

        return worked

    def draft(self, lesson: str, curve: pd.DataFrame, last: bool = False) -> None:
        """Show the mean of ``curve`` over its seeds, if the last time is a while ago or this is its lesson's ``last``."""
        mean = curve.groupby("step", as_index=False)["accuracy"].mean()
        self._curves[lesson] = mean.assign(group=lesson)
        if last or time.monotonic() >= self._due:
            self._context.draft(DRAFT, pd.concat(self._curves.values(), ignore_index=True))
            self._due = time.monotonic() + SECONDS_BETWEEN_DRAFTS
