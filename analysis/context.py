"""What a run is given besides its set: where to compute, where to keep things, how to report and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from data.annotations import NO_ANNOTATIONS, Annotations
from data.pair_answers import NO_ANSWERS, PairAnswers
from data.verdicts import NO_VERDICTS, Verdicts

Item = TypeVar("Item")
Report = Callable[[float, str], None]
Draft = Callable[[str, pd.DataFrame], None]


class Cancelled(Exception):
    """Raised inside an analysis when its run was cancelled."""


def _silent(fraction: float, message: str) -> None:
    return None


def _undrawn(name: str, table: pd.DataFrame) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """``device`` is "auto" or a torch device name; ``cache`` a folder for embeddings, or None to keep nothing.

    ``report(fraction, message)`` says how far the run is, 0 to 1; it raises Cancelled where the run should stop, so an
    analysis that reports often enough needs no other check. ``draft(name, table)`` shows a small table, such as a learning
    curve, while the run goes on; the latest of each name stays in sight. ``verdicts`` is what people have settled about
    the set's labels until now, ``answers`` what they said of pairs of labels, ``annotations`` what each of them says of each
    sample.
    """

    device: str = "auto"
    cache: Path | None = None
    report: Report = _silent
    draft: Draft = _undrawn
    verdicts: Verdicts = NO_VERDICTS
    answers: PairAnswers = NO_ANSWERS
    annotations: Annotations = NO_ANNOTATIONS

    def part(self, start: float, end: float) -> Context:
        """A context whose 0 to 1 is this one's ``start`` to ``end``."""
        return replace(self, report=lambda fraction, message: self.report(start + (end - start) * fraction, message))

    def track(self, items: Iterable[Item], total: int, message: str) -> Iterator[Item]:
        """Yield ``items``, reporting before each and once at the end."""
        for done, item in enumerate(items):
            self.report(done / max(total, 1), message)
            yield item
        self.report(1.0, message)
