"""Any label source as logits: what is kept as it is, what becomes finite, and what is read only once."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from analysis.context import Context
from analysis.corrections import as_logits as module
from analysis.corrections.as_logits import LogitView, as_logits, is_slow, logits_of
from analysis.sources.committee_sources import Committee
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, TopKSoftLabels

VALUES = torch.tensor([[3.0, -2.0, 0.5], [0.1, 0.2, -7.0]])


def test_logits_of__stored_logits_keep_their_scale():
    torch.testing.assert_close(logits_of(DenseSoftLabels(VALUES.half(), "logits"), [1, 0]), VALUES[[1, 0]].half().float())


@pytest.mark.parametrize("kind", ["probabilities", "scores"])
def test_logits_of__others_say_the_same_distribution(kind):
    labels = DenseSoftLabels(VALUES.softmax(dim=1) if kind == "probabilities" else VALUES, kind)
    torch.testing.assert_close(logits_of(labels, [0, 1]).softmax(dim=1), labels.probabilities([0, 1]))


@pytest.mark.parametrize("kind", ["logits", "scores"])
def test_logits_of__one_column_becomes_two_classes(kind):
    labels = DenseSoftLabels(torch.tensor([[-1.0], [2.5]]), kind)
    found = logits_of(labels, [0, 1])
    torch.testing.assert_close(found[:, 1] - found[:, 0], torch.tensor([-1.0, 2.5]))


def test_logits_of__a_class_that_is_ruled_out_is_nearly_so():
    found = logits_of(DenseSoftLabels(torch.tensor([[1.0, -torch.inf, 2.0]]), "logits"), [0])
    assert bool(torch.isfinite(found).all())
    torch.testing.assert_close(found[:, [0, 2]], torch.tensor([[1.0, 2.0]]))
    assert 0 < float(found.softmax(dim=1)[0, 1]) < 1e-8


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", ["logits", "scores", "probabilities"])
def test_logits_of__no_number_is_refused_with_its_sample(value, kind):
    labels = DenseSoftLabels(torch.tensor([[0.5, 0.5], [value, 0.5]]), kind)
    with pytest.raises(ImpossibleRequest, match="sample 1 "):
        logits_of(labels, [0, 1])


def test_logit_view__reads_at_any_temperature_what_the_logits_say():
    top = TopKSoftLabels(torch.tensor([[0.7, 0.2]]), torch.tensor([[2, 0]]), 4, "probabilities")
    view = as_logits(top, Context())
    assert isinstance(view, LogitView) and len(view) == 1 and view.num_classes == 4
    torch.testing.assert_close(view.probabilities([0], 20), (logits_of(top, [0]) / 20).softmax(dim=1))
    torch.testing.assert_close(view.take([0]).stored([0]), view.stored([0]))
    torch.testing.assert_close(view.probabilities([0]), top.probabilities([0]), atol=1e-6, rtol=0)


def committee() -> Committee:
    members = (DenseSoftLabels(VALUES, "logits"), DenseSoftLabels(VALUES.flip(1), "logits"))
    return Committee(members, "probabilities", (0.5, 0.5))


def test_as_logits__a_slow_source_is_read_once(monkeypatch):
    source, seen = committee(), []
    assert is_slow(source)
    context = Context(report=lambda fraction, message: seen.append(message))
    kept = as_logits(source, context)
    assert seen and as_logits(source, context) is kept and len(seen) == 2
    torch.testing.assert_close(kept.probabilities([0, 1]), source.probabilities([0, 1]))


def test_as_logits__a_large_slow_source_lies_in_a_file(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES_IN_MEMORY", 8)
    source = committee()
    torch.testing.assert_close(as_logits(source, Context()).probabilities([1, 0]), source.probabilities([1, 0]))


def test_as_logits__goes_when_its_source_does():
    before = len(module._KEPT)
    source = committee()
    as_logits(source, Context())
    assert len(module._KEPT) == before + 1
    del source
    gc.collect()
    assert len(module._KEPT) == before


def test_as_logits__no_room_is_a_sentence(monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "MOST_BYTES_IN_MEMORY", 8)
    monkeypatch.setattr(module, "reserve", full)
    with pytest.raises(ImpossibleRequest, match="No space left"):
        as_logits(committee(), Context())


def test_is_slow__what_is_stored_row_by_row_is_not():
    assert not is_slow(DenseSoftLabels(VALUES, "logits"))
    assert not is_slow(LogitView(DenseSoftLabels(VALUES, "scores")))
    assert as_logits(labels := DenseSoftLabels(VALUES, "logits"), Context()) is labels
    assert np.array_equal(as_logits(DenseSoftLabels(VALUES, "scores"), Context()).stored([0]).shape, (1, 3))
