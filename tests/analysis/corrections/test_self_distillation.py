"""Self-distilled labels: honest on every set, and what they repair and break on the demo set."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.corrections import correct
from analysis.encoders import PIXELS
from data.demo import DEMO
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.soft_labels import DenseSoftLabels, TopKSoftLabels
from tests.analysis.made_sets import made_set

NAME = "self_distillation"


def corrected(opened, **parameters):
    return correct(NAME, opened, **{"embedding": PIXELS, **parameters})


def probabilities(found, opened) -> torch.Tensor:
    return torch.softmax(found.logits(np.arange(len(opened))), dim=1)


def figure(found, label: str):
    return next(shown for shown in found.found if shown.label == label)


@pytest.fixture(scope="module")
def noisy():
    """Three classes of 30 images far apart, every tenth label flipped, and no teacher."""
    clean = made_set((30, 30, 30), teachers=0)
    labels = clean.labels.copy()
    labels[::10] = (labels[::10] + 1) % 3
    return replace(clean, labels=labels), clean.labels


@pytest.mark.parametrize("cross_fit", [True, False])
@pytest.mark.parametrize("classifier", ["ridge", "logistic"])
def test_self_distillation__repairs_flips_of_classes_that_are_far_apart(noisy, classifier, cross_fit):
    opened, truth = noisy
    found = corrected(opened, classifier=classifier, cross_fit=cross_fit, given_weight=0.1)
    assert (probabilities(found, opened).argmax(dim=1).numpy() == truth).all()
    assert figure(found, "Labels changed").value == pytest.approx(9 / 90)


def test_self_distillation__given_weight_mixes_and_at_one_changes_nothing(noisy):
    opened, _ = noisy
    alone, half, given = (probabilities(corrected(opened, given_weight=weight), opened) for weight in (0.0, 0.5, 1.0))
    one_hot = torch.eye(3)[torch.from_numpy(opened.labels)]
    np.testing.assert_allclose(given, one_hot, atol=1e-6)
    np.testing.assert_allclose(half, (alone + one_hot) / 2, atol=1e-6)


def test_self_distillation__learns_from_a_source_where_there_is_one_and_from_hard_labels_where_asked():
    opened = made_set((9, 9, 9))
    other = np.roll(opened.labels, 9)
    source = DenseSoftLabels(8 * torch.eye(3)[torch.from_numpy(other)], "logits")
    opened = replace(opened, label_sources={"given": source})
    by_source = probabilities(corrected(opened), opened).argmax(dim=1).numpy()
    by_hard = probabilities(corrected(opened, learn_from="hard labels"), opened).argmax(dim=1).numpy()
    assert (by_source == other).all() and (by_hard == opened.labels).all()


def test_self_distillation__any_ids_in_any_order(noisy):
    opened, _ = noisy
    found = corrected(opened)
    ids = np.array([40, 3, 3, 88])
    assert torch.equal(found.logits(ids), found.logits(np.arange(90))[ids])
    assert found.logits(np.zeros(0, np.int64)).shape == (0, 3)


def test_self_distillation__the_only_image_of_a_class_keeps_its_label():
    opened = made_set((8, 8, 1))
    found = corrected(opened, learn_from="hard labels", given_weight=0.0)
    np.testing.assert_allclose(probabilities(found, opened)[16], [0, 0, 1], atol=1e-6)
    assert any("only ones of their class" in caveat for caveat in found.caveats)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 1, 1)])
def test_self_distillation__refuses_one_image_a_class_unless_told_to_repeat_labels(sizes):
    opened = made_set(sizes)
    with pytest.raises(ImpossibleRequest, match="two classes with at least two images"):
        corrected(opened, learn_from="hard labels")
    found = corrected(opened, learn_from="hard labels", cross_fit=False)
    assert torch.isfinite(found.logits(np.arange(len(opened)))).all()
    assert any("learnt its own label" in caveat for caveat in found.caveats)


@pytest.mark.parametrize("sizes", [(1, 0, 0), (7, 0, 0)])
def test_self_distillation__refuses_a_single_class(sizes):
    with pytest.raises(ImpossibleRequest, match="at least two classes"):
        corrected(made_set(sizes), learn_from="hard labels")


def test_self_distillation__refuses_what_cannot_be_done():
    opened = made_set((6, 6, 6), teachers=0)
    with pytest.raises(ImpossibleRequest, match="no label source"):
        corrected(opened, learn_from="label source")
    with pytest.raises(ImpossibleRequest, match="are for ridge"):
        corrected(opened, classifier="logistic", pseudo_labels="scores")
    with pytest.raises(ImpossibleRequest, match="images"):
        corrected(replace(opened, images=None))


def test_self_distillation__of_two_images_a_class_keeps_every_class():
    opened = made_set((2,), 6, teachers=0)
    found = corrected(opened, given_weight=0.0, stop="never", most_stages=3)
    assert set(probabilities(found, opened).argmax(dim=1).tolist()) == set(range(6))


def test_self_distillation__top_k_labels_and_many_classes():
    opened = made_set((2,), 300, channels=1, size=4, reference=False, teachers=1)
    whole = opened.label_sources["given"].values
    top = whole.topk(3, dim=1)
    opened = replace(opened, label_sources={"given": TopKSoftLabels(top.values, top.indices, 300, "logits")})
    found = corrected(opened, pseudo_labels="soft")
    assert torch.isfinite(found.logits(np.arange(600))).all()
    assert any("keeps 3 of 300 classes" in caveat for caveat in found.caveats)


def test_self_distillation__noise_is_said_to_be_worth_nothing():
    opened = made_set((20, 20, 20), teachers=0)
    shuffled = replace(opened, labels=np.random.default_rng(0).permutation(opened.labels))
    found = corrected(shuffled)
    assert any("commonest class" in caveat for caveat in found.caveats)


def test_self_distillation__shows_its_stages_while_they_come(noisy):
    opened, _ = noisy
    drafts, seen = [], []
    context = Context(
        report=lambda fraction, message: seen.append(fraction), draft=lambda name, table: drafts.append((name, len(table)))
    )
    found = corrected(opened, context=context, stop="never", most_stages=2)
    assert drafts == [("stages", 1), ("stages", 2), ("stages", 3)]
    assert (np.diff(seen) >= -1e-9).all() and seen[-1] <= 1
    table = found.tables["stages"]
    assert table.columns[0] == "stage" and {"agreement", "agreement_low", "agreement_high"} <= set(table.columns)
    assert figure(found, "Stages done").value == 2 and all(shown.basis for shown in found.found)


def test_self_distillation__stops_where_told(noisy):
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.7:
            raise Cancelled

    with pytest.raises(Cancelled):
        corrected(noisy[0], context=Context(report=stop))


def test_self_distillation__same_twice(noisy):
    first, second = (corrected(noisy[0]) for _ in range(2))
    assert torch.equal(first.logits(np.arange(90)), second.logits(np.arange(90))) and first.found == second.found


@pytest.fixture(scope="module")
def demo():
    opened = open_set(DEMO)
    truth = opened.labels.copy()
    for flip in json.loads((DEMO / "planted.json").read_text())["flips"]:
        truth[flip["sample_id"]] = flip["true_label"]
    return opened, truth


def repaired_and_broken(demo, **parameters) -> tuple[int, int]:
    opened, truth = demo
    said = probabilities(corrected(opened, learn_from="hard labels", **parameters), opened).argmax(dim=1).numpy()
    flipped = truth != opened.labels
    return int((said == truth)[flipped].sum()), int((said != truth)[~flipped].sum())


def test_demo__alone_it_repairs_flips_but_breaks_far_more_labels_that_were_right(demo):
    """16 of 200 labels are flipped. Distilled images of a class complement each other: a model that has not met one of them
    names another class for many, however clean their labels."""
    repaired, broken = repaired_and_broken(demo, given_weight=0.0)
    assert repaired >= 8 and 40 <= broken <= 70


def test_demo__the_given_labels_in_the_mixture_guard_what_was_right(demo):
    repaired, broken = repaired_and_broken(demo)
    assert repaired >= 5 and broken <= 12


def test_demo__later_stages_repair_no_more_and_break_more(demo):
    first = repaired_and_broken(demo, given_weight=0.0, most_stages=0)
    last = repaired_and_broken(demo, given_weight=0.0, most_stages=4, stop="never")
    assert last[0] <= first[0] and last[1] >= first[1]
