import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.decisions import CRITIC, Decision, states
from data.errors import ImpossibleRequest
from data.workspace import SampleQuery, Workspace
from tests.data.workspaces import CLASSES, write_set

SAMPLES = CLASSES  # as few as there can be with every class present
PURE = (1.0,) + (0.0,) * (CLASSES - 1)


@pytest.fixture(scope="module")
def opened(store):
    with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, decisions=store) as workspace:
        yield workspace, Path(folder)


@pytest.fixture
def log(opened, request):
    """(workspace, set id) of a set that nothing was decided about."""
    workspace, folder = opened
    return workspace, workspace.add_set(write_set(folder / f"{abs(hash(request.node.name))}.npz", 20))


def test_decide__fills_id_and_time(log):
    workspace, set_id = log
    first = workspace.decide(set_id, Decision(3, "relabel", label=2, annotator="ada", reason="ambiguous", seconds=1.5))
    second = workspace.decide(set_id, Decision(4, "soften", soft_label=(0.1, 0.2, 0.3, 0.4, 0.0), at="2026-01-01T00:00:00"))
    assert second.id > first.id > 0
    assert first.at.startswith("20") and second.at == "2026-01-01T00:00:00"
    assert workspace.decisions(set_id) == [first, second]
    assert workspace.decisions(set_id, 4) == [second]


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        (Decision(20, "keep"), "sample 20 does not exist"),
        (Decision(0, "relabel", label=5), "class 5 does not exist"),
        (Decision(0, "soften", soft_label=(0.5, 0.5)), "2 values but this set has 5 classes"),
        (Decision(0, "undo"), "no standing decision to take back"),
        (Decision(0, "undo", undoes=12345), "no standing decision 12345"),
        (Decision(0, "keep", undoes=1), "only an undo"),
    ],
)
def test_decide_many__all_or_none(log, decision, sentence):
    workspace, set_id = log
    before = workspace.decisions(set_id)
    with pytest.raises(ImpossibleRequest, match=sentence):
        workspace.decide_many(set_id, [Decision(1, "keep"), decision])
    assert workspace.decisions(set_id) == before


def test_decide__unknown_set(log):
    with pytest.raises(ImpossibleRequest, match="no set 'nowhere'"):
        log[0].decide("nowhere", Decision(0, "keep"))


@pytest.mark.parametrize("n", [1, 20, 21, 500])
def test_decide_many__as_many_as_there_are(log, n):
    workspace, set_id = log
    given = [
        Decision(i % 20, "soften", soft_label=PURE, finding="map") if i % 3 else Decision(i % 20, "relabel", label=i % 5)
        for i in range(n)
    ]
    stored = workspace.decide_many(set_id, given)
    assert workspace.decisions(set_id) == stored
    assert [replace(entry, id=None, at="") for entry in stored] == given
    assert [entry.id for entry in stored] == list(range(stored[0].id, stored[0].id + n))


def test_decide__a_soft_label_with_whole_numbers_as_files_have_them(log):
    workspace, set_id = log
    stored = workspace.decide(set_id, Decision(0, "soften", soft_label=(0.5, 0, 0.5, 0, 0)))
    assert workspace.decisions(set_id) == [stored]
    assert workspace.decide(set_id, Decision(0, "soften", soft_label=(1, 0, 0, 0, 0))).soft_label == PURE


def test_decide_many__nothing(log):
    assert log[0].decide_many(log[1], []) == []


def test_undo__takes_back_the_annotators_own_latest(log):
    workspace, set_id = log
    ada = workspace.decide(set_id, Decision(1, "prune", annotator="ada"))
    workspace.decide(set_id, Decision(2, "prune", annotator="bob"))
    undone = workspace.undo(set_id, "ada")
    assert (undone.action, undone.undoes, undone.sample_id, undone.annotator) == ("undo", ada.id, 1, "ada")
    assert set(workspace.states(set_id)) == {2}
    assert workspace.undo(set_id, "ada") is None
    assert len(workspace.decisions(set_id)) == 3


def test_undo__again_takes_back_the_one_before(log):
    workspace, set_id = log
    for label in (1, 2):
        workspace.decide(set_id, Decision(0, "relabel", label=label, annotator="ada"))
    workspace.undo(set_id, "ada")
    assert workspace.states(set_id)[0].label == 1
    workspace.undo(set_id, "ada")
    assert workspace.states(set_id) == {}


def test_undo__a_batch_as_one(log):
    workspace, set_id = log
    workspace.decide(set_id, Decision(7, "keep", annotator="ada"))
    workspace.decide_many(set_id, [Decision(i, "prune", annotator="ada") for i in range(5)])
    workspace.undo_sample(set_id, 2, "ada")
    assert set(workspace.states(set_id)) == {0, 1, 3, 4, 7}
    assert workspace.undo(set_id, "ada").undoes is not None
    assert set(workspace.states(set_id)) == {7}
    assert workspace.undo_sample(set_id, 7, "bob") is None
    assert workspace.undo_sample(set_id, 7, "ada").sample_id == 7
    assert workspace.states(set_id) == {}


