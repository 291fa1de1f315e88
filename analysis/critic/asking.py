"""Putting pairs to a judge: both orders, as often as it wants to be asked, nothing twice that it has answered before."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analysis.context import Context
from analysis.critic.journal import Journal
from analysis.critic.judge import Judge, Questions, Replies
from data.decisions import now
from data.pair_answers import NO_ANSWERS, PairAnswers, together


def ask(judge: Judge, pairs: Questions, context: Context, journal: Path | None = None) -> PairAnswers:
    """What ``judge`` answers to each of ``pairs`` in both orders, ``judge.repeats`` times each.

    With a ``journal`` every batch of answers is on disk before the next is asked, and what the file answers already is not
    asked again; what it holds as no answer is. Raises Cancelled, and ImpossibleRequest where the judge cannot go on.
    """
    wanted = _both_orders(pairs, judge.repeats)
    if journal is None:
        return together(list(_answered(judge, wanted, context)))
    with Journal(journal) as kept:
        known, left = _known(kept.answers(), wanted)
        fresh = []
        for part in _answered(judge, left, context):
            kept.append(part)
            fresh.append(part)
    return together([known, *fresh])


def _both_orders(pairs: Questions, repeats: int) -> Questions:
    """Each pair in one order and then the other, all repeats of a pair together: cut short, rounds are left."""
    rounds = np.repeat(np.arange(len(pairs)), 2 * repeats)
    turned = np.tile([False, True], repeats * len(pairs))
    asked = pairs.take(rounds)
    return Questions(asked.sample_id, np.where(turned, asked.right, asked.left), np.where(turned, asked.left, asked.right))


def _answered(judge: Judge, questions: Questions, context: Context) -> Iterator[PairAnswers]:
    batches = -(-len(questions) // judge.batch)
    for batch in context.track(questions.batches(judge.batch), batches, f"asking {judge.name}"):
        began = time.perf_counter()
        replies = judge.ask(batch)
        yield _as_answers(judge, batch, replies, (time.perf_counter() - began) / len(batch))


def _as_answers(judge: Judge, questions: Questions, replies: Replies, seconds: float) -> PairAnswers:
    n = len(questions)
    return PairAnswers(
        sample_id=questions.sample_id,
        left=questions.left,
        right=questions.right,
        judge=np.full(n, judge.name, object),
        said=replies.said,
        confidence=replies.confidence,
        reason=replies.reason,
        author=np.full(n, judge.author, object),
        seconds=np.full(n, seconds),
        at=np.full(n, now(), object),
    )


def _known(kept: PairAnswers, wanted: Questions) -> tuple[PairAnswers, Questions]:
    """The ``kept`` answers, none of them "none", to questions among ``wanted``, each as often as it is wanted; and the
    questions that are left."""
    if not len(kept):
        return NO_ANSWERS, wanted
    still = Counter(_keys(wanted))
    taken = []
    for row, key in enumerate(_keys(kept)):
        if still[key] > 0:
            still[key] -= 1
            taken.append(row)
    left = []
    for row, key in reversed(list(enumerate(_keys(wanted)))):  # the later repeats are those that are still to be asked
        if still[key] > 0:
            still[key] -= 1
            left.append(row)
    return kept.take(np.array(taken, np.int64)), wanted.take(np.array(left[::-1], np.int64))


def _keys(asked: PairAnswers | Questions) -> Iterator[tuple[int, int, int]]:
    return zip(asked.sample_id.tolist(), asked.left.tolist(), asked.right.tolist(), strict=True)
