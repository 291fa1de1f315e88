"""The questions that people answer as a judge: which pairs of labels, in what order, on which side; and their answers.

The pairs come from the latest label critic, or from the suggestions where it has not run. No Streamlit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.critic.judge import NONE, Questions
from app.components.event_queue import PairEvent
from app.identity import signed_by
from app.roles import require
from app.services import services
from data.decisions import CRITIC
from data.pair_answers import NOTHING, PEOPLE, PairAnswers

SUGGESTIONS, CANDIDATES = "suggestions", "candidates"
BLOCK = 20
"""So many pairs are asked before the first of them comes again with its sides swapped."""
FEWEST_TIMED, LATEST_TIMED = 5, 50
KEPT = 8


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which two labels of which samples, those that settle most first: ``sample_id``, ``first``, ``second`` int64 (n,); of a
    sample with one candidate ``second`` is NOTHING. ``score`` float64 (N,) is how sure the findings are of each given
    label, NaN where nothing was asked; ``source`` is the analysis."""

    sample_id: np.ndarray
    first: np.ndarray
    second: np.ndarray
    score: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.sample_id)


@dataclass(frozen=True, eq=False)
class Waiting:
    """The ``questions`` that one person has left, in order; of ``total``, so many are ``answered`` and ``skipped``."""

    questions: Questions
    answered: int
    skipped: int
    total: int


def latest_pairs(set_id: str) -> Pairs | None:
    """What there is to compare in a set by its latest findings; None where neither analysis has found anything."""
    for name in (CRITIC, SUGGESTIONS):
        run = services().workspace.latest_run(set_id, name)
        pairs = None if run is None else _pairs(services().workspace.folder, set_id, name, run.id)
        if pairs is not None and len(pairs):
            return pairs
    return None


def likeliest_two(candidates: pd.DataFrame) -> pd.DataFrame:
    """The two likeliest labels of each sample in the critic's table of candidates, least certain samples first.

    Columns sample_id, first, second: ``first`` is a class, ``second`` may be NOTHING.
    """
    known = candidates[candidates["label"] >= NOTHING].sort_values(
        ["sample_id", "p"], ascending=[True, False], kind="stable"
    )
    place = known.groupby("sample_id").cumcount()
    best, next_best = (known[place == i].set_index("sample_id") for i in (0, 1))
    found = pd.DataFrame({"first": best["label"], "second": next_best["label"].reindex(best.index), "p": best["p"]})
    found["second"] = found["second"].fillna(NOTHING).astype(np.int64)
    one = found["first"] == NOTHING
    found.loc[one, ["first", "second"]] = found.loc[one, ["second", "first"]].to_numpy()
    found = found[found["first"] != NOTHING]
    return found.sort_values("p", kind="stable", na_position="first").reset_index()[["sample_id", "first", "second"]]


def given_and_suggested(per_sample: pd.DataFrame) -> pd.DataFrame:
    """The same columns from the suggestions: the given and the suggested label where they differ, least certain first."""
    given, suggested = per_sample["given_label"], per_sample["suggested_label"]
    found = pd.DataFrame({"sample_id": per_sample["sample_id"], "first": given, "second": suggested})
    best = per_sample[["p_given", "p_suggested"]].max(axis=1)
    order = best.sort_values(kind="stable").index
    return found.loc[order][((suggested >= 0) & (suggested != given)).loc[order]].reset_index(drop=True)


