"""Annotators' standing answers: the log read person by person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.annotations import NO_ANNOTATIONS, SOFTENED, Annotations, annotations
from data.decisions import CRITIC, Decision, states
from data.errors import ImpossibleRequest

GIVEN = np.array([0, 1, 2, 0])


def answers(*log: Decision) -> dict[tuple[int, str], int]:
    found = annotations(log, GIVEN)
    return dict(zip(zip(found.sample_id.tolist(), found.annotator.tolist(), strict=True), found.label.tolist(), strict=True))


def test_annotations__several_people_keep_an_answer_each():
    log = [Decision(2, "keep", annotator="ada"), Decision(2, "relabel", label=1, annotator="bob"), Decision(0, "keep")]
    assert answers(*log) == {(0, ""): 0, (2, "ada"): 2, (2, "bob"): 1}


def test_annotations__a_softened_label_is_kept_as_its_distribution_and_the_time_with_it():
    soften = Decision(1, "soften", soft_label=(0.5, 0.5, 0.0), annotator="ada", seconds=2.5)
    found = annotations([Decision(0, "keep", annotator="bob"), soften], GIVEN)
    assert found.label.tolist() == [0, SOFTENED] and found.soft.tolist() == [[0.5, 0.5, 0.0]]
    assert np.isnan(found.seconds[0]) and found.seconds[1] == 2.5


def test_annotations__prune_withdraws_and_restore_brings_back_and_skip_leaves():
    keep, prune, restore, skip = (Decision(0, action, annotator="ada") for action in ("keep", "prune", "restore", "skip"))
    assert answers(keep, prune) == {} and answers(skip) == {} and answers(prune, restore) == {}
    assert answers(keep, prune, restore) == answers(keep, skip) == {(0, "ada"): 0}
    assert answers(keep, Decision(0, "prune", annotator="bob")) == {(0, "ada"): 0}


def test_annotations__an_undo_takes_back_what_it_names_or_else_its_signers_own():
    log = [Decision(0, "relabel", label=1, annotator="ada", id=1), Decision(0, "relabel", label=2, annotator="bob", id=2)]
    assert answers(*log, Decision(0, "undo", annotator="eve", undoes=1, id=3)) == {(0, "bob"): 2}, "a reviewer may"
    assert answers(*log, Decision(0, "undo", annotator="eve", id=3)) == {(0, "ada"): 1, (0, "bob"): 2}
    assert answers(*log, Decision(0, "undo", annotator="ada", id=3)) == {(0, "bob"): 2}
    assert answers(*log, Decision(0, "undo", annotator="bob", undoes=2, id=3)) == {(0, "ada"): 1}


def test_annotations__the_critic_is_nobody_and_strange_samples_are_left_out():
    assert answers(Decision(0, "keep", annotator=CRITIC), Decision(99, "keep", annotator="ada")) == {}


def test_annotations__distributions_of_different_width_are_refused():
    log = [Decision(i, "soften", soft_label=soft) for i, soft in enumerate([(1.0,), (0.5, 0.5)])]
    with pytest.raises(ImpossibleRequest, match="have 1 values and others 2"):
        annotations(log, GIVEN)


ACTIONS = st.sampled_from(["keep", "relabel", "soften", "prune", "restore", "skip", "undo", "undo that"])
STROKES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "ada", "bob", CRITIC]), ACTIONS, st.integers(0, 30)))


@settings(max_examples=150, deadline=None)
@given(STROKES)
def test_annotations__are_each_persons_own_state(strokes):
    """The oracle: the state that one person's entries leave, with whatever undoes one of them by name."""
    log = [_decision(number, *stroke) for number, stroke in enumerate(strokes, 1)]
    found = annotations(log, GIVEN)
    expected = {}
    for who in ("", "ada", "bob"):
        for sample, state in states([d for d in log if d.annotator == who or d.undoes is not None]).items():
            said = [d for d in _standing(log, who, sample) if d.action in ("keep", "relabel", "soften")]
            if said and not state.pruned:
                label = GIVEN[sample] if state.label is None else state.label
                expected[sample, who] = SOFTENED if state.soft_label is not None else int(label)
    assert answers(*log) == expected
    assert found.sample_id.tolist() == sorted(found.sample_id.tolist())
    # What was undone or repeated on the way leaves no trace in the digest.
    again = [d for (sample, who) in expected for d in _standing(log, who, sample)]
    assert annotations(again, GIVEN).digest == found.digest


def _decision(number: int, sample: int, who: str, action: str, which: int) -> Decision:
    more = {
        "relabel": {"label": which % 3},
        "soften": {"soft_label": (0.5, 0.25, 0.25)},
        "undo that": {"undoes": max(1, number - which)},
    }.get(action, {})
    return Decision(sample, action.removesuffix(" that"), annotator=who, id=number, seconds=float(which), **more)


def _standing(log: list[Decision], who: str, sample: int) -> list[Decision]:
    """By brute force: for each entry, whether a later undo takes it back."""
    mine = [d for d in log if d.annotator == who and d.sample_id == sample and d.action != "undo"]
    gone: set[int] = set()
    for d in log:
        left = [e.id for e in mine if e.id < d.id and e.id not in gone]
        if d.action == "undo" and d.sample_id == sample:
            gone |= {d.undoes} & set(left) if d.undoes is not None else set(left[-1:] if d.annotator == who else [])
    return [d for d in mine if d.id not in gone]


def test_digest__tells_answers_apart():
    base = annotations([Decision(0, "keep", annotator="ada"), Decision(1, "keep", annotator="bob")], GIVEN)
    others = [
        NO_ANNOTATIONS,
        replace(base, label=base.label + 1),
        replace(base, annotator=np.array(["ada", "eve"], object)),
        replace(base, seconds=np.array([1.0, 2.0])),
        replace(base, label=np.array([0, SOFTENED]), soft=np.array([[0.5, 0.5]])),
        replace(base, label=np.array([0, SOFTENED]), soft=np.array([[0.25, 0.75]])),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": np.array([0])}, "differ in length"),
        ({"sample_id": np.array([-1, 0])}, "numbered from 0"),
        ({"sample_id": np.array([1, 1]), "annotator": np.array(["a", "a"], object)}, "twice for one sample"),
        ({"label": np.array([0, SOFTENED])}, "needs one distribution"),
        ({"label": np.array([0, SOFTENED]), "soft": np.array([[0.5, 0.2]])}, "sum to 1"),
        ({"seconds": np.array([0.0, -1.0])}, "less than 0 seconds"),
    ],
)
def test_annotations__that_do_not_fit_together_are_refused(change, sentence):
    good = {"sample_id": np.array([0, 1]), "annotator": ["a", "b"], "label": np.array([0, 1]), "seconds": np.full(2, np.nan)}
    Annotations(**good)
    with pytest.raises(ValueError, match=sentence):
        Annotations(**{**good, **change})
