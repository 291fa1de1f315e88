"""The label that stands, and what a browser's edit makes of it in the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from app.components.event_queue import Event, parse
from app.components.soft_edit import SoftEdit
from app.queue import commit_events
from app.standing_labels import STANDING, edited_label, given_rows, standing_rows
from data.curation import curate
from data.decisions import Decision, SampleState, states
from data.distilled_set import GIVEN, DistilledSet, Provenance, numbered_classes
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels
from tests.app.workspaces import opened

N, C = 6, 4
LOGITS = torch.randn(N, C, generator=torch.Generator().manual_seed(4)) * 2
TEACHER = torch.randn(N, C, generator=torch.Generator().manual_seed(5)).softmax(dim=1)


def made(sources: dict[str, SoftLabels] | None = None) -> DistilledSet:
    default = {GIVEN: DenseSoftLabels(LOGITS, "logits"), "teacher": DenseSoftLabels(TEACHER, "probabilities")}
    labels = LOGITS.argmax(dim=1).numpy()
    provenance = Provenance(Path("made.pt"), "dc", "made", ())
    return DistilledSet(
        "made", labels, numbered_classes(C), provenance, label_sources=default if sources is None else sources
    )


def softmax(row: int) -> np.ndarray:
    powers = np.exp(LOGITS[row].double().numpy())
    return powers / powers.sum()


def test_given_rows__soft_labels_or_hard_ones_as_one_class():
    assert given_rows(made(), [3, 1]) == pytest.approx(np.stack([softmax(3), softmax(1)]), abs=1e-6)
    assert given_rows(made({}), [2]).tolist() == np.eye(C)[[made().labels[2]]].tolist()


def test_standing_rows__is_what_an_export_would_write():
    """Relabelled and softened samples, against the curated set."""
    original, other = made(), (int(made().labels[0]) + 1) % C
    decided = states([Decision(0, "relabel", label=other), Decision(2, "soften", soft_label=(0.1, 0.2, 0.3, 0.4))])
    written = curate(original, decided).set.label_sources[GIVEN].probabilities(range(N)).numpy()
    assert standing_rows(original, range(N), decided) == pytest.approx(written, abs=1e-5)


def test_edited_label__a_source_called_like_the_standing_label_is_not_taken_for_it():
    sources = {GIVEN: DenseSoftLabels(LOGITS, "logits"), STANDING: DenseSoftLabels(TEACHER, "probabilities")}
    label = edited_label(made(sources), 1, SoftEdit((0,), (0.4,), STANDING), SampleState())
    assert np.divide(label[1:], softmax(1)[1:]) == pytest.approx(np.full(C - 1, label[1] / softmax(1)[1]), rel=1e-5)


def test_standing_rows__relabelled_hard_label():
    rows = standing_rows(made({}), [0], {0: SampleState(label=3)})
    assert rows.tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize("base", [GIVEN, "teacher", STANDING, "gone since"])
def test_edited_label__others_keep_the_proportions_of_the_base(base):
    state = SampleState(soft_label=(0.4, 0.3, 0.2, 0.1))
    shape = {GIVEN: softmax(1), "teacher": TEACHER[1].numpy()}.get(base, np.array([0.4, 0.3, 0.2, 0.1]))
    edited = edited_label(made(), 1, SoftEdit((2,), (0.7,), base), state)
    assert edited[2] == pytest.approx(0.7)
    others = np.array([0, 1, 3])
    assert np.array(edited)[others] == pytest.approx(0.3 * shape[others] / shape[others].sum(), abs=1e-6)


def test_edited_label__without_a_base_the_named_are_all():
    assert edited_label(made(), 1, SoftEdit((0, 2), (0.2, 0.2)), SampleState()) == (0.5, 0.0, 0.5, 0.0)


def test_edited_label__base_that_holds_no_number():
    broken = made({"teacher": DenseSoftLabels(torch.full((N, C), torch.nan), "probabilities")})
    assert edited_label(broken, 0, SoftEdit((1,), (0.5,), "teacher"), SampleState()) == (0.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("sample", "edit"), [(0, SoftEdit((C,), (0.5,))), (N, SoftEdit((0,), (0.5,))), (0, SoftEdit((0,), (0.0,)))]
)
def test_edited_label__refuses_what_the_set_does_not_have(sample, edit):
    with pytest.raises(ImpossibleRequest):
        edited_label(made(), sample, edit, SampleState())


def sent(seq: int, sample: int, soft: object) -> list[Event]:
    entry = {"token": "t", "seq": seq, "action": "soften", "sample_id": sample, "at": f"2025-01-01T00:00:0{seq}.000Z"}
    return parse([{**entry, "seconds": 2.5, "soft": soft}])


def test_commit_events__a_soften_is_in_the_log_and_builds_on_what_stands(tmp_path):
    with opened(tmp_path) as (running, set_id):
        commit_events(set_id, "ann", "label_errors", sent(0, 3, {"set": [[3, 0.5], [1, 0.25], [0, 0.25]], "base": None}))
        commit_events(set_id, "ann", None, sent(1, 3, {"set": [[3, 0.2]], "base": STANDING}))
        first, second = running.workspace.decisions(set_id, 3)
        assert (first.action, first.annotator, first.finding, first.seconds) == ("soften", "ann", "label_errors", 2.5)
        assert first.soft_label == pytest.approx((0.25, 0.25, 0, 0.5, 0))
        assert second.soft_label == pytest.approx((0.4, 0.4, 0, 0.2, 0))
        assert running.workspace.undo(set_id, "ann") is not None
        assert running.workspace.states(set_id)[3].soft_label == first.soft_label


def test_commit_events__an_edit_that_does_not_fit_holds_back_no_other(tmp_path):
    with opened(tmp_path) as (running, set_id):
        bad, good = ({"set": [[label, 1.0]], "base": None} for label in (99, 2))
        commit_events(set_id, "ann", None, [*sent(0, 1, bad), *sent(1, 500, good), *sent(2, 4, good)])
        assert [(d.sample_id, d.soft_label) for d in running.workspace.decisions(set_id)] == [(4, (0.0, 0.0, 1.0, 0.0, 0.0))]


def test_commit_events__the_same_edit_offered_again_after_a_restart_is_written_once(tmp_path):
    events = sent(0, 3, {"set": [[1, 1.0]], "base": None})
    with opened(tmp_path) as (running, set_id):
        commit_events(set_id, "ann", None, events)
        commit_events(set_id, "ann", None, events)
        assert len(running.workspace.decisions(set_id)) == 1


def test_commit_events__each_is_signed_by_the_name_under_which_it_was_asked(tmp_path):
    """What waited in the browser while another name was typed is still of whoever decided it."""
    entry = {"token": "t", "action": "keep", "sample_id": 3, "at": "2025-01-01T00:00:00.000Z"}
    with opened(tmp_path) as (running, set_id):
        events = parse([{**entry, "seq": 0, "author": "ann"}, {**entry, "seq": 1, "sample_id": 4}])
        commit_events(set_id, "ben", None, events)
        assert [d.annotator for d in running.workspace.decisions(set_id)] == ["ann", "ben"]
