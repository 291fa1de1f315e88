"""Corrected labels written as a set's own, in every format: the same logits bit for bit, the hard labels as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from data.curation import curate
from data.decisions import Decision, states
from data.derived_sources import DerivedSource, attach_derived, read_derived, write_derived
from data.distilled_set import GIVEN, DistilledSet, OpenOptions
from data.errors import ImpossibleRequest
from data.export import export
from data.formats import open_set
from data.labels_to_write import LabelsToWrite, with_labels
from data.soft_labels import hard_labels
from tests.data.sets import CLASSES, MAKERS, Made, N, make
from tests.data.trees import make_tree

NAME = "given, ADSA tau 1.35"
FORMATS = sorted(set(MAKERS) - {"label-text", "label-text-binary"})


ON_TOP = (
    "datm",
    "npz-hard",
    "safetensors",
    "webdataset",
    "webdataset-json",
    "hf-parquet",
    "hf-parquet-file",
    "image-folder",
)
NEW_FILES = {"dc": "res.pt", "tensors": "", "npz": "images_best.npz", "safetensors": "images_best.safetensors"}


def logits(n: int = N, classes: int = CLASSES) -> torch.Tensor:
    """Rows whose most probable classes are mostly not the set's."""
    return torch.randn(n, classes, generator=torch.Generator().manual_seed(7)) * 3


def derived(folder: Path, opened: DistilledSet, name: str = NAME, values: torch.Tensor | None = None, **recipe) -> Path:
    values = logits(len(opened), opened.num_classes) if values is None else values
    said = {"correction": "adsa", "source": GIVEN, "parameters": {"tau": 1.35}, **recipe}
    write_derived(folder, name, tuple(values.shape), [(np.arange(len(values)), values)], said)
    return folder


def attached(opened: DistilledSet, *folders: Path) -> tuple[DistilledSet, list[DerivedSource]]:
    return attach_derived(opened, folders), [read_derived(folder) for folder in folders]


def written(made: Made, tmp_path: Path, log: list[Decision] = [], keep_given: bool = True, as_format: str | None = None):
    """(the set as opened, the manifest, the written set opened again)"""
    opened = open_set(made.path, made.options)
    opened, (own,) = attached(opened, derived(tmp_path / "derived", opened))
    wanted = with_labels(opened, LabelsToWrite(own, keep_given=keep_given), as_format)
    manifest = export(curate(wanted, states(log)), log, tmp_path / "out", as_format)
    place = tmp_path / "out" / made.path.name
    there = place if place.exists() and as_format is None else tmp_path / "out"
    options = replace(made.options, labels=None, profile=None)
    if as_format in NEW_FILES:
        there = tmp_path / "out" / NEW_FILES[as_format]
    return opened, json.loads(manifest.read_text()), open_set(there, options if as_format is None else OpenOptions())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format__writes_the_logits_as_the_sets_own(name, tmp_path):
    before = {file: file.read_bytes() for file in make(name, tmp_path / "source").files}
    made = make(name, tmp_path / "again")
    opened, manifest, again = written(made, tmp_path)
    own = again.label_sources[GIVEN]
    assert own.dtype == torch.float32 and torch.equal(own.stored(np.arange(N)), logits(N, opened.num_classes))
    assert np.array_equal(again.labels, opened.labels), "hard labels stay"
    if GIVEN in opened.label_sources:
        kept = again.label_sources["given before adsa"]
        given = opened.label_sources[GIVEN]
        assert kept.kind == given.kind and torch.equal(kept.stored(np.arange(N)), given.stored(np.arange(N)))
    assert again.class_names == opened.class_names
    assert manifest["soft_labels"]["own"]["parameters"] == {"tau": 1.35}
    assert all(file.read_bytes() == data for file, data in before.items())


@pytest.mark.parametrize("name", ON_TOP)
def test_decisions__apply_on_top_of_the_new_labels(name, tmp_path):
    log = [Decision(0, "prune"), Decision(4, "relabel", label=3), Decision(5, "soften", soft_label=(0.1, 0.6, 0.2, 0.1))]
    made = make(name, tmp_path / "source")
    opened, manifest, again = written(made, tmp_path, log)
    order = manifest["original_ids"]
    rows = again.label_sources[GIVEN].stored(np.arange(N - 1))
    mine = logits()
    for new, old in enumerate(order):
        if old not in (4, 5):
            assert torch.equal(rows[new], mine[old]) and again.labels[new] == opened.labels[old]
    swapped = mine[4].clone()
    top = int(swapped.argmax())
    swapped[top], swapped[3] = mine[4][3], mine[4][top]
    assert torch.equal(rows[order.index(4)], swapped) and again.labels[order.index(4)] == 3
    softened = rows[order.index(5)].softmax(dim=0)
    assert torch.allclose(softened, torch.tensor([0.1, 0.6, 0.2, 0.1]), atol=1e-5)


