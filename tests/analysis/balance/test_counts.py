"""Where the original counts are from, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.balance.counts import original_counts
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set


def test_original_counts__the_first_that_there_is() -> None:
    made = made_set((3, 2), size=2)
    known = original_counts(made, "automatic")
    assert known.counts.tolist() == [300, 200] and not known.caveats
    assert original_counts(replace(made, class_counts=None), "automatic").counts.tolist() == [30, 30]
    bare = original_counts(replace(made, class_counts=None, reference=None), "automatic")
    assert bare.counts.tolist() == [3, 2] and any("not known" in caveat for caveat in bare.caveats)


def test_original_counts__as_asked() -> None:
    made = made_set((3, 2), size=2)
    assert original_counts(made, "the set").counts.tolist() == [300, 200]
    reference = original_counts(made, "the reference")
    assert reference.counts.tolist() == [30, 30] and any("whole original" in caveat for caveat in reference.caveats)
    assert original_counts(made, "its own labels").counts.tolist() == [3, 2]


def test_original_counts__a_class_that_the_reference_lacks_counts_none() -> None:
    made = made_set((3, 2, 1), size=2)
    reference = replace(made.reference, labels=np.zeros(90, np.int64))
    assert original_counts(replace(made, reference=reference), "the reference").counts.tolist() == [90, 0, 0]


@pytest.mark.parametrize(("counts_from", "sentence"), [("the set", "class counts"), ("the reference", "no reference")])
def test_original_counts__asked_from_what_is_not_there(counts_from: str, sentence: str) -> None:
    bare = replace(made_set((3, 2), size=2, reference=False), class_counts=None)
    with pytest.raises(ImpossibleRequest, match=sentence):
        original_counts(bare, counts_from)  # type: ignore[arg-type]
