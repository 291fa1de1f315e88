"""The state of a queue against one that counts everything anew."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import queue_state
from data.queue_state import ANSWERED, OPEN, SKIPPED, QueueState

SIZE = 11
PEOPLE = "abc"
_marks = st.dictionaries(
    st.tuples(st.integers(0, SIZE - 1), st.sampled_from(PEOPLE)), st.sampled_from([OPEN, SKIPPED, ANSWERED]), max_size=8
)


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    before, queue_state.BLOCK = queue_state.BLOCK, 3
    yield
    queue_state.BLOCK = before


@given(
    steps=st.lists(st.tuples(_marks, st.sampled_from(PEOPLE), st.integers(0, 5)), min_size=1, max_size=8),
    held=st.dictionaries(st.sampled_from(PEOPLE), st.sets(st.integers(0, SIZE - 1)), max_size=3),
    overlap=st.integers(1, 2),
)
def test_next__is_the_first_places_that_are_free_whatever_was_taken_back(steps, held, overlap):
    state, known = QueueState(SIZE, overlap), dict.fromkeys([(p, w) for p in range(SIZE) for w in PEOPLE], OPEN)
    for marks, who, many in steps:
        known |= marks
        places = np.array(sorted({place for place, _ in marks}), np.int64)
        rows = [(p, w, m) for (p, w), m in known.items() if m != OPEN and p in set(places.tolist())]
        state.mark(places, rows)
        answers = Counter(p for (p, _), m in known.items() if m == ANSWERED)
        left = [p for p in range(SIZE) if answers[p] < overlap and known[p, who] == OPEN]
        others = {w: np.array(sorted(h), np.int64) for w, h in held.items() if w != who}
        own = np.array(sorted(held.get(who, ())), np.int64)
        taken = Counter(p for w, h in others.items() for p in h.tolist() if known[p, w] == OPEN)
        free = [p for p in left if p not in held.get(who, ()) and answers[p] + taken[p] < overlap]
        assert state.left(who) == len(left)
        assert state.next(who, many, own, others).tolist() == free[:many]
        assert state.left(who) == len(left)  # also once the search has moved on
        assert state.still_left(who, own).tolist() == [p for p in own.tolist() if p in left]
        mine = Counter(known[p, who] for p in range(SIZE))
        assert state.done(who) == (mine[ANSWERED], mine[SKIPPED])
    assert state.people == sorted({w for (_, w), m in known.items() if m != OPEN})
