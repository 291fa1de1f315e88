"""Class counts and real images that the opening options name."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.__main__ import main
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import open_set
from data.workspace import Workspace
from tests.data import sets
from tests.data.formats.test_companions import FULL, make


def pictures(folder: Path, names: tuple[str, ...], side: int = 12, each: int = 2) -> Path:
    """An image folder of classes, the images of another size than the set's, in colour."""
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            Image.new("RGB", (side, side), (40 * k, 9, i)).save(folder / name / f"{i}.png")
    return folder


def counts_file(folder: Path, text: str = "class,count\ncoat,7\nbag,900\nboot,80\n") -> Path:
    path = folder / "counts.csv"
    path.write_text(text)
    return path


def options(tmp_path: Path) -> OpenOptions:
    real = pictures(tmp_path / "real", ("boot", "bag", "coat"))
    np.savez(tmp_path / "exam.npz", images=np.zeros((3, 3, 9, 9), np.uint8), labels=np.array([0, 1, 2]))
    return OpenOptions(counts=str(counts_file(tmp_path)), reference=str(real), test=str(tmp_path / "exam.npz"))


def test_open_set__counts_reference_and_test_kept_elsewhere(tmp_path: Path) -> None:
    path = make(tmp_path / "set")
    opened = open_set(path, options(tmp_path))
    assert opened.class_counts.tolist() == [900, 80, 7], "they overrule what came with the set"
    assert opened.reference.images.shape == (3, 12, 12) and opened.reference.images.pixel_space.name == "uint8"
    assert opened.reference.labels.tolist() == [0, 0, 1, 1, 2, 2], "folders are matched by name"
    assert len(opened.test.labels) == 3
    warned = [warning for warning in opened.provenance.warnings if "matched by number" in warning]
    assert len(warned) == 1 and warned[0].startswith("test exam.npz")
    read = set(opened.provenance.files)
    assert {path, tmp_path / "counts.csv", tmp_path / "exam.npz", tmp_path / "real/bag/0.png"} <= read
    assert opened.images.pixel_space == open_set(path).images.pixel_space


def test_open_set__nothing_named_changes_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "set", None)
    opened = open_set(path)
    assert opened.class_counts is None and opened.reference is None and opened.provenance.files == (path,)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"counts": "absent.csv"}, "absent.csv is no file"),
        ({"counts": "a\0b"}, "is no file"),
        ({"reference": "absent"}, "the reference cannot be opened: .*absent does not exist"),
        ({"reference": ""}, "the reference cannot be opened: the path of the set is empty"),
        ({"test": "a\0b"}, "the test cannot be opened"),
        ({"test": "set/set.npz"}, "the test is the set itself"),
        ({"test": "set/strong.npy"}, "the test"),
    ],
)
def test_open_set__one_sentence_for_what_cannot_be_used(tmp_path: Path, monkeypatch, said: dict, sentence: str) -> None:
    path = make(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableInput, match=sentence) as refused:
        open_set(path, OpenOptions(**said))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["datm", "tensor-folder"])
def test_open_set__the_set_by_another_name_is_no_real_image(tmp_path: Path, name: str) -> None:
    """A file of it and the folder around that file are the same images: a student tested on them is tested on nothing."""
    path = sets.make(name, tmp_path / "set").path
    for one, other in ((path, path.parent), (path.parent, path)) if path.is_file() else ((path, path / "images.pt"),):
        with pytest.raises(UnreadableInput, match="the test is the set itself"):
            open_set(one, OpenOptions(test=str(other)))


def test_inspect__flags(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path, said = make(tmp_path / "set", None), options(tmp_path)
    counts_file(tmp_path, "0,900\n1,80\n2,7\n")
    flags = ["--counts", said.counts, "--reference", said.reference, "--test", said.test, "--json"]
    assert main(["inspect", str(path), *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class_counts"] == [900, 80, 7] and found["reference"] == {"images": 6} and found["test"] == {"images": 3}
    assert "../counts.csv" in [record["path"] for record in found["files"]]


def test_export__counts_go_along(tmp_path: Path) -> None:
    path = make(tmp_path / "set", {"class_names": FULL["class_names"]})
    assert main(["export", str(path), "--counts", str(counts_file(tmp_path)), "--out", str(tmp_path / "out")]) == 0
    assert open_set(tmp_path / "out/set.npz").class_counts.tolist() == [900, 80, 7]


def test_workspace__notices_a_change_and_opens_again(tmp_path: Path) -> None:
    path, said = make(tmp_path / "set"), options(tmp_path)
    with Workspace.open(tmp_path / "ws") as workspace:
        set_id = workspace.add_set(path, said)
        assert workspace.load(set_id).class_counts.tolist() == [900, 80, 7]
        counts_file(tmp_path, "class,count\ncoat,1\nbag,2\nboot,3\n")
        os.utime(tmp_path / "counts.csv", ns=(1, 1))
        with pytest.raises(UnreadableInput, match="changed on disk"):
            workspace.load(set_id)
        workspace.add_set(path, OpenOptions())
        assert workspace.load(set_id).class_counts.tolist() == [2, 3, 1], "opened as it was last time"
        with pytest.raises((UnreadableInput, ImpossibleRequest)):
            workspace.set_options(set_id, OpenOptions(test=str(path)))
        assert workspace.set_record(set_id).options == said, "what cannot be opened is not remembered"


def test_workspace__options_stored_before_there_were_such(tmp_path: Path) -> None:
    path = make(tmp_path / "set")
    with Workspace.open(tmp_path / "ws") as workspace:
        set_id = workspace.add_set(path, OpenOptions(profile="mnist"))
        old = {k: v for k, v in asdict(OpenOptions(profile="mnist")).items() if k not in ("counts", "reference", "test")}
        with workspace._database.writing() as execute:
            execute("update sets set options = ? where id = ?", [json.dumps(old), set_id])
        assert workspace.set_record(set_id).options == OpenOptions(profile="mnist")
        assert workspace.load(set_id).class_counts.tolist() == [500, 50, 5]
