"""The hearing: every judge's opening pairs, then, where labels are still open, what settles most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.context import Context
from analysis.critic.asking import ask
from analysis.critic.candidates import Candidates
from analysis.critic.judge import NONE, Judge, Questions
from analysis.critic.plan import following, opening
from analysis.critic.tournament import chances
from analysis.critic.trust import unchecked_weight
from analysis.critic.votes import preferences
from data.pair_answers import NO_ANSWERS, PairAnswers, together
from data.verdicts import Verdicts

MOST_ROUNDS = 4
"""After the opening. Of six candidates the best is mostly known by then, and each round asks every open sample once."""
OPENING = 0.6
"""The part of the progress that the opening takes."""


@dataclass(frozen=True)
class Seat:
    """A judge, at most how many pairs it is asked, where its answers are kept as they come, and its part of the work.

    ``abstains``: it has nothing to say of some pairs by its nature, which is no failure and need not be on record.
    """

    judge: Judge
    budget: int
    journal: Path | None = None
    effort: float = 1.0
    abstains: bool = False


def hear(
    candidates: Candidates,
    seats: list[Seat],
    settled: Verdicts,
    people: PairAnswers,
    settled_from: float,
    context: Context,
) -> PairAnswers:
    """What all judges answered, without what ``people`` did, whose answers count when it is decided what is still open.

    ``settled``: people's verdicts, on whose samples judges are measured. Every judge gets its own opening, however much
    others have settled, so that all are measured on the same pairs; a sample whose best label has a chance of
    ``settled_from`` after that is asked no more.
    """
    asked = [opening(candidates, settled, seat.budget) for seat in seats]
    answers = [NO_ANSWERS for _ in seats]
    for place, part in _parts(seats, context.part(0, OPENING)):
        answers[place] = _put(seats[place], asked[place], part)
    for number in range(MOST_ROUNDS):
        before = sum(map(len, answers))
        whole = context.part(
            OPENING + (1 - OPENING) * number / MOST_ROUNDS, OPENING + (1 - OPENING) * (number + 1) / MOST_ROUNDS
        )
        for place, part in _parts(seats, whole):
            more = _open_pairs(candidates, [*answers, people], seats[place], asked[place], settled_from)
            if len(more):
                asked[place] = _joined(asked[place], more)
                answers[place] = together([answers[place], _put(seats[place], more, part)])
        if sum(map(len, answers)) == before:
            break
    context.report(1.0, "everything is asked")
    return together(answers)


def _put(seat: Seat, questions: Questions, context: Context) -> PairAnswers:
    answers = ask(seat.judge, questions, context, seat.journal)
    return answers.take(answers.said != NONE) if seat.abstains else answers


def _parts(seats: list[Seat], context: Context) -> Iterator[tuple[int, Context]]:
    """Each seat with its part of the progress."""
    ends = np.cumsum([0.0, *(seat.effort for seat in seats)])
    for place in range(len(seats)):
        yield place, context.part(ends[place] / ends[-1], ends[place + 1] / ends[-1])


def _open_pairs(
    candidates: Candidates, answers: list[PairAnswers], seat: Seat, asked: Questions, settled_from: float
) -> Questions:
    """The pairs to put next to the judge of ``seat``, within what is left of its budget; all judges count alike here."""
    if len(asked) >= seat.budget:  # the usual case of a large set, whose standings would take longer than the opening
        return asked.take(slice(0, 0))
    said = preferences(together(answers))
    standings = chances(candidates, said, dict.fromkeys(set(said.judge), unchecked_weight()))
    return following(candidates, standings, asked, settled_from, seat.budget - len(asked))


def _joined(first: Questions, second: Questions) -> Questions:
    return Questions(
        *(np.concatenate([getattr(q, name) for q in (first, second)]) for name in ("sample_id", "left", "right"))
    )
