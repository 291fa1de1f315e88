"""One behaviour test over every registered analysis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.registry import analyses, find, run
from data.distilled_set import Reference
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set
from tests.data.trees import make_tree

STUDENTS = {"network": "linear", "steps": 2, "seeds": 3}
# UMAP compiles for 20 s in a fresh process, a network looks at every image, and students learn for minutes; their own tests
# cover all three.
QUICK = {
    "class_overlap": {"embedding": "pixels"},
    "combined_evidence": {"embedding": "pixels"},
    "compression": {"embedding": "pixels"},
    "critic": {"embedding": "pixels"},
    "dd_ranking": {**STUDENTS, "protocol": "hard labels"},
    "diversity": {"embedding": "pixels"},
    "label_ablation": STUDENTS,
    "label_errors": {"embedding": "pixels"},
    "map": {"method": "pca", "embedding": "pixels"},
    "new_classes": {"embedding": "pixels"},
    "pareto": {**STUDENTS, "levels": 2},
    "student_comparison": STUDENTS,
}
NAMES = (
    "agreement",
    "bias_decomposition",
    "class_overlap",
    "combined_evidence",
    "compression",
    "critic",
    "dd_ranking",
    "diversity",
    "hardness",
    "head_tail",
    "label_ablation",
    "label_errors",
    "map",
    "new_classes",
    "pareto",
    "partial_labels",
    "soft_labels",
    "source_disagreement",
    "student_comparison",
    "suggestions",
)


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=(12, 9, 6), test=True)


def test_analyses__are_all_here():
    assert set(NAMES) <= set(analyses())


@pytest.mark.parametrize("name", NAMES)
def test_run__covers_every_sample_and_class(name, ordinary):
    found = run(name, ordinary, **QUICK.get(name, {}))
    assert found.per_sample["sample_id"].tolist() == list(range(len(ordinary)))
    assert found.per_class["class_id"].tolist() == list(range(ordinary.num_classes))
    assert found.per_class["n"].tolist() == ordinary.per_class.tolist()
    assert found.summary, "a page without a figure says nothing"
    assert all(figure.basis and figure.n >= 0 for figure in found.summary)


@pytest.mark.parametrize("name", NAMES)
def test_run__same_twice(name, ordinary):
    first, second = (run(name, ordinary, **QUICK.get(name, {})) for _ in range(2))
    np.testing.assert_array_equal(first.per_sample["score"], second.per_sample["score"])
    assert first.summary == second.summary


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (2, 0, 3), (1, 1, 1, 40)])
def test_run__tiny_and_lopsided_sets_say_so_instead_of_failing(name, sizes):
    tiny = made_set(n_per_class=sizes, num_classes=len(sizes), test=True)
    found = run(name, tiny, **QUICK.get(name, {}))
    assert len(found.per_sample) == len(tiny)
    assert found.caveats, "a set this small deserves a warning"


@pytest.mark.parametrize("name", NAMES)
def test_run__without_reference_counts_or_teachers(name, ordinary):
    bare = replace(ordinary, reference=None, class_counts=None)
    if missing := find(name).missing(bare):
        with pytest.raises(ImpossibleRequest, match=f"needs {missing[0]}"):
            run(name, bare)
        return
    assert len(run(name, bare, **QUICK.get(name, {})).per_sample) == len(ordinary)


@pytest.mark.parametrize("name", NAMES)
def test_run__stops_where_told(name, ordinary):
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(name, ordinary, Context(report=stop), **QUICK.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reference", [True, False])
def test_run__progress_never_falls(name, ordinary, reference):
    seen = []
    needs_it = "reference" in find(name).needs
    asked = ordinary if reference or needs_it else replace(ordinary, reference=None)
    run(name, asked, Context(report=lambda fraction, message: seen.append(fraction)), **QUICK.get(name, {}))
    assert seen and (np.diff(seen) >= -1e-9).all() and seen[0] >= 0 and seen[-1] <= 1 + 1e-9


@pytest.fixture(scope="module", params=["sre2l", "lpqld", "edc", "fkd-marginal5"])
def relabelled(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    make_tree(request.param, folder, **({"classes": 12, "ipc": 3} if request.param.startswith("fkd") else {}))
    return open_set(folder)


@pytest.mark.parametrize("name", NAMES)
def test_run__reads_a_relabelled_tree_as_labels(name, relabelled):
    if name == "source_disagreement":
        hard = torch.eye(relabelled.num_classes)[torch.from_numpy(relabelled.labels)]
        sources = {**relabelled.label_sources, "labels": DenseSoftLabels(hard, "probabilities")}
        relabelled = replace(relabelled, label_sources=sources)
    real = Reference(relabelled.images, relabelled.labels)
    lacking = {"test split": "test", "reference": "reference"}
    relabelled = replace(relabelled, **{lacking[need]: real for need in find(name).missing(relabelled)})
    found = run(name, relabelled, **QUICK.get(name, {}))
    assert len(found.per_sample) == len(relabelled) and found.summary
    if name in ("soft_labels", "head_tail"):
        assert any("relabelled tree" in caveat and "crops an image" in caveat for caveat in found.caveats)
