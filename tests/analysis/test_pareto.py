"""What each choice costs, counted by hand, and which are called worth it."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import pareto as module
from analysis.registry import run
from analysis.students import draws
from tests.analysis.made_sets import made_set
from tests.analysis.students.made_marks import trainer

TINY = {"network": "linear", "steps": 2, "seeds": 3}


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=(9, 9, 4), test=True)


def figure(found, label):
    return next(f for f in found.summary if f.label == label)


def test_pareto__bytes_of_every_choice(ordinary):
    table = run("pareto", ordinary, levels=3, k=2, **TINY).tables["label bytes"].set_index("choice")
    images = {1: 3, 3: 9, 9: 22}
    assert len(table) == 9
    for ipc, n in images.items():
        rows = table.loc[[f"{ipc} a class, {kind}" for kind in ("hard labels", "top 2", "soft labels")]]
        assert rows["bytes"].tolist() == [n * 2, n * 2 * (2 + 2), n * 3 * 2]
        assert set(rows["images"]) == {n} and set(rows["image_bytes"]) == {n * 3 * 8 * 8 * 4}
    assert table["chosen"].any()


def test_pareto__without_soft_labels_only_hard_ones():
    found = run("pareto", made_set(n_per_class=(3, 3), teachers=0, test=True), levels=2, **TINY)
    assert found.tables["label bytes"]["choice"].tolist() == ["1 a class, hard labels", "3 a class, hard labels"]
    assert any("no soft labels" in caveat for caveat in found.caveats)


def test_pareto__one_image_a_class_is_one_level():
    assert len(run("pareto", made_set(n_per_class=(1, 1, 1), test=True), **TINY).tables["label bytes"]) == 3


def test_pareto__what_is_surely_beaten_for_less_is_no_optimum(ordinary, monkeypatch):
    """Whole soft labels of one image a class know nothing, hard labels of all images everything."""
    shares = {
        "1 a class, hard labels": 0.2,
        "1 a class, soft labels": 0.1,
        "9 a class, hard labels": 0.8,
        "9 a class, soft labels": 0.8,
    }
    wobble = [[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1]]
    right = {
        name: (lambda seed, share=share, extra=extra: share + extra[seed] / 18)
        for (name, share), extra in zip(shares.items(), wobble, strict=True)
    }
    monkeypatch.setattr(draws, "train", trainer(right))
    found = run("pareto", ordinary, levels=2, k=5, seeds=3)
    table = found.tables["label bytes"].set_index("choice")
    assert table["optimal"].to_dict() == {
        "1 a class, hard labels": "yes",
        "1 a class, soft labels": "perhaps",
        "9 a class, hard labels": "yes",
        "9 a class, soft labels": "perhaps",
    }
    assert table["chosen"].to_dict() == dict(zip(table.index, [True, False, True, False], strict=True))
    assert figure(found, "Label bytes that are enough").value == 22 * 2


def test_optimal__is_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(50):
        costs, n = rng.integers(0, 4, 6), 6
        better = np.triu(rng.random((n, n)) < 0.5, 1)
        found = module._optimal(costs, better)
        for i in range(n):
            rivals = [j for j in range(n) if j != i and costs[j] <= costs[i]]
            beaten, beats = any(better[j, i] for j in rivals), all(better[i, j] for j in rivals)
            assert found[i] == ("no" if beaten else "yes" if beats else "perhaps")


def test_pareto__two_seeds_choose_nothing(ordinary):
    found = run("pareto", ordinary, levels=2, network="linear", steps=2, seeds=2)
    assert figure(found, "Label bytes that are enough").value is None
    assert "no" not in set(found.tables["label bytes"]["optimal"])
