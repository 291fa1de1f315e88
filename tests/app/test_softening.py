"""Softening many samples at once: the figures of the preview are those of the labels that are written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from app.softening import MOST_VALUES, WAYS, Softening, soften
from data.decisions import Decision, SampleState
from data.distilled_set import GIVEN
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.app.test_standing_labels import LOGITS, TEACHER, C, N, made
from tests.app.workspaces import opened

BEFORE = torch.softmax(LOGITS.double(), dim=1).numpy()
HOT = np.eye(C)[BEFORE.argmax(axis=1)]


def expected(way: str) -> np.ndarray:
    """By hand, of temperature 2 and weight 0.25."""
    if way == "temperature":
        return torch.softmax(LOGITS.double() / 2, dim=1).numpy()
    if way == "top two":
        ranks = (-BEFORE).argsort(axis=1).argsort(axis=1)
        return np.where(ranks < 2, 0.5, 0.0)
    other, weight = {
        "mix with its class": (HOT, 0.25),
        "mix with a source": (TEACHER.numpy(), 0.25),
        "as a source": (TEACHER.numpy(), 1.0),
    }[way]
    return (1 - weight) * BEFORE + weight * other


@pytest.mark.parametrize("way", WAYS)
def test_soften__each_way_and_its_figures(way):
    ids = [4, 0, 2]
    done = soften(made(), ids, {}, Softening(way, temperature=2.0, weight=0.25, source="teacher"))
    wanted = expected(way)[ids]
    assert done.after == pytest.approx(wanted, abs=1e-6)
    assert (done.asked, done.unreadable, done.ids.tolist()) == (3, 0, ids)
    assert done.entropy_before == pytest.approx(entropy(BEFORE[ids], axis=1).mean(), abs=1e-6)
    assert done.entropy_after == pytest.approx(entropy(wanted, axis=1).mean(), abs=1e-5)
    assert done.new_top == (wanted.argmax(axis=1) != BEFORE[ids].argmax(axis=1)).sum()
    decisions = done.decisions("label_errors")
    assert [(d.sample_id, d.action, d.finding) for d in decisions] == [(i, "soften", "label_errors") for i in ids]
    assert np.array([d.soft_label for d in decisions]) == pytest.approx(done.after)


def test_soften__from_what_stands_and_counts_what_comes_back():
    states = {0: SampleState(soft_label=(0.7, 0.1, 0.1, 0.1)), 1: SampleState(pruned=True), 2: SampleState(label=3)}
    done = soften(made(), [0, 1, 2], states, Softening("mix with its class", weight=0.5))
    assert done.pruned == 1
    assert done.after[0] == pytest.approx(0.5 * np.array([0.7, 0.1, 0.1, 0.1]) + 0.5 * np.eye(C)[made().labels[0]])
    relabelled = BEFORE[2].copy()
    top = relabelled.argmax()
    relabelled[[top, 3]] = relabelled[[3, top]]
    assert done.after[2] == pytest.approx(0.5 * relabelled + 0.5 * np.eye(C)[3], abs=1e-6)


def test_soften__hard_labels_that_a_temperature_does_not_change_are_not_written():
    done = soften(made({}), range(N), {}, Softening("temperature", temperature=3.0))
    assert (done.asked, len(done.ids), done.decisions(None), done.entropy_after) == (N, 0, [], 0.0)


def test_soften__labels_that_hold_no_numbers_are_left_out_and_said():
    values = TEACHER.clone()
    values[2, 1] = torch.nan
    sources = {GIVEN: DenseSoftLabels(LOGITS, "logits"), "teacher": DenseSoftLabels(values, "probabilities")}
    done = soften(made(sources), range(N), {}, Softening("as a source", source="teacher"))
    assert done.unreadable == 1 and 2 not in done.ids and len(done.ids) == N - 1


def test_soften__refuses_more_than_one_batch_may_write_before_reading_it():
    with pytest.raises(ImpossibleRequest, match=r"select at most 1,000,000 samples"):
        soften(made(), range(MOST_VALUES // C + 1), {}, Softening("top two"))


def test_soften__refuses_a_source_that_is_not_there():
    with pytest.raises(ImpossibleRequest, match="no label source 'critic'"):
        soften(made(), [0], {}, Softening("as a source", source="critic"))


def test_soften__written_as_one_batch_and_taken_back_as_one(tmp_path):
    with opened(tmp_path) as (running, set_id):
        workspace = running.workspace
        workspace.decide(set_id, Decision(0, "keep", annotator="ann"))
        done = soften(workspace.load(set_id), range(10), {}, Softening("top two"))
        workspace.decide_many(set_id, [d.stamped("ann") for d in done.decisions(None)])
        assert workspace.decision_counts(set_id)["softened"] == 10
        workspace.undo(set_id, "ann")
        assert workspace.decision_counts(set_id)["softened"] == 0
        assert workspace.states(set_id)[0].last.action == "keep"
