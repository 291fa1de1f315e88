"""Teacher bias and image bias, on sets whose biases were put in by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

import analysis
from analysis.findings import Figure, Findings
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import open_set
from tests.analysis.made_sets import made_set

NAMES = ["head a", "head b", "middle a", "middle b", "tail a", "tail b"]
COUNTS = np.array([5000, 3000, 400, 300, 20, 10])
PRIOR = np.log(COUNTS / COUNTS.sum())
TEACHERS = {"balanced_teacher": "level", "long_tailed_teacher": "skewed"}
EACH = 5


def logits(margin: np.ndarray, shift: float) -> np.ndarray:
    """Class-major logits (6 * EACH, 6): each sample's class stands ``margin`` (6,) above the rest, plus ``shift`` priors."""
    return np.repeat(np.diag(margin) + shift * PRIOR, EACH, axis=0).astype(np.float32)


def on_disk(folder: Path, margin: np.ndarray, sources: dict[str, float], names: list[str] | None = NAMES) -> Path:
    folder.mkdir()
    labels = np.repeat(np.arange(6), EACH)
    np.savez(
        folder / "set.npz", images=np.random.default_rng(0).normal(0, 1, (len(labels), 1, 8, 8)).astype("f"), labels=labels
    )
    for name, shift in sources.items():
        np.save(folder / f"{name}.npy", logits(margin, shift))
    said = {
        "class_counts": COUNTS.tolist(),
        "label_sources": {name: {"file": f"{name}.npy", "kind": "logits"} for name in sources},
        **({"class_names": names} if names else {}),
    }
    (folder / "stillroom.json").write_text(json.dumps(said))
    return folder / "set.npz"


LEVEL = np.full(6, 3.0)
WEAK_TAIL = np.array([3.0, 3.0, 3.0, 3.0, 2.0, 2.0])


@pytest.fixture
def long_tailed(tmp_path: Path) -> DistilledSet:
    return open_set(on_disk(tmp_path / "long", WEAK_TAIL, {"level": 0.0, "skewed": 1.0}))


@pytest.fixture
def balanced(tmp_path: Path) -> str:
    return str(on_disk(tmp_path / "balanced", LEVEL, {"level": 0.0, "skewed": 1.0}))


def figure(findings: Findings, label: str) -> Figure:
    return next(figure for figure in findings.summary if figure.label == label)


def own_mass(margin: np.ndarray, shift: float) -> np.ndarray:
    return softmax(np.diag(margin) + shift * PRIOR, axis=1).diagonal()


def gap(margin: np.ndarray, shift: float) -> float:
    own = own_mass(margin, shift)
    return own[:2].mean() - own[4:].mean()


def test_bias_decomposition__all_four_cells(long_tailed: DistilledSet, balanced: str) -> None:
    found = analysis.run("bias_decomposition", long_tailed, **TEACHERS, balanced_set=balanced)
    cells = {(t, i): gap(m, t) for t in (0, 1) for i, m in ((0, LEVEL), (1, WEAK_TAIL))}
    teacher = ((cells[1, 1] - cells[0, 1]) + (cells[1, 0] - cells[0, 0])) / 2
    images = ((cells[1, 1] - cells[1, 0]) + (cells[0, 1] - cells[0, 0])) / 2
    interaction = cells[1, 1] - cells[0, 1] - cells[1, 0] + cells[0, 0]
    assert cells[0, 0] == pytest.approx(0, abs=1e-9), "without either bias there is no gap"
    for name, expected in (("Teacher", teacher), ("Images", images), ("Interaction", interaction)):
        told = figure(found, f"{name}: gap between head's and tail's confidence")
        assert told.value == pytest.approx(expected, abs=1e-6) and told.low == pytest.approx(told.high), name
    assert teacher + images == pytest.approx(cells[1, 1] - cells[0, 0])
    assert not any("Missing" in caveat for caveat in found.caveats)
    assert len(found.tables["cells"]) == 4 and len(found.tables["effects"]) == 7
    row = found.tables["cells"].set_index("cell").loc["long-tailed teacher on long-tailed images"]
    assert row["spread"] == pytest.approx(own_mass(WEAK_TAIL, 1).std(), abs=1e-6)
    assert row["tail_confidence"] == pytest.approx(own_mass(WEAK_TAIL, 1)[4:].mean(), abs=1e-6)
    np.testing.assert_allclose(found.per_class["teacher_effect"], own_mass(WEAK_TAIL, 1) - own_mass(WEAK_TAIL, 0), atol=1e-6)
    assert (
        found.headline == "teacher_effect"
        and found.per_class["group"].tolist() == ["head"] * 2 + ["medium"] * 2 + ["tail"] * 2
    )
    lost = own_mass(WEAK_TAIL, 0) - own_mass(WEAK_TAIL, 1)
    np.testing.assert_allclose(found.per_sample["score"], np.repeat(1 - lost.clip(0), EACH), atol=1e-6)
    to_head = (np.diag(WEAK_TAIL) + PRIOR).argmax(axis=1) < 2
    assert found.per_sample["flag"].tolist() == np.repeat(to_head & (np.arange(6) > 3), EACH).tolist() and to_head[5]


