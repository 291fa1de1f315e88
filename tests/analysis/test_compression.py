"""The plan: each score against the analysis it is of, and what is kept against budgets done by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compressing.scores import NAMES
from analysis.context import Context
from analysis.embedding import embed
from analysis.neighbours import unit_rows
from analysis.registry import run
from data.distilled_set import Reference
from data.errors import ImpossibleRequest
from data.images import Images, TensorStore
from tests.analysis.made_sets import made_set

CPU = Context(device="cpu")
PIXELS = {"embedding": "pixels"}
ALONE = {f"{name}_weight": 0.0 for name in NAMES}


@pytest.fixture(scope="module")
def opened():
    return made_set((12, 9, 6))


def plan(opened, **parameters):
    return run("compression", opened, CPU, **{**PIXELS, **ALONE, "random_weight": 1.0, **parameters})


def only(opened, name, **parameters):
    table = run("compression", opened, CPU, **{**PIXELS, **ALONE, f"{name}_weight": 1.0, **parameters}).per_sample
    return table[name].to_numpy(), table


@pytest.mark.parametrize(
    ("score", "analysis", "column", "sign"),
    [
        ("confidence", "soft_labels", "p_given", 1),
        ("entropy", "soft_labels", "entropy", -1),
        ("el2n", "hardness", "el2n", -1),
        ("label_error", "label_errors", "score", 1),
    ],
)
def test_scores__are_those_of_their_analyses(opened, score, analysis, column, sign):
    options = {"embedding": "pixels"} if analysis == "label_errors" else {}
    wanted = run(analysis, opened, CPU, source="teacher 1", **options).per_sample[column]
    found, _ = only(opened, score, source="teacher 1")
    np.testing.assert_allclose(found, sign * wanted, rtol=1e-6)


def test_scores__margin_by_hand(opened):
    p = opened.label_sources["teacher 1"].probabilities(np.arange(len(opened))).numpy()
    own = p[np.arange(len(p)), opened.labels]
    others = np.where(np.eye(3)[opened.labels] > 0, -1, p).max(axis=1)
    np.testing.assert_allclose(only(opened, "margin", source="teacher 1")[0], own - others, rtol=1e-5)


def test_scores__typicality_is_the_cosine_to_the_class_mean(opened):
    unit = unit_rows(embed(opened.images, "pixels", CPU))
    means = np.stack([unit[opened.labels == c].mean(axis=0) for c in range(3)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    wanted = (unit * means[opened.labels]).sum(axis=1)
    np.testing.assert_allclose(only(opened, "typicality")[0], wanted, rtol=1e-5)


@pytest.mark.parametrize("cover", ["k-centre", "herding"])
def test_scores__a_near_copy_is_not_kept_beside_its_original(cover):
    opened = made_set((6, 6))
    pixels = opened.images.stored(np.arange(12)).clone()
    pixels[5] = pixels[2] + 1e-4
    opened = replace(opened, images=Images(TensorStore(pixels), opened.images.pixel_space))
    _, table = only(opened, "redundancy", cover=cover, ipc=5)
    assert table["kept"][:6].sum() == 5 and not table["kept"][[2, 5]].all()


def test_direction__hard_first_keeps_what_easy_first_leaves_out(opened):
    easy = only(opened, "confidence", ipc=3)[1]
    hard = only(opened, "confidence", ipc=3, direction="hard first")[1]
    assert not (easy["kept"] & hard["kept"]).any()
    assert easy["confidence"][easy["kept"]].mean() > hard["confidence"][hard["kept"]].mean()


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({"ipc": 5}, [5, 5, 5]),
        ({"ipc": 10}, [10, 9, 6]),
        ({"total": 9}, [3, 3, 3]),
        ({"total": 24}, [9, 9, 6]),
        ({"share": 1 / 3}, [3, 3, 3]),
        ({"total": 9, "spread": "what is there"}, [4, 3, 2]),
        ({"ipc": 3, "spread": "original counts"}, [4, 3, 2]),
        ({"total": 9, "spread": "what is there", "floor": 3}, [3, 3, 3]),
        ({"total": 1, "floor": 2}, [2, 2, 2]),
        ({"share": 1.0}, [12, 9, 6]),
    ],
)
def test_budget__by_hand(opened, parameters, kept):
    found = plan(opened, **parameters)
    assert found.per_class["kept"].tolist() == kept
    assert np.bincount(opened.labels[found.per_sample["kept"]], minlength=3).tolist() == kept


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=5).filter(any), st.integers(1, 40), st.integers(0, 4))
def test_plan__keeps_the_highest_ranks_and_numbers_their_tiles(sizes, total, floor):
    opened = made_set(sizes, num_classes=len(sizes), teachers=0, reference=False)
    table = plan(opened, total=total, floor=floor).per_sample
    for c in np.unique(opened.labels):
        of_class = table[opened.labels == c]
        kept = of_class[of_class["kept"]].sort_values("tile")
        assert kept["tile"].tolist() == list(range(len(kept)))
        assert (of_class["tile"][~of_class["kept"]] == -1).all()
        assert kept["rank_score"].is_monotonic_decreasing
        if len(kept) and len(kept) < len(of_class):
            assert kept["rank_score"].min() > of_class["rank_score"][~of_class["kept"]].max()
    assert table["rank_score"].between(0, 1).all()


def test_plan__diverse_tiles_are_the_same_images_in_another_order(opened):
    by_rank, diverse = (plan(opened, ipc=5, tiles=tiles).per_sample for tiles in ("by rank", "most diverse"))
    assert by_rank["kept"].tolist() == diverse["kept"].tolist()
    assert by_rank["tile"].tolist() != diverse["tile"].tolist()
    for c in range(3):
        assert sorted(diverse["tile"][(opened.labels == c) & diverse["kept"]]) == list(range(5))


def test_plan__flags_and_scores_no_image(opened):
    table = plan(opened, ipc=2).per_sample
    assert table["score"].isna().all() and not table["flag"].any()


def test_plan__same_seed_same_images_another_seed_others(opened):
    kept = [plan(opened, ipc=3, seed=seed).per_sample["kept"].tolist() for seed in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2]


def test_plan__without_images_or_soft_labels_says_what_counts_for_nothing(opened):
    bare = replace(opened, images=None, label_sources={}, reference=None)
    found = run("compression", bare, CPU, **PIXELS)
    assert any(c.startswith("Confidence counts for nothing") for c in found.caveats)
    assert any(c.startswith("Redundancy counts for nothing") for c in found.caveats)
    assert any("at random" in c for c in found.caveats)
    assert not any("Mosaics" in figure.label for figure in found.summary)


def test_plan__impossible_requests_are_one_sentence(opened):
    with pytest.raises(ImpossibleRequest, match="no score has a weight"):
        run("compression", opened, CPU, **ALONE)
    with pytest.raises(ImpossibleRequest, match="class counts"):
        plan(replace(opened, class_counts=None), spread="original counts")


def test_plan__many_classes_stay_small():
    opened = made_set((2,), num_classes=1_500, channels=1, size=4, teachers=1, reference=False)
    found = run("compression", opened, CPU, **{**PIXELS, **ALONE, "confidence_weight": 1.0, "redundancy_weight": 1.0}, ipc=1)
    assert found.per_class["kept"].sum() == 1_500 and not found.matrices


def test_what_if__goes_into_the_findings(opened):
    asked = {"what_if_students": True, "network": "linear", "steps": 3, "seeds": 3, "ipc": 4}
    told = plan(replace(opened, test=Reference(opened.reference.images, opened.reference.labels)), **asked)
    assert len(told.tables["what if"]) == 6 and told.tables["what if"]["accuracy"].between(0, 1).all()
    untold = plan(replace(opened, test=None), **asked)
    assert any(figure.value is None and "test split" in figure.basis for figure in untold.summary)