def test_tensors__the_labels_file_is_datms(tmp_path):
    made = make("mtt", tmp_path / "source")
    written(made, tmp_path)
    stored = torch.load(tmp_path / "out" / "labels_best.pt", weights_only=True)
    assert stored.dtype == torch.float32 and torch.equal(stored, logits())


def test_tensors__hard_labels_beside_are_read_again_and_carried_on(tmp_path):
    made = make("datm", tmp_path / "source")
    _, _, again = written(made, tmp_path)
    assert not np.array_equal(hard_labels(again.label_sources[GIVEN]), again.labels)
    export(curate(again, states([Decision(0, "prune")])), [], tmp_path / "twice")
    twice = open_set(tmp_path / "twice")
    assert np.array_equal(twice.labels, again.labels[1:])


def test_given__is_left_out_where_nobody_wants_it(tmp_path):
    _, manifest, again = written(make("datm", tmp_path / "source"), tmp_path, keep_given=False)
    assert set(again.label_sources) == {GIVEN} and manifest["soft_labels"]["given_kept_as"] is None


@pytest.mark.parametrize("as_format", ["dc", "tensors", "npz", "safetensors", "folder"])
def test_another_layout__holds_the_logits_too(as_format, tmp_path):
    opened, _, again = written(make("datm", tmp_path / "source"), tmp_path, as_format=as_format)
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(N)), logits())
    assert np.array_equal(again.labels, opened.labels)


def test_label_text__is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ImpossibleRequest, match="regression targets"):
        written(make("label-text", tmp_path / "source"), tmp_path)
    assert not (tmp_path / "out").exists()


def test_parquet__datasets_are_told_of_the_new_column(tmp_path):
    made = make("hf-parquet-file", tmp_path / "source")
    written(made, tmp_path)
    assert pq.read_schema(tmp_path / "out" / "set.parquet").field("soft_labels").type.list_size == CLASSES


def test_beside__several_are_written_as_sources_of_their_own(tmp_path):
    made = make("datm", tmp_path / "source")
    first = derived(tmp_path / "1", open_set(made.path), "../etc: one")
    second = derived(tmp_path / "2", open_set(made.path), "two", values=-logits())
    opened, made_sources = attached(open_set(made.path), first, second)
    wanted = with_labels(opened, LabelsToWrite(beside=tuple(made_sources)))
    manifest = json.loads(export(curate(wanted, {}), [], tmp_path / "out").read_text())
    again = open_set(tmp_path / "out" / "images_best.pt")
    assert torch.equal(again.label_sources["two"].stored(np.arange(N)), -logits())
    assert torch.equal(again.label_sources["../etc: one"].stored(np.arange(N)), logits())
    assert [recipe["name"] for recipe in manifest["soft_labels"]["beside"]] == ["../etc: one", "two"]
    assert {path.parent for path in (tmp_path / "out").rglob("*")} == {tmp_path / "out"}
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(N)), made.soft)


@pytest.mark.parametrize("correction", ["\ud800", "a\nb", "../../x", "x" * 10_000, ["adsa"], 5])
def test_given__is_kept_whatever_a_recipe_calls_its_correction(correction, tmp_path):
    made = make("datm", tmp_path / "set")
    opened = open_set(made.path)
    opened, (own,) = attached(opened, derived(tmp_path / "derived", opened, correction=correction))
    export(curate(with_labels(opened, LabelsToWrite(own)), {}), [], tmp_path / "out")
    assert torch.equal(open_set(tmp_path / "out").label_sources[f"given before {NAME}"].stored(np.arange(N)), made.soft)


def test_with_labels__one_that_was_removed_meanwhile(tmp_path):
    made = make("datm", tmp_path / "source")
    _, (own,) = attached(open_set(made.path), derived(tmp_path / "derived", open_set(made.path)))
    with pytest.raises(ImpossibleRequest, match="any more"):
        with_labels(open_set(made.path), LabelsToWrite(own))


RESCALING = {"divisor": [2.0] * 4, "shift": [0.5, -1.0, 0.25, 3.0]}