def test_bias_decomposition__nothing_is_guessed(long_tailed: DistilledSet) -> None:
    found = analysis.run("bias_decomposition", long_tailed)
    assert all(told.value is None for told in found.summary) and not found.tables
    said = [caveat for caveat in found.caveats if caveat.startswith("Missing")]
    assert len(said) == 4 and any("'balanced teacher'" in caveat for caveat in said)
    assert sum("'balanced set'" in caveat for caveat in said) == 2
    assert found.per_sample["score"].isna().all() and not found.per_sample["flag"].any() and found.headline is None


def test_bias_decomposition__without_a_balanced_set_the_teachers_effect_on_these_images(long_tailed: DistilledSet) -> None:
    found = analysis.run("bias_decomposition", long_tailed, **TEACHERS)
    told = figure(found, "Teacher, on long-tailed images: gap between head's and tail's confidence")
    assert told.value == pytest.approx(gap(WEAK_TAIL, 1) - gap(WEAK_TAIL, 0), abs=1e-6) and told.low is not None
    whole = figure(found, "Teacher: gap between head's and tail's confidence")
    assert whole.value is None and "balanced teacher on balanced images" in whole.basis
    assert found.tables["effects"]["effect"].tolist() == ["teacher, on long-tailed images"]
    assert found.tables["cells"]["cell"].tolist() == [
        "balanced teacher on long-tailed images", "long-tailed teacher on long-tailed images"
    ]  # fmt: skip


def test_bias_decomposition__a_source_that_the_balanced_set_lacks(long_tailed: DistilledSet, tmp_path: Path) -> None:
    other = str(on_disk(tmp_path / "half", LEVEL, {"level": 0.0}))
    found = analysis.run("bias_decomposition", long_tailed, **TEACHERS, balanced_set=other)
    (said,) = [caveat for caveat in found.caveats if caveat.startswith("Missing")]
    assert "long-tailed teacher on balanced images" in said and "has no label source 'skewed'" in said
    images = figure(found, "Images, under the balanced teacher: gap between head's and tail's confidence")
    assert images.value == pytest.approx(gap(WEAK_TAIL, 0) - gap(LEVEL, 0), abs=1e-6)


def test_bias_decomposition__other_classes_are_refused_and_numbered_ones_said(
    long_tailed: DistilledSet, tmp_path: Path
) -> None:
    numbered = str(on_disk(tmp_path / "numbered", LEVEL, {"level": 0.0}, names=None))
    found = analysis.run("bias_decomposition", long_tailed, **TEACHERS, balanced_set=numbered)
    assert any("by number, not by name" in caveat for caveat in found.caveats)
    turned = str(on_disk(tmp_path / "turned", LEVEL, {"level": 0.0}, names=NAMES[::-1]))
    with pytest.raises(ImpossibleRequest, match="other classes"):
        analysis.run("bias_decomposition", long_tailed, **TEACHERS, balanced_set=turned)


def test_bias_decomposition__what_cannot_be_compared(long_tailed: DistilledSet) -> None:
    with pytest.raises(ImpossibleRequest, match="both teachers are 'level'"):
        analysis.run("bias_decomposition", long_tailed, balanced_teacher="level", long_tailed_teacher="level")
    with pytest.raises(ImpossibleRequest, match="no label source 'absent'"):
        analysis.run("bias_decomposition", long_tailed, balanced_teacher="absent")
    with pytest.raises(ImpossibleRequest, match="this set itself"):
        analysis.run("bias_decomposition", long_tailed, balanced_set=str(long_tailed.provenance.path))
    with pytest.raises(UnreadableInput, match=r"the balanced set cannot be opened: .* does not exist"):
        analysis.run("bias_decomposition", long_tailed, balanced_set="/absent/set")


def test_bias_decomposition__one_image_a_class_has_no_interval() -> None:
    made = made_set((1, 1, 1), size=2)
    found = analysis.run("bias_decomposition", made, balanced_teacher="teacher 0", long_tailed_teacher="teacher 1")
    assert all(told.low is None for told in found.summary)
