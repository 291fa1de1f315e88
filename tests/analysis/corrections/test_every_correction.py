"""One behaviour test over every registered correction."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.corrections import correct, corrections
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels
from tests.analysis.made_sets import made_set
from tests.data.trees import make_tree

NAMES = tuple(corrections())
OURS = ("absld", "adsa", "neighbours", "prior_matching", "prototypes", "temperature", "zipf")
NOT_HONESTLY = {("self_distillation", "empty probabilities"), ("self_distillation", "sizes (1, 1, 1, 1)")}
"""What nothing can be learnt from that was not told by the image itself."""
SIZES = ((12, 9, 6), (1, 1, 1, 1), (3, 0, 4), (2, 1, 1, 30))


def quick(name: str) -> dict[str, object]:
    """Parameters under which no network looks at the images."""
    has = {parameter.name for parameter in corrections()[name].parameters}
    return {"embedding": "pixels"} if "embedding" in has else {}


def with_labels(made: DistilledSet, labels: SoftLabels) -> DistilledSet:
    return replace(made, label_sources={"given": labels})


def one_hot(made: DistilledSet) -> torch.Tensor:
    return torch.eye(made.num_classes)[torch.from_numpy(made.labels)]


def logits(made: DistilledSet) -> torch.Tensor:
    return made.label_sources["given"].values


def top_k(made: DistilledSet, kind: str) -> TopKSoftLabels:
    top = (logits(made) if kind == "logits" else logits(made).softmax(dim=1)).topk(2, dim=1)
    return TopKSoftLabels(top.values.half(), top.indices.short(), made.num_classes, kind)


def ruling_out(made: DistilledSet) -> DenseSoftLabels:
    values = logits(made).clone()
    values[:, 0] = -torch.inf
    return DenseSoftLabels(values, "logits")


@cache
def sets() -> dict[str, DistilledSet]:
    """Sets that hold every storage and kind of soft labels there is."""
    plain = made_set(SIZES[0])
    two = made_set((4, 3))
    return {
        "logits": plain,
        "half precision": with_labels(plain, DenseSoftLabels(logits(plain).half(), "logits")),
        "huge logits": with_labels(plain, DenseSoftLabels(3_000 * logits(plain), "logits")),
        "ruled out": with_labels(plain, ruling_out(plain)),
        "scores": with_labels(plain, DenseSoftLabels(logits(plain) / 10, "scores")),
        "binary scores": with_labels(two, DenseSoftLabels(torch.linspace(-2, 2, 7)[:, None], "scores")),
        "binary logits": with_labels(two, DenseSoftLabels(torch.linspace(-2, 2, 7)[:, None], "logits")),
        "one-hot probabilities": with_labels(plain, DenseSoftLabels(one_hot(plain), "probabilities")),
        "empty probabilities": with_labels(plain, DenseSoftLabels(0 * one_hot(plain), "probabilities")),
        "top-k logits": with_labels(plain, top_k(plain, "logits")),
        "top-k probabilities": with_labels(plain, top_k(plain, "probabilities")),
        "many classes": made_set((2,) * 1_100, size=4, reference=False, teachers=1),
        "uncounted originals": replace(plain, class_counts=np.array([100, 0, 10])),
        **{f"sizes {sizes}": made_set(sizes) for sizes in SIZES[1:]},
    }


@pytest.fixture(scope="module")
def relabelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    make_tree("lpqld", folder)
    opened = open_set(folder)
    return replace(opened, class_counts=np.arange(1, opened.num_classes + 1) * 10)


def check(name: str, asked: DistilledSet, source: str = "") -> None:
    """All that any correction must keep to on a set that it can correct."""
    corrected = correct(name, asked, source, **quick(name))
    n = len(asked)
    whole = corrected.logits(np.arange(n))
    assert whole.shape == (n, asked.num_classes) and whole.dtype == torch.float32 and whole.device.type == "cpu"
    assert bool(torch.isfinite(whole).all())
    scattered = np.random.default_rng(0).permutation(n)[: max(1, n // 2)]
    torch.testing.assert_close(corrected.logits(scattered), whole[scattered], rtol=1e-4, atol=1e-4)
    parts = torch.cat([values for _, values in corrected.stream(n, asked.num_classes, Context())])
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)
    again = correct(name, asked, source, **quick(name))
    assert again.found == corrected.found and again.caveats == corrected.caveats
    torch.testing.assert_close(again.logits(np.arange(n)), whole, rtol=0, atol=0)
    assert all(figure.basis and figure.n >= 0 for figure in corrected.found)
    assert all(caveat.endswith(".") for caveat in corrected.caveats)


def test_corrections__are_all_here():
    assert set(OURS) <= set(NAMES)
    assert all(len(entry.meaning) > 40 and entry.paper for entry in corrections().values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", sets())
def test_correct__any_source_gives_finite_logits(name, kind):
    if (name, kind) in NOT_HONESTLY:
        with pytest.raises(ImpossibleRequest, match="two classes"):
            correct(name, sets()[kind], **quick(name))
        return
    check(name, sets()[kind])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(1, 0), (5, 0, 0)])
def test_correct__one_class_with_images_works_or_says_why_not(name, sizes):
    asked = made_set(sizes)
    try:
        check(name, asked)
    except ImpossibleRequest as refusal:
        assert "only one class" in str(refusal) or "two classes" in str(refusal)


@pytest.mark.parametrize("name", NAMES)
def test_correct__a_committee(name):
    check(name, sets()["logits"], "committee: mean")


@pytest.mark.parametrize("name", NAMES)
def test_correct__a_relabelled_tree(name, relabelled):
    check(name, relabelled)


@pytest.mark.parametrize("name", NAMES)
def test_correct__leaves_the_source_as_it_is(name):
    made = made_set(SIZES[0])
    before = logits(made).clone()
    correct(name, made, **quick(name)).logits(np.arange(len(made))).zero_()
    torch.testing.assert_close(logits(made), before, rtol=0, atol=0)
    assert list(made.label_sources) == ["given", "teacher 0", "teacher 1"]


@pytest.mark.parametrize("name", NAMES)
def test_correct__takes_a_derived_source_for_a_label_source(name):
    made = made_set(SIZES[0])
    only_derived = replace(made, label_sources={}, derived_sources={"made before": made.label_sources["given"]})
    check(name, only_derived, "made before")


@pytest.mark.parametrize("name", NAMES)
def test_correct__bare_sets_work_or_say_in_a_sentence_what_is_missing(name):
    made = made_set(SIZES[0])
    for bare in (
        replace(made, label_sources={}),
        replace(made, images=None),
        replace(made, class_counts=None, reference=None),
        replace(made, images=None, label_sources={}, class_counts=None),
    ):
        try:
            check(name, bare)
        except ImpossibleRequest as refusal:
            assert str(refusal).count(". ") == 0 and str(refusal).endswith(".")


@pytest.mark.parametrize("name", [name for name in NAMES if "soft labels" in corrections()[name].needs])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_correct__a_broken_row_is_refused_by_its_number(name, value):
    made = made_set(SIZES[0])
    values = logits(made).clone()
    values[7, 1] = value
    with pytest.raises(ImpossibleRequest, match="sample 7"):
        correct(name, with_labels(made, DenseSoftLabels(values, "logits")), **quick(name)).logits(np.arange(len(made)))


@pytest.mark.parametrize("name", NAMES)
def test_correct__an_unknown_source_is_refused(name):
    with pytest.raises(ImpossibleRequest, match="no label source 'nobody'"):
        correct(name, made_set(SIZES[0]), "nobody", **quick(name))


@pytest.mark.parametrize("name", NAMES)
def test_correct__progress_never_falls_and_stops_where_told(name, relabelled):
    seen = []
    correct(name, relabelled, "", Context(report=lambda fraction, message: seen.append(fraction)), **quick(name))
    assert (np.diff(seen) >= -1e-9).all() and all(-1e-9 <= fraction <= 1 + 1e-9 for fraction in seen)

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    if seen:
        with pytest.raises(Cancelled):
            correct(name, relabelled, "", Context(report=stop), **quick(name))


@pytest.mark.parametrize("name", NAMES)
def test_rescaling__where_there_is_one_says_what_the_logits_are(name):
    made = sets()["logits"]
    corrected = correct(name, made, **quick(name))
    if corrected.rescaling is None:
        return
    divisor, shift = corrected.rescaling.divisor, corrected.rescaling.shift
    assert divisor.shape == shift.shape == (made.num_classes,) and (divisor > 0).all()
    expected = logits(made).numpy() / divisor[made.labels, None] - shift
    np.testing.assert_allclose(corrected.logits(np.arange(len(made))).numpy(), expected, rtol=1e-4, atol=1e-4)