def test_undo__decided_as_an_entry_of_the_log(log):
    workspace, set_id = log
    first, _ = workspace.decide_many(set_id, [Decision(0, "keep"), Decision(0, "prune")])
    both = workspace.decide_many(set_id, [Decision(0, "undo"), Decision(0, "undo")])
    assert both[1].undoes == first.id and workspace.states(set_id) == {}
    with pytest.raises(ImpossibleRequest):
        workspace.decide(set_id, Decision(0, "undo", undoes=first.id))


def test_decision_counts__sum_to_n(log):
    workspace, set_id = log
    workspace.decide_many(
        set_id,
        [
            Decision(0, "keep"),
            Decision(1, "relabel", label=0),
            Decision(2, "soften", soft_label=PURE),
            Decision(3, "keep"),
            Decision(3, "prune"),
            Decision(4, "skip"),
            Decision(5, "prune"),
            Decision(5, "restore"),
            Decision(1, "skip"),
        ],
    )
    assert workspace.decision_counts(set_id) == {
        "kept": 1,
        "relabelled": 1,
        "softened": 1,
        "pruned": 1,
        "skipped": 1,
        "undecided": 15,
    }


_sample = st.integers(0, SAMPLES - 1)
_entry = st.one_of(
    st.builds(Decision, _sample, st.sampled_from(["keep", "prune", "restore", "skip", "undo"])),
    st.builds(Decision, _sample, st.just("relabel"), st.integers(0, CLASSES - 1)),
    st.builds(Decision, _sample, st.just("soften"), st.none(), st.just(PURE)),
)


_numbers = itertools.count()


@settings(max_examples=25, deadline=None)
@given(entries=st.lists(st.tuples(_entry, st.sampled_from("ab"), st.booleans()), max_size=15))
def test_states__the_view_agrees_with_the_log(opened, entries):
    workspace, folder = opened
    set_id = workspace.add_set(write_set(folder / f"case {next(_numbers)}.npz", SAMPLES))
    for entry, annotator, undo in entries:
        if undo:
            workspace.undo(set_id, annotator)
        _decide(workspace, set_id, entry, annotator)
    log = workspace.decisions(set_id)
    assert workspace.states(set_id) == states(log)
    words = [_word(log, i) for i in range(SAMPLES)]
    for word in ("kept", "relabelled", "softened", "pruned", "skipped", "undecided"):
        ids = [i for i in range(SAMPLES) if words[i] == word]
        assert workspace.decision_counts(set_id)[word] == len(ids)
        assert workspace.select(set_id, SampleQuery(decision=word)).ids.tolist() == ids


def _decide(workspace: Workspace, set_id: str, entry: Decision, annotator: str) -> None:
    stands = entry.sample_id in states(workspace.decisions(set_id))
    if entry.action == "undo" and not stands:
        with pytest.raises(ImpossibleRequest):
            workspace.decide(set_id, entry.stamped(annotator))
    else:
        workspace.decide(set_id, entry.stamped(annotator))


def _word(log: list[Decision], sample: int) -> str:
    """What the counts call a sample, told from the log by a plain loop."""
    taken_back = {entry.undoes for entry in log}
    word = "undecided"
    unpruned = ""
    for entry in log:
        if entry.sample_id != sample or entry.action == "undo" or entry.id in taken_back:
            continue
        if entry.action in ("keep", "relabel", "soften"):
            word = {"keep": "kept", "relabel": "relabelled", "soften": "softened"}[entry.action]
        elif entry.action == "prune":
            unpruned, word = (word if word != "pruned" else unpruned), "pruned"
        elif entry.action == "restore":
            word = unpruned if word == "pruned" else word
            word = "undecided" if word == "skipped" else word
        elif word == "undecided":
            word = "skipped"
    return word


def test_states__of_some_samples(log):
    workspace, set_id = log
    workspace.decide_many(set_id, [Decision(i, "prune") for i in range(4)])
    every = workspace.states(set_id)
    assert workspace.states(set_id, [3, 1, 9]) == {1: every[1], 3: every[3]}
    assert workspace.states(set_id, []) == {}


def test_decisions__the_latest(log):
    workspace, set_id = log
    workspace.decide_many(set_id, [Decision(i, "keep") for i in range(5)])
    whole = workspace.decisions(set_id)
    assert workspace.decisions(set_id, latest=2) == whole[-2:]
    assert workspace.decisions(set_id, 3, latest=9) == [whole[3]]
    assert workspace.decisions(set_id, latest=0) == []


def test_settled__a_reason_that_nobody_gave_is_none(log):
    workspace, set_id = log
    workspace.decide(set_id, Decision(0, "prune", reason="duplicate"))
    workspace.decide(set_id, Decision(1, "keep"))
    assert workspace.settled(set_id).reason.tolist() == ["duplicate", None]


def test_settled__what_the_critic_adopted_is_left_out_until_a_person_says_something(log):
    workspace, set_id = log
    for sample, action in ((0, "keep"), (1, "relabel"), (2, "keep")):
        workspace.decide(set_id, Decision(sample, action, label=1 if action == "relabel" else None, annotator=CRITIC))
    assert len(workspace.settled(set_id)) == 0
    workspace.decide(set_id, Decision(1, "keep", annotator="ada"))
    workspace.decide(set_id, Decision(2, "prune", annotator="ada"))
    assert workspace.settled(set_id).sample_id.tolist() == [1, 2]
    assert states(workspace.decisions(set_id)) == workspace.states(set_id)
