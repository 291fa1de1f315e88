"""Judges whose answers are known, to test what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis.critic.judge import LEFT, RIGHT, Questions, Replies
from data.errors import ImpossibleRequest


@dataclass
class Listening:
    """A judge that answers ``says(sample, left, right)`` and remembers what it ``heard``; after ``survives`` questions it
    cannot go on. ``answered`` are those of whole batches."""

    says: Callable[[int, int, int], str] = lambda sample, left, right: LEFT
    name: str = "listening"
    author: str = "test"
    batch: int = 4
    repeats: int = 1
    survives: int = 10**9
    about: str = "Remembers."
    caveats: tuple[str, ...] = ()
    heard: list[tuple[int, int, int]] = field(default_factory=list)
    answered: list[tuple[int, int, int]] = field(default_factory=list)

    def ask(self, questions: Questions) -> Replies:
        asked = list(zip(questions.sample_id.tolist(), questions.left.tolist(), questions.right.tolist(), strict=True))
        self.heard += asked
        if len(self.heard) > self.survives:
            raise ImpossibleRequest("the judge is gone.")
        self.answered += asked
        n = len(questions)
        return Replies(np.array([self.says(*one) for one in asked], object), np.full(n, np.nan), np.full(n, "", object))


def knowing(truth: np.ndarray, accuracy: float, name: str, seed: int = 0) -> Listening:
    """A judge that prefers the true label with probability ``accuracy``, the same in both orders; else, and where neither
    label is true, any."""
    rng = np.random.default_rng(seed)
    memory: dict[tuple[int, int, int], int] = {}

    def says(sample: int, left: int, right: int) -> str:
        key = (sample, min(left, right), max(left, right))
        if key not in memory:
            true, other = (key[1], key[2]) if truth[sample] == key[1] else (key[2], key[1])
            known = truth[sample] in key[1:]
            memory[key] = true if rng.random() < (accuracy if known else 0.5) else other
        return LEFT if memory[key] == left else RIGHT

    return Listening(says, name=name, batch=1000)
