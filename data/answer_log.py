"""The one table of a workspace that holds what every judge answered: people's answers as they come, others' by run."""

from __future__ import annotations

import numpy as np

from data.decision_log import Bounds
from data.decisions import now
from data.errors import ImpossibleRequest
from data.pair_answers import COLUMNS, PairAnswers
from data.workspace_tables import Execute, Tables, filled, names, said_at

_NAMES = names(COLUMNS)
_STROKE = ("judge", "author", "sample_id", "left", "right", "at")
"""What an answer that a browser offers again is known by."""


class AnswerLog:
    """Reads and appends. Nothing here updates or deletes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(self, bounds: Bounds, answers: PairAnswers, run: str = "") -> int:
        """All of ``answers``, or none where one is impossible; a ``run`` whose answers are there already adds none.

        Returns how many were added. An answer without a time gets the present one. Raises ImpossibleRequest.
        """
        _check(bounds, answers)
        if not len(answers):
            return 0
        with self._tables.writing() as execute:
            known = "select 1 from pair_answers where set_id = ? and run = ? limit 1"
            if run and execute(known, [bounds.set_id, run]):
                return 0
            return _append(execute, bounds.set_id, answers, run)

    def append_new(self, bounds: Bounds, answers: PairAnswers) -> int:
        """Those of ``answers``, people's own, that the log does not have yet, in one transaction; returns how many.

        An answer with a time is known by that, its author and its question, also while another process appends the same.
        What is no question of the set is left out.
        """
        possible = (answers.sample_id < bounds.n) & (np.maximum(answers.left, answers.right) < bounds.num_classes)
        answers = answers.take(possible)
        with self._tables.writing() as execute:
            return _append(execute, bounds.set_id, answers.take(_unknown(execute, bounds.set_id, answers)))

    def of_set(self, set_id: str, judge: str | None = None) -> PairAnswers:
        """The answers about a set, of one judge or of all, in the order in which they were added."""
        found = self._tables.columns(
            f"select {_NAMES} from pair_answers where set_id = ? and judge = coalesce(?, judge) order by id",
            [set_id, judge],
        )
        return PairAnswers(**{name: filled(found[name]) for name in COLUMNS})


def _unknown(execute: Execute, set_id: str, answers: PairAnswers) -> np.ndarray:
    """Which of ``answers`` the log lacks, bool (n,); the first of those that are the same among themselves."""
    known = said_at(execute, "pair_answers", _STROKE, set_id, answers.at)
    unknown = np.ones(len(answers), bool)
    for row, stroke in enumerate(zip(*(getattr(answers, name).tolist() for name in _STROKE), strict=True)):
        unknown[row] = not answers.at[row] or stroke not in known
        known.add(stroke)
    return unknown


def _append(execute: Execute, set_id: str, answers: PairAnswers, run: str = "") -> int:
    if not len(answers):
        return 0
    last = execute("select coalesce(max(id), 0) from pair_answers")[0][0]
    stamped = answers.frame()
    stamped["at"] = np.where(stamped["at"] == "", now(), stamped["at"])
    incoming = {name: stamped[name].to_numpy() for name in COLUMNS}
    incoming["id"] = np.arange(last + 1, last + 1 + len(answers))
    repeated = {"set_id": [set_id] * len(answers), "run": [run] * len(answers)}
    execute.insert("pair_answers", {**incoming, **repeated})
    return len(answers)


def _check(bounds: Bounds, answers: PairAnswers) -> None:
    if not len(answers):
        return
    if answers.sample_id.max() >= bounds.n:
        raise ImpossibleRequest(
            f"sample {answers.sample_id.max()} does not exist: this set has samples 0 to {bounds.n - 1}; ask about those."
        )
    highest = max(answers.left.max(), answers.right.max())
    if highest >= bounds.num_classes:
        raise ImpossibleRequest(
            f"class {highest} does not exist: this set has classes 0 to {bounds.num_classes - 1}; ask about those."
        )
