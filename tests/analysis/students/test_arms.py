"""Which lessons a comparison is made of, and what people's decisions do to labels of both sorts."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from analysis.label_sources import choose
from analysis.students.arms import Arms, Asked, Labels, Losses, arms
from analysis.students.task import Teaching
from data.curation import curate
from data.decisions import Decision, states
from data.errors import ImpossibleRequest
from data.verdicts import NO_VERDICTS, verdicts
from tests.analysis.made_sets import made_set

LOG = [Decision(1, "relabel", label=2), Decision(3, "keep"), Decision(7, "prune")]


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=(4, 4, 4))


def settled(distilled_set, log=LOG):
    return verdicts(states(log), distilled_set.labels)


def compared(found: Arms) -> list[tuple[str, str]]:
    return [(found.arms[before].name, found.arms[after].name) for before, after in found.pairs]


def test_arms__without_decisions_hard_labels_against_the_given_source(ordinary):
    found = arms(ordinary, NO_VERDICTS, Asked())
    assert compared(found) == [("hard labels", "soft labels, 'given'")]
    assert [arm.loss.teaching for arm in found.arms] == ["hard", "soft"]


def test_arms__with_decisions_hard_labels_before_and_after(ordinary):
    found = arms(ordinary, settled(ordinary), Asked())
    assert compared(found) == [("hard labels, as given", "hard labels, decided")]
    before, after = (arm.labels for arm in found.arms)
    assert before.hard.tolist() == ordinary.labels.tolist()
    assert 7 not in after.ids and len(after.ids) == 11
    assert dict(zip(after.ids, after.hard, strict=True))[1] == 2
    assert any("relabel 1 and leave out 1" in caveat for caveat in found.caveats)


def test_arms__decisions_are_what_curation_makes_of_them(ordinary):
    """The given source, as exported after the same decisions, and what students learn from are the same."""
    exported = curate(ordinary, states(LOG)).set
    found = arms(ordinary, settled(ordinary), Asked(losses="soft"))
    after = found.arms[-1]
    assert after.labels.hard.tolist() == exported.labels.tolist()
    stored = exported.label_sources["given"].stored(np.arange(len(exported)))
    assert torch.equal(after.labels.logits(), stored)
    assert torch.equal(found.arms[0].labels.logits(), ordinary.label_sources["given"].stored(np.arange(12)))


def test_arms__decisions_can_be_left_aside(ordinary):
    found = arms(ordinary, settled(ordinary), Asked(after_decisions=False))
    assert compared(found) == [("hard labels", "soft labels, 'given'")]


def test_arms__decisions_that_change_nothing_are_none(ordinary):
    found = arms(ordinary, settled(ordinary, [Decision(3, "keep")]), Asked())
    assert len(found.pairs) == 1 and any("change no label" in caveat for caveat in found.caveats)


def test_arms__named_sources_are_taught_softly(ordinary):
    found = arms(ordinary, NO_VERDICTS, Asked(before="teacher 0", after="teacher 1"))
    assert compared(found) == [("soft labels, 'teacher 0'", "soft labels, 'teacher 1'")]


def test_arms__losses_that_make_the_same_lesson_of_both_sides_are_compared_with_the_first(ordinary):
    found = arms(ordinary, NO_VERDICTS, Asked(losses="all eight"))
    assert [arm.loss.teaching for arm in found.arms] == list(get_args(Teaching))
    assert found.pairs == tuple((0, place) for place in range(1, 8))


def test_arms__all_eight_before_and_after_are_eight_pairs(ordinary):
    found = arms(ordinary, settled(ordinary), Asked(losses="all eight"))
    assert len(found.arms) == 16 and len(found.pairs) == 8
    assert all(found.arms[b].loss.teaching == found.arms[a].loss.teaching for b, a in found.pairs)
    assert len({arm.name for arm in found.arms}) == 16


def test_arms__one_sort_of_labels_is_one_arm_and_nothing_to_compare():
    found = arms(made_set(n_per_class=(2, 2), teachers=0), NO_VERDICTS, Asked())
    assert len(found.arms) == 1 and found.pairs == ()


def test_losses__every_way_of_teaching_can_be_chosen():
    assert set(get_args(Teaching)) <= set(get_args(Losses))


def test_arms__refuses_what_cannot_be_taught():
    bare = made_set(n_per_class=(2, 2), teachers=0)
    with pytest.raises(ImpossibleRequest, match="no soft labels"):
        arms(bare, NO_VERDICTS, Asked(losses="nkd"))
    everything = [Decision(i, "prune") for i in range(4)]
    with pytest.raises(ImpossibleRequest, match="no image to learn from"):
        arms(bare, settled(bare, everything), Asked())


def test_lessons__images_of_those_that_stay(ordinary):
    lessons = arms(ordinary, settled(ordinary), Asked(losses="soft")).lessons(ordinary)
    assert [len(lesson) for lesson in lessons] == [12, 11]
    assert torch.equal(lessons[1].images[7], lessons[0].images[8]), "7 is gone, so 8 stands in its place"


def test_logits__too_many_for_memory_are_refused(ordinary, monkeypatch):
    monkeypatch.setattr("analysis.students.arms.MOST_VALUES", 10)
    labels = Labels(np.arange(12), ordinary.labels, choose(ordinary, ""))
    with pytest.raises(ImpossibleRequest, match="do not fit"):
        labels.logits()
    assert replace(labels, source=None).logits() is None
