"""What a correction would do, worked out beside the page and remembered. No Streamlit."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from analysis.context import Context
from analysis.corrections.preview import Preview, compare
from analysis.corrections.registry import Correction, correct_chosen, source_for
from analysis.findings import Figure
from app.background import Progress, TaskStatus
from app.services import Services
from data.derived_sources import versions_named
from data.distilled_set import DistilledSet
from data.workspace import SetRecord

KIND = "preview"
SECONDS_TO_WAIT = 0.9
"""How long the page waits for a preview before it shows a progress bar instead."""
REMEMBERED = 32
COMPARING = 0.7
"""The part of the progress at which the correction is there and before and after are compared."""


@dataclass(frozen=True)
class Question:
    """A correction of one label source of a set with all its parameters; ``source`` "" where there is none."""

    record: SetRecord
    entry: Correction
    source: str
    parameters: Mapping[str, Any]
    version: str = ""

    @property
    def key(self) -> str:
        """Changes with everything that the answer depends on."""
        record = self.record
        parts = [record.id, record.opened_at, asdict(record.options), self.entry.name, self.source, self.version]
        return hashlib.sha256(json.dumps([*parts, dict(self.parameters)], sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True, eq=False)
class Answer:
    """``preview`` is before and after; the rest is what the correction itself says (analysis.corrections.Corrected)."""

    preview: Preview
    found: tuple[Figure, ...]
    caveats: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    rescales: bool


class Answers:
    """The latest answers, for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Answer] = OrderedDict()

    def get(self, key: str) -> Answer | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def put(self, key: str, answer: Answer) -> None:
        with self._lock:
            self._known[key] = answer
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


answers = Answers()


def question(services: Services, record: SetRecord, entry: Correction, source: str, given: Mapping[str, Any]) -> Question:
    """The question as it stands now: a derived source may be removed and another one get its name."""
    version = versions_named(services.workspace.derived(record.id), source)
    return Question(record, entry, source, entry.arguments(given), " ".join(version))


def work_out(distilled_set: DistilledSet, asked: Question, context: Context) -> Answer:
    """Raises ImpossibleRequest as the correction does, and Cancelled as ``context.report`` does."""
    chosen = source_for(asked.entry.name, distilled_set, asked.source)
    first = context.part(0, COMPARING)
    corrected = correct_chosen(asked.entry.name, distilled_set, chosen, first, **asked.parameters)
    before = None if chosen is None else chosen.labels
    preview = compare(distilled_set, before, corrected, context.part(COMPARING, 1))
    return Answer(preview, corrected.found, corrected.caveats, corrected.tables, corrected.rescaling is not None)


def ask(services: Services, distilled_set: DistilledSet, asked: Question, again: bool = False) -> TaskStatus | None:
    """Begin to work out the answer, unless it is under way or failed before; how that stands after SECONDS_TO_WAIT.

    None where the answer is there by now (``answers``).
    """
    tasks, owner = services.tasks, owner_of(asked)
    status = tasks.latest(owner, KIND)
    if status is None or status.state == "done" or (again and not status.under_way):
        context = Context(device=services.device, cache=services.workspace.arrays)

        def work(progress: Progress) -> None:
            reporting = Context(context.device, context.cache, progress)
            answers.put(asked.key, work_out(distilled_set, asked, reporting))

        tasks.start(owner, KIND, f"{asked.entry.title}: before and after", work)
    status = tasks.wait(owner, KIND, SECONDS_TO_WAIT)
    return None if status is not None and status.state == "done" else status


def owner_of(asked: Question) -> str:
    """Each question has a task of its own: that of another one may still be stopping."""
    return f"{KIND} {asked.record.id} {asked.key}"
