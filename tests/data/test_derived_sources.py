"""Label sources computed from others: what is written, what is refused, and that a damaged one is in nobody's way."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
import torch

import data.derived_sources as module
from data.derived_sources import RECIPE, VALUES, DerivedFolders, attach_derived, check_new_name, read_derived, write_derived
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import open_set
from tests.data.sets import CLASSES, N, make

ROWS = torch.arange(N * CLASSES, dtype=torch.float32).reshape(N, CLASSES)


def parts(values=ROWS, step=5):
    return [(np.arange(i, min(i + step, len(values))), values[i : i + step]) for i in range(0, len(values), step)]


@pytest.fixture
def opened(tmp_path):
    return open_set(make("datm", tmp_path / "set").path)


def write(folder, name="mine", values=ROWS):
    return write_derived(folder, name, tuple(values.shape), parts(values), {"correction": "temperature"})


def test_write__reads_back_bit_for_bit(opened, tmp_path):
    write(tmp_path / "1")
    attached = attach_derived(opened, [tmp_path / "1"])
    source = attached.derived_sources["mine"]
    assert torch.equal(source.stored(np.arange(N)), ROWS) and source.kind == "logits"
    assert attached.selectable_sources.keys() == {*opened.label_sources, "mine"}
    assert set(attached.label_sources) == set(opened.label_sources), "it is no opinion"
    assert read_derived(tmp_path / "1").recipe == {"name": "mine", "correction": "temperature"}


@pytest.mark.parametrize("values, sentence", [(ROWS * float("nan"), "not finite"), (ROWS / 0, "not finite")])
def test_write__values_that_are_no_numbers(tmp_path, values, sentence):
    with pytest.raises(ImpossibleRequest, match=sentence):
        write(tmp_path / "1", values=values)
    assert list(tmp_path.iterdir()) == []


def test_write__a_row_that_never_came(tmp_path):
    with pytest.raises(ImpossibleRequest, match="lacks sample 5"):
        write_derived(tmp_path / "1", "mine", (N, CLASSES), parts()[:1], {})
    assert list(tmp_path.iterdir()) == []


def test_write__a_full_disk_says_so_before_anything_is_mapped(tmp_path, monkeypatch):
    """What is mapped into memory and cannot be written kills the process, and leaves what it wrote behind."""

    def full(file, size):
        assert size == os.fstat(file).st_size >= ROWS.nbytes
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "reserve", full)
    with pytest.raises(ImpossibleRequest, match="the disk is full"):
        write(tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 121, "\x00"])
def test_write__names_nobody_could_choose_by(tmp_path, name):
    with pytest.raises(ImpossibleRequest, match="name of 1 to"):
        write(tmp_path / "1", name)


def test_write__a_name_is_never_a_path(tmp_path):
    write(tmp_path / "1", "../../outside")
    assert [path.name for path in tmp_path.iterdir()] == ["1"] and read_derived(tmp_path / "1").name == "../../outside"


def nested(levels):
    return [nested(levels - 1)] if levels else []


def endless(file):
    file.unlink()
    file.symlink_to("/dev/zero")


def pipe(file):
    file.unlink()
    os.mkfifo(file)


DAMAGES = {
    "other shape": lambda folder: np.save(folder / VALUES, ROWS[:-1].numpy()),
    "other dtype": lambda folder: np.save(folder / VALUES, ROWS.double().numpy()),
    "not a number": lambda folder: np.save(folder / VALUES, np.where(ROWS.numpy() == 3, np.nan, ROWS.numpy())),
    "objects": lambda folder: np.save(folder / VALUES, np.array([{}] * N, object), allow_pickle=True),
    "short": lambda folder: (folder / VALUES).write_bytes((folder / VALUES).read_bytes()[:-9]),
    "no values": lambda folder: (folder / VALUES).unlink(),
    "no recipe": lambda folder: (folder / RECIPE).unlink(),
    "broken JSON": lambda folder: (folder / RECIPE).write_text("{"),
    "a list": lambda folder: (folder / RECIPE).write_text("[]"),
    "deep": lambda folder: (folder / RECIPE).write_text("[" * 100_000),
    "no name": lambda folder: (folder / RECIPE).write_text(json.dumps({"name": "\n"})),
    "deeper than any recipe": lambda folder: (folder / RECIPE).write_text(json.dumps({"name": "mine", "x": nested(30)})),
    "numbers no JSON has": lambda folder: (folder / RECIPE).write_text('{"name": "mine", "found": [{"value": NaN}]}'),
    "numbers without end": lambda folder: (folder / RECIPE).write_text('{"name": "mine", "found": 1e999}'),
    "endless recipe": lambda folder: endless(folder / RECIPE),
    "endless values": lambda folder: endless(folder / VALUES),
    "a recipe nobody writes to": lambda folder: pipe(folder / RECIPE),
    "values nobody writes to": lambda folder: pipe(folder / VALUES),
    "an opinion's name": lambda folder: (folder / RECIPE).write_text(json.dumps({"name": "given"})),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_attach__a_damaged_one_is_left_out_and_said(opened, tmp_path, what):
    write(tmp_path / "1")
    DAMAGES[what](tmp_path / "1")
    write(tmp_path / "2", "whole")
    attached = attach_derived(opened, [tmp_path / "1", tmp_path / "2"])
    assert set(attached.derived_sources) == {"whole"}
    (warning,) = set(attached.provenance.warnings) - set(opened.provenance.warnings)
    assert warning.startswith("a corrected label source is left out: ") and "\n" not in warning
    assert str(tmp_path / "1") in warning or "name of 1 to" in warning or "'given'" in warning, "which one it is"
    assert attached.label_sources == opened.label_sources


def test_attach__of_two_of_one_name_the_older_stays(opened, tmp_path):
    write(tmp_path / "1"), write(tmp_path / "2", values=-ROWS)
    attached = attach_derived(opened, [tmp_path / "1", tmp_path / "2"])
    assert torch.equal(attached.derived_sources["mine"].stored([1])[0], ROWS[1])
    assert "another label source called 'mine'" in attached.provenance.warnings[-1]


def test_attach__values_that_change_on_disk_are_checked_again(opened, tmp_path):
    write(tmp_path / "1")
    assert attach_derived(opened, [tmp_path / "1"]).derived_sources
    np.save(tmp_path / "1" / VALUES, np.full((N, CLASSES + 1), np.inf, np.float32))
    assert not attach_derived(opened, [tmp_path / "1"]).derived_sources


def test_check_new_name__taken(opened, tmp_path):
    write(tmp_path / "1")
    attached = attach_derived(opened, [tmp_path / "1"])
    check_new_name(attached, "other")
    for name in ("given", "mine"):
        with pytest.raises(ImpossibleRequest, match="already"):
            check_new_name(attached, name)


def test_folders__remove_by_name_or_by_folder_even_where_damaged(opened, tmp_path):
    folders = DerivedFolders(tmp_path)
    for name in ("a", "b", "b"):
        write(folders.next("set"), name)
    (tmp_path / "set" / "1" / RECIPE).write_text("{")
    folders.remove("set", "b")
    assert [folder.name for folder in folders.of("set")] == ["1", "3"]
    folders.remove("set", tmp_path / "set" / "1")
    assert [folder.name for folder in folders.of("set")] == ["3"] and folders.next("set").name == "4"
    with pytest.raises(ImpossibleRequest, match="any more"):
        folders.remove("set", "a")


def test_folders__what_was_never_finished_is_not_there(tmp_path):
    (tmp_path / "set" / ".abc.part").mkdir(parents=True)
    assert DerivedFolders(tmp_path).of("set") == () and DerivedFolders(tmp_path).next("set").name == "1"


def test_read__no_folder(tmp_path):
    with pytest.raises(UnreadableInput):
        read_derived(tmp_path / "nothing")