def questions(pairs: Pairs, who: str, twice: bool) -> Questions:
    """Every pair as ``who`` is asked it: the side drawn once for the person, the sample and the pair, so that asking again
    changes nothing; with ``twice`` each comes again, after at most BLOCK others, with its sides swapped.

    Of "does this label fit?" the label stands left first.
    """
    swap = _drawn(pairs, who) & (pairs.second != NOTHING)
    left, right = np.where(swap, pairs.second, pairs.first), np.where(swap, pairs.first, pairs.second)
    once = Questions(pairs.sample_id, left, right)
    if not twice:
        return once
    n = len(pairs)
    both = Questions(*(np.concatenate(columns) for columns in zip(_columns(once), _columns(once.swapped()), strict=True)))
    row = np.arange(n)
    return both.take(np.lexsort((np.r_[row, row], np.repeat([0, 1], n), np.r_[row, row] // BLOCK)))


def waiting(asked: Questions, answers: PairAnswers, twice: bool, since: int = 0) -> Waiting:
    """What is left of ``asked`` after ``answers``, all by one person.

    Without ``twice`` an answer to either order settles the pair. A skip puts both orders aside. Skips before the answer
    number ``since`` do not count: those are asked again.
    """
    skips = answers.said == NONE
    skips_now = skips & (np.arange(len(answers)) >= since)
    answered = _among(asked, answers.take(~skips), twice)
    skipped = _among(asked, answers.take(skips_now), twice=False) & ~answered
    return Waiting(asked.take(~(answered | skipped)), int(answered.sum()), int(skipped.sum()), len(asked))


def answers_of(set_id: str, who: str) -> PairAnswers:
    """What one person said of pairs of labels in a set."""
    answers = services().workspace.answers(set_id, PEOPLE)
    return answers.take(answers.author == who)


def seconds_an_answer(answers: PairAnswers) -> float | None:
    """The median time of the latest answers; None where too few are timed."""
    timed = answers.seconds[np.isfinite(answers.seconds) & (answers.said != NONE)][-LATEST_TIMED:]
    return float(np.median(timed)) if len(timed) >= FEWEST_TIMED else None


def commit_answers(set_id: str, events: Sequence[PairEvent]) -> None:
    """Write what a browser sent, in order, leaving out what is there already, whichever process wrote it, and what is no
    question of this set. Whoever is logged in signs, whatever name came along. Raises NotAllowed; nothing is written then.
    """
    require("decide")
    services().workspace.add_new_answers(set_id, _rows([replace(e, author=signed_by(e.author)) for e in events]))


def example_ids(labels: np.ndarray, score: np.ndarray | None, class_id: int, most: int) -> tuple[int, ...]:
    """The samples (positions in ``labels``) that stand for a class: those whose label the findings doubt least.

    Samples about which nothing was asked come first: there was no doubt.
    """
    members = np.flatnonzero(labels == class_id)
    if score is not None:
        members = members[np.argsort(-np.nan_to_num(score[members], nan=np.inf), kind="stable")]
    return tuple(members[:most].tolist())


def shown_examples(
    examples: Mapping[int, Sequence[int]], sample_id: int | None, left: int, right: int, most: int
) -> tuple[list[int], list[int]]:
    """Which places of each side's ``examples`` to show: never the sample itself, and as many left as right, since one fewer
    would give away whose label it has."""
    sides = [[place for place, i in enumerate(examples.get(label, ())) if i != sample_id] for label in (left, right)]
    count = most if NOTHING in (left, right) else min(most, *map(len, sides))
    return sides[0][:count], sides[1][:count]


@lru_cache(maxsize=KEPT)
def _pairs(workspace: Path, set_id: str, name: str, run: str) -> Pairs | None:
    """Read once a run; ``workspace`` and ``run`` say which answer to keep."""
    found = services().findings(set_id, name)
    if found is None:
        return None
    per_sample, tables = found[1].per_sample, found[1].tables
    if name == SUGGESTIONS:
        table = given_and_suggested(per_sample)
    elif CANDIDATES in tables:
        table = likeliest_two(tables[CANDIDATES])
    else:
        return None
    score = np.full(services().workspace.set_record(set_id).n, np.nan)
    score[per_sample["sample_id"]] = per_sample["score"]
    return Pairs(*(table[name].to_numpy(np.int64) for name in ("sample_id", "first", "second")), score, name)


def _drawn(pairs: Pairs, who: str) -> np.ndarray:
    """One fair bit a pair, bool (n,), whatever the order of its labels."""
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    texts = (f"{who}\n{i} {a} {b}" for i, a, b in zip(pairs.sample_id.tolist(), low.tolist(), high.tolist(), strict=True))
    bits = np.fromiter((hashlib.sha256(text.encode()).digest()[0] & 1 for text in texts), bool, len(pairs))
    return bits ^ (pairs.first > pairs.second)


def _among(asked: Questions, answers: PairAnswers, twice: bool) -> np.ndarray:
    """Whether each question has one of ``answers``, bool (n,)."""
    given = Questions(answers.sample_id, answers.left, answers.right)
    classes = max((int(column.max()) for column in (*_columns(asked)[1:], *_columns(given)[1:]) if len(column)), default=0)
    keys = np.isin(_keys(asked, classes), _keys(given, classes))
    return keys if twice else keys | np.isin(_keys(asked, classes), _keys(given.swapped(), classes))


def _keys(asked: Questions, highest: int) -> np.ndarray:
    return (asked.sample_id * (highest + 2) + asked.left + 1) * (highest + 2) + asked.right + 1


def _columns(asked: Questions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return asked.sample_id, asked.left, asked.right


def _rows(events: Sequence[PairEvent]) -> PairAnswers:
    n = len(events)

    def column(name: str) -> list:
        return [getattr(event, name) for event in events]

    return PairAnswers(
        sample_id=np.array(column("sample_id")),
        left=np.array(column("left")),
        right=np.array(column("right")),
        judge=np.full(n, PEOPLE, object),
        said=np.array(column("said"), object),
        confidence=np.full(n, np.nan),
        reason=np.full(n, "", object),
        author=np.array(column("author"), object),
        seconds=np.array([np.nan if seconds is None else seconds for seconds in column("seconds")]),
        at=np.array(column("at"), object),
    )
