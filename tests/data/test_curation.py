"""Curation: what it changes, what it must not, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from data.curation import curate, soften_obstacle
from data.decisions import Decision, states
from data.distilled_set import GIVEN, DistilledSet, Provenance, numbered_classes
from data.errors import ImpossibleRequest
from data.images import Images, TensorStore
from data.pixels import PROFILES
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.opening import open_tree
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels, hard_labels
from tests.data.trees import make_tree

N, C = 6, 3
SOFT = torch.tensor(
    [[5.0, 1, 0], [4, 2, 3], [0, 6, 1], [1, 2, 0.5], [0, 0.25, 3], [-1, -3, 2]],
)


def made(sources: dict[str, SoftLabels] | None = None, labels: np.ndarray | None = None) -> DistilledSet:
    given_source = (sources or {}).get(GIVEN)
    if labels is None:
        labels = hard_labels(given_source) if given_source is not None else np.repeat(np.arange(C), 2)
    images = Images(TensorStore(torch.arange(N * 12.0).reshape(N, 3, 2, 2)), PROFILES["unknown"])
    origin = Provenance(Path("/nowhere/set.pt"), "tensors", "MTT", ())
    return DistilledSet("set", labels, numbered_classes(C), origin, images, sources or {})


def given_only(values: torch.Tensor, kind: str = "logits") -> DistilledSet:
    return made({GIVEN: DenseSoftLabels(values, kind)})


def decided(*decisions: Decision):
    return states(decisions)


def rows_of(source: SoftLabels) -> torch.Tensor:
    return source.stored(np.arange(len(source)))


def test_curate__no_decision_gives_the_set_itself():
    original = given_only(SOFT)
    curated = curate(original, {})
    assert curated.set is original and curated.unchanged and curated.kept.tolist() == list(range(N))


def test_curate__an_undone_log_gives_the_set_itself():
    original = given_only(SOFT)
    log = [
        Decision(0, "prune", id=1),
        Decision(1, "relabel", label=2, id=2),
        Decision(0, "undo", id=3),
        Decision(1, "undo", undoes=2, id=4),
        Decision(2, "keep"),
        Decision(3, "skip"),
        Decision(4, "prune"),
        Decision(4, "restore"),
    ]
    assert curate(original, states(log)).set is original


def test_curate__prune_leaves_the_others_bits_and_order():
    original = made({GIVEN: DenseSoftLabels(SOFT, "logits"), "teacher": DenseSoftLabels(SOFT.half(), "logits")})
    curated = curate(original, decided(Decision(4, "prune"), Decision(1, "prune")))
    kept = [0, 2, 3, 5]
    assert curated.kept.tolist() == kept and curated.pruned == (1, 4)
    assert curated.set.labels.tolist() == original.labels[kept].tolist()
    assert torch.equal(rows_of(curated.set.label_sources[GIVEN]), SOFT[kept])
    assert torch.equal(rows_of(curated.set.label_sources["teacher"]), SOFT.half()[kept])
    assert torch.equal(curated.set.images.stored(range(4)), original.images.stored(kept))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, N - 1), st.integers(0, C - 1), st.sampled_from([torch.float64, torch.float32, torch.float16]))
def test_curate__relabel_exchanges_two_values_and_keeps_the_entropy(sample, label, dtype):
    original = given_only(SOFT.to(dtype))
    curated = curate(original, decided(Decision(sample, "relabel", label=label)))
    before, after = SOFT.to(dtype), rows_of(curated.set.label_sources[GIVEN])
    assert after.dtype == dtype
    assert after[sample].sort().values.tolist() == before[sample].sort().values.tolist()
    assert int(after[sample].argmax()) == label == curated.set.labels[sample]
    assert int((after[sample] != before[sample]).sum()) in (0, 2)
    others = [i for i in range(N) if i != sample]
    assert torch.equal(after[others], before[others])
    assert curated.set.labels[others].tolist() == original.labels[others].tolist()


def test_curate__relabel_does_not_touch_other_sources_opinions():
    original = made({GIVEN: DenseSoftLabels(SOFT, "logits"), "teacher": DenseSoftLabels(SOFT, "logits")})
    curated = curate(original, decided(Decision(0, "relabel", label=2), Decision(1, "soften", soft_label=(0.5, 0.5, 0))))
    assert curated.set.label_sources["teacher"] is original.label_sources["teacher"]


def test_curate__does_not_change_its_input():
    values = SOFT.clone()
    original = given_only(values)
    before = original.labels.copy()
    curate(
        original, decided(Decision(0, "relabel", label=2), Decision(1, "prune"), Decision(3, "soften", soft_label=(1, 0, 0)))
    )
    assert torch.equal(values, SOFT) and np.array_equal(original.labels, before)


def test_curate__relabel_of_hard_labels_changes_the_label_alone():
    original = made()
    curated = curate(original, decided(Decision(0, "relabel", label=2)))
    assert curated.set.labels.tolist() == [2, 0, 1, 1, 2, 2] and curated.relabelled == (0,)
    assert curated.set.images is original.images


def test_curate__relabel_to_the_label_it_has_is_no_change():
    original = made()
    assert curate(original, decided(Decision(0, "relabel", label=0))).set is original


def test_curate__a_pruned_sample_counts_as_pruned_only():
    curated = curate(made(), decided(Decision(0, "relabel", label=2), Decision(0, "prune")))
    assert (curated.pruned, curated.relabelled) == ((0,), ())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, N - 1), st.lists(st.integers(1, 100), min_size=C, max_size=C))
def test_curate__softened_logits_have_the_softmax_asked_for(sample, weights):
    wanted = tuple(w / sum(weights) for w in weights)
    curated = curate(given_only(SOFT), decided(Decision(sample, "soften", soft_label=wanted)))
    row = rows_of(curated.set.label_sources[GIVEN])[sample].double().numpy()
    assert softmax(row) == pytest.approx(wanted, abs=1e-5)
    assert row.mean() == pytest.approx(float(SOFT[sample].mean()), abs=1e-5)
    assert wanted[curated.set.labels[sample]] == pytest.approx(max(wanted), abs=1e-6)
    assert curated.softened == (sample,)


def test_curate__softened_probabilities_are_written_as_they_are():
    original = given_only(SOFT.softmax(dim=1), "probabilities")
    curated = curate(original, decided(Decision(2, "soften", soft_label=(0.25, 0.0, 0.75))))
    row = rows_of(curated.set.label_sources[GIVEN])[2]
    assert row.tolist() == [0.25, 0.0, 0.75] and curated.set.labels[2] == 2


def test_curate__softened_zeros_stay_finite_in_half_precision():
    curated = curate(given_only(SOFT.half()), decided(Decision(0, "soften", soft_label=(1.0, 0.0, 0.0))))
    row = rows_of(curated.set.label_sources[GIVEN])[0]
    assert torch.isfinite(row).all() and row.dtype == torch.float16
    assert float(row.float().softmax(0)[0]) > 0.9999


@pytest.mark.parametrize(("score", "label", "expected"), [(1.5, 0, -1.5), (1.5, 1, 1.5), (-2.0, 1, 2.0), (-2.0, 0, -2.0)])
def test_curate__a_binary_score_is_mirrored(score, label, expected):
    values = torch.tensor([[score], [1.0]])
    source = DenseSoftLabels(values, "scores")
    origin = Provenance(Path("/nowhere/set.txt"), "label-text", "SLDD", ())
    original = DistilledSet("set", hard_labels(source), numbered_classes(2), origin, None, {GIVEN: source})
    curated = curate(original, decided(Decision(0, "relabel", label=label)))
    assert rows_of(curated.set.label_sources[GIVEN]).tolist() == [[expected], [1.0]]
    assert curated.set.labels.tolist() == [label, 1]


def top_k_set() -> DistilledSet:
    values, indices = torch.tensor([[3.0, 1.0]] * N), torch.tensor([[0, 1]] * N, dtype=torch.int16)
    return made({GIVEN: TopKSoftLabels(values, indices, C, "logits")})


@pytest.mark.parametrize(("label", "indices"), [(1, [1, 0]), (2, [2, 1]), (0, [0, 1])])
def test_curate__top_k_relabel_exchanges_classes_not_values(label, indices):
    curated = curate(top_k_set(), decided(Decision(3, "relabel", label=label)))
    source = curated.set.label_sources[GIVEN]
    assert source.indices[3].tolist() == indices and source.indices.dtype == torch.int16
    assert source.values[3].tolist() == [3.0, 1.0] and source.indices[2].tolist() == [0, 1]
    assert curated.set.labels[3] == label


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.integers(0, N - 1), st.sampled_from(["prune", "keep", 0, 1, 2]), max_size=N - 1),
)
def test_curate__counts_add_up(plan):
    log = [Decision(i, "relabel", label=what) if isinstance(what, int) else Decision(i, what) for i, what in plan.items()]
    original = given_only(SOFT)
    curated = curate(original, states(log))
    pruned = {i for i, what in plan.items() if what == "prune"}
    assert set(curated.pruned) == pruned and len(curated.set) == N - len(pruned)
    expected = [plan[i] if isinstance(plan.get(i), int) else int(original.labels[i]) for i in range(N) if i not in pruned]
    assert curated.set.labels.tolist() == expected
    assert hard_labels(curated.set.label_sources[GIVEN]).tolist() == expected
    assert curated.unchanged == (curated.set is original)


REFUSED = {
    "sample out of range": (lambda: given_only(SOFT), [Decision(N, "prune")], f"sample {N}"),
    "a kept sample out of range": (lambda: given_only(SOFT), [Decision(10**18, "keep")], "belong to this set"),
    "class out of range": (lambda: given_only(SOFT), [Decision(0, "relabel", label=C)], f"class {C}"),
    "soft label of another length": (lambda: given_only(SOFT), [Decision(0, "soften", soft_label=(1.0,))], "1 soft-label"),
    "everything pruned": (lambda: given_only(SOFT), [Decision(i, "prune") for i in range(N)], "every sample"),
    "soften where labels are hard": (
        made,
        [Decision(1, "soften", soft_label=(0.5, 0.5, 0))],
        "hard labels only, so sample 1",
    ),
    "soften where only a teacher is soft": (
        lambda: made({"teacher": DenseSoftLabels(SOFT, "logits")}),
        [Decision(1, "soften", soft_label=(0.5, 0.5, 0))],
        "hard labels only",
    ),
    "soften scores": (
        lambda: given_only(SOFT, "scores"),
        [Decision(2, "soften", soft_label=(0.5, 0.5, 0))],
        "sample 2 .*scores",
    ),
    "soften top-k": (top_k_set, [Decision(2, "soften", soft_label=(0.5, 0.5, 0))], "sample 2 .*top-k"),
    "relabel a tie": (
        lambda: given_only(torch.full((N, C), 1 / C), "probabilities"),
        [Decision(5, "relabel", label=2)],
        "sample 5 .*same value",
    ),
}


@pytest.mark.parametrize(("original", "log", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_curate__refuses_in_one_sentence_that_names_the_sample(original, log, says):
    with pytest.raises(ImpossibleRequest, match=says) as caught:
        curate(original(), states(log))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("original", "says"),
    [
        (lambda: given_only(SOFT), ""),
        (lambda: given_only(SOFT.softmax(1), "probabilities"), ""),
        (made, "hard labels only"),
        (lambda: made({"teacher": DenseSoftLabels(SOFT, "logits")}), "hard labels only"),
        (lambda: given_only(SOFT, "scores"), "scores"),
        (top_k_set, "top 2 classes"),
    ],
)
def test_soften_obstacle__says_beforehand_what_curate_would_refuse(original, says):
    opened = original()
    assert says in soften_obstacle(opened) and bool(says) == bool(soften_obstacle(opened))
    soften = decided(Decision(1, "soften", soft_label=(0.5, 0.5, 0)))
    if says:
        with pytest.raises(ImpossibleRequest, match="cannot be softened"):
            curate(opened, soften)
    else:
        assert curate(opened, soften).softened == (1,)


def test_curate__a_tree_of_crops_is_pruned_along_and_relabelled_but_not_softened(tmp_path):
    tree = make_tree("sre2l", tmp_path)
    opened = open_tree(tree.tree, tree.labels, tree.num_classes)
    labels = AugmentedSoftLabels(opened, np.arange(len(tree.labels)))
    origin = Provenance(tmp_path, "relabelled", "SRe2L", ())
    names = numbered_classes(tree.num_classes)
    original = DistilledSet("set", tree.labels, names, origin, label_sources={GIVEN: labels})
    pruned = curate(original, decided(Decision(0, "prune"))).set.label_sources[GIVEN]
    assert pruned.images.tolist() == list(range(1, len(original)))
    relabelled = curate(original, decided(Decision(0, "relabel", label=1), Decision(2, "prune")))
    assert (relabelled.relabelled, relabelled.set.labels[0]) == ((0,), 1)
    assert relabelled.set.label_sources[GIVEN].exchanges == {0: (0, 1)}
    before, after = (source.label_sources[GIVEN].probabilities([0])[0] for source in (original, relabelled.set))
    assert before[0] > after[0] and after[1] > before[1]
    assert torch.allclose(before[2:], after[2:])
    assert "many crops" in soften_obstacle(original)
    with pytest.raises(ImpossibleRequest, match="many crops a sample, so sample 0 cannot be softened"):
        curate(original, decided(Decision(0, "soften", soft_label=(1.0, *[0.0] * (tree.num_classes - 1)))))