def tree_set(name: str, folder: Path, rescaling: dict | None = None, **recipe) -> tuple[DistilledSet, DerivedSource]:
    made = make_tree(name, folder / "set")
    opened = open_set(made.images, OpenOptions(labels=str(made.tree)))
    said = {} if rescaling is None else {"rescaling": rescaling}
    opened, (own,) = attached(opened, derived(folder / "derived", opened, **said, **recipe))
    return opened, own


def numbers(classes: int) -> dict[str, list[float]]:
    return {"divisor": [1.0 + c / 4 for c in range(classes)], "shift": [0.5 * c - 1 for c in range(classes)]}


@pytest.mark.parametrize("name", ["sre2l", "lpld", "lpqld", "edc", "short-last-batch"])
def test_tree__every_row_is_rescaled(name, tmp_path):
    classes = open_set(make_tree(name, tmp_path / "peek").images).num_classes
    opened, own = tree_set(name, tmp_path, numbers(classes))
    wanted = with_labels(opened, LabelsToWrite(own))
    manifest = json.loads(export(curate(wanted, {}), [], tmp_path / "out").read_text())
    assert manifest["format"] == "relabelled"
    before, after = opened.label_sources[GIVEN].tree, open_set(tmp_path / "out").label_sources[GIVEN].tree
    said = numbers(classes)
    for position in range(len(before)):
        (old, images), (new, others) = before.read(position), after.read(position)
        assert np.array_equal(images, others) and new.values.dtype == old.values.dtype
        assert new.values.shape == old.values.shape
        for row, image in enumerate(images.tolist()):  # a loop over single values, the plainest oracle there is
            names = range(classes) if old.indices is None else old.indices[row].tolist()
            expected = {
                c: float(v) / said["divisor"][opened.labels[image]] - said["shift"][c]
                for c, v in zip(names, old.values[row].tolist(), strict=True)
            }
            others = names if new.indices is None else new.indices[row].tolist()
            found = dict(zip(others, new.values[row].tolist(), strict=True))
            assert found == pytest.approx(expected, abs=2e-2 if old.values.dtype == torch.float16 else 1e-5)


def test_tree__decisions_apply_on_top(tmp_path):
    classes = open_set(make_tree("sre2l-nomix", tmp_path / "peek").images).num_classes
    opened, own = tree_set("sre2l-nomix", tmp_path, numbers(classes))
    wanted = with_labels(opened, LabelsToWrite(own))
    log = [Decision(0, "prune")]
    export(curate(wanted, states(log)), log, tmp_path / "out")
    again = open_set(tmp_path / "out")
    assert len(again) == len(opened) - 1
    expected = wanted.label_sources[GIVEN].probabilities(np.arange(1, len(opened)))
    assert torch.allclose(again.label_sources[GIVEN].probabilities(np.arange(len(again))), expected, atol=1e-6)


def test_tree__in_another_layout_the_logits_take_its_place(tmp_path):
    opened, own = tree_set("sre2l", tmp_path)
    wanted = with_labels(opened, LabelsToWrite(own), "folder")
    export(curate(wanted, {}), [], tmp_path / "out", "folder")
    again = open_set(tmp_path / "out")
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(len(again))), logits(len(again), again.num_classes))


@pytest.mark.parametrize(
    "name, rescaling, recipe, sentence",
    [
        ("sre2l", None, {}, "every row rescaled"),
        ("sre2l", {"divisor": [1.0], "shift": [0.0]}, {}, "does not say by how much"),
        ("sre2l", {"formula": "logits"}, {}, "does not say by how much"),
        ("sre2l", {"divisor": ["x"], "shift": None}, {}, "does not say by how much"),
        ("sre2l", {"divisor": [10**400], "shift": [0.0]}, {}, "does not say by how much"),
        ("sre2l", {"divisor": [1.0], "shift": [0.0]}, {"source": "teacher"}, "every row rescaled"),
        ("fkd-smoothing", "numbers", {}, "quantised"),
        ("lpqld", "huge", {}, "too large for"),
    ],
)
def test_tree__what_cannot_be_written_is_refused_in_one_sentence(name, rescaling, recipe, sentence, tmp_path):
    classes = open_set(make_tree(name, tmp_path / "peek").images).num_classes
    if rescaling == "numbers":
        rescaling = numbers(classes)
    if rescaling == "huge":
        rescaling = {"divisor": [1.0] * classes, "shift": [1e6] * classes}
    with pytest.raises(ImpossibleRequest, match=sentence):
        opened, own = tree_set(name, tmp_path, rescaling, **recipe)
        export(curate(with_labels(opened, LabelsToWrite(own)), {}), [], tmp_path / "out")
    assert not (tmp_path / "out").exists()
