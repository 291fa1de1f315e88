"""``python -m analysis correct`` and what ``python -m data export`` makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from analysis.__main__ import main as analysis_main
from data.__main__ import main as data_main
from data.distilled_set import GIVEN
from data.formats import open_set
from tests.data.sets import N, make
from tests.data.trees import make_tree
from tests.refusal import contents


@pytest.fixture
def made(tmp_path):
    return make("datm", tmp_path / "set")


def correct(path, out, *more) -> int:
    return analysis_main(["correct", str(path), "--correction", "temperature", "--name", "cool", "--out", str(out), *more])


def only_line(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_correct__writes_what_export_makes_the_sets_own(made, tmp_path, capsys):
    assert correct(made.path, tmp_path / "d", "--param", "temperature=4") == 0
    assert "'cool' written to" in capsys.readouterr().out
    recipe = json.loads((tmp_path / "d" / "recipe.json").read_text())
    assert (recipe["name"], recipe["source"], recipe["parameters"]) == ("cool", GIVEN, {"temperature": 4.0})
    arguments = ["export", str(made.path), "--out", str(tmp_path / "o"), "--derived", str(tmp_path / "d")]
    assert data_main([*arguments, "--labels-from", "cool"]) == 0
    again = open_set(tmp_path / "o")
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(N)), made.soft / 4)
    assert torch.equal(again.label_sources["given before temperature"].stored(np.arange(N)), made.soft)
    stored = torch.load(tmp_path / "o" / "labels_best.pt", weights_only=True)
    assert stored.dtype == torch.float32 and torch.equal(stored, made.soft / 4)


def test_correct__one_correction_after_another(made, tmp_path):
    assert correct(made.path, tmp_path / "1", "--param", "temperature=2") == 0
    twice = ["--derived", str(tmp_path / "1"), "--source", "cool", "--name", "cooler"]
    assert correct(made.path, tmp_path / "2", "--param", "temperature=2", *twice) == 0
    assert np.array_equal(np.load(tmp_path / "2" / "values.npy"), (made.soft / 4).numpy())


def test_export__without_labels_from_they_are_written_beside(made, tmp_path):
    assert correct(made.path, tmp_path / "d") == 0
    assert data_main(["export", str(made.path), "--out", str(tmp_path / "o"), "--derived", str(tmp_path / "d")]) == 0
    again = open_set(tmp_path / "o")
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(N)), made.soft)
    assert torch.equal(again.label_sources["cool"].stored(np.arange(N)), made.soft / 2)


def test_export__a_tree_is_rescaled_row_by_row(tmp_path):
    made = make_tree("sre2l", tmp_path / "set")
    options = ["--labels", str(made.tree)]
    assert correct(made.images, tmp_path / "d", "--param", "temperature=2", *options) == 0
    arguments = ["export", str(made.images), *options, "--out", str(tmp_path / "o"), "--derived", str(tmp_path / "d")]
    assert data_main([*arguments, "--labels-from", "cool"]) == 0
    before = open_set(made.images.parent).label_sources[GIVEN].tree
    after = open_set(tmp_path / "o").label_sources[GIVEN].tree
    for position in range(len(before)):
        assert torch.equal(after.batch(position).values, (before.batch(position).values.float() / 2).half())


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--name", GIVEN], "already"),
        (["--name", "committee: mean"], "committee"),
        (["--name", "a\nb"], "printable"),
        (["--name", ""], "printable"),
        (["--source", "nobody"], "no label source 'nobody'"),
        (["--correction", "magic"], "no correction 'magic'"),
        (["--correction", "adsa"], "class counts"),
        (["--param", "temperature"], "NAME=VALUE"),
        (["--param", "temperature=0"], "between"),
        (["--param", "heat=1"], "no parameter 'heat'"),
        (["--derived", "/nowhere"], "holds no corrected labels"),
    ],
)
def test_correct__refuses_in_one_sentence_and_leaves_nothing(made, tmp_path, capsys, more, sentence):
    assert correct(made.path, tmp_path / "d", *more) == 2
    assert sentence in only_line(capsys) and not (tmp_path / "d").exists()


def test_correct__never_into_the_set(tmp_path, capsys):
    made = make("tensor-folder", tmp_path / "set")
    assert correct(made.path, made.path / "d") == 2
    assert "inside the set" in only_line(capsys)


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--labels-from", "cool"], "give that folder"),
        (["--drop-given"], "goes with --labels-from"),
        (["--derived", "D", "--labels-from", "warm"], "no corrected labels 'warm'"),
        (["--derived", "D", "--derived", "D"], "another label source called 'cool'"),
        (["--derived", "/nowhere"], "holds no corrected labels"),
    ],
)
def test_export__refuses_in_one_sentence(made, tmp_path, capsys, more, sentence):
    assert correct(made.path, tmp_path / "d") == 0
    capsys.readouterr()
    said = [str(tmp_path / "d") if word == "D" else word for word in more]
    assert data_main(["export", str(made.path), "--out", str(tmp_path / "o"), *said]) == 2
    assert sentence in only_line(capsys) and not (tmp_path / "o").exists()


def test_export__labels_of_another_set(made, tmp_path, capsys):
    assert correct(made.path, tmp_path / "d") == 0
    capsys.readouterr()
    other = make("idc", tmp_path / "other")
    np.save(tmp_path / "d" / "values.npy", np.zeros((N + 1, 4), np.float32))
    arguments = ["export", str(other.path), "--out", str(tmp_path / "o"), "--derived", str(tmp_path / "d")]
    assert data_main([*arguments, "--labels-from", "cool"]) == 2
    assert "not of this set" in only_line(capsys)


def test_correct__a_folder_that_is_taken_is_found_out_before_the_work(made, tmp_path, capsys, monkeypatch):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("keep")
    monkeypatch.setattr("analysis.correct_command.derive", lambda *_: pytest.fail("it began to work"))
    assert correct(made.path, tmp_path / "d") == 2
    assert "not empty" in only_line(capsys)


def test_correct_and_export__never_into_what_is_read(made, tmp_path, capsys):
    real = make("tensor-folder", tmp_path / "real").path
    assert correct(made.path, tmp_path / "d") == 0
    capsys.readouterr()
    before = contents(tmp_path)
    assert correct(made.path, real / "d", "--reference", str(real)) == 2
    assert "--reference" in only_line(capsys)
    assert correct(made.path, tmp_path / "d" / "e", "--derived", str(tmp_path / "d"), "--name", "second") == 2
    assert "--derived" in only_line(capsys)
    for flag, folder in (("--test", real), ("--derived", tmp_path / "d")):
        assert data_main(["export", str(made.path), flag, str(folder), "--out", str(folder / "new")]) == 2
        assert f"inside the folder of {flag}" in only_line(capsys)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "more, said",
    [
        ([], "are now 'cool'; those it came with are kept as 'given before temperature'."),
        (["--drop-given"], "are now 'cool'; those it came with are not kept."),
    ],
)
def test_export__says_what_became_of_the_labels_it_came_with(made, more, said, tmp_path, capsys):
    assert correct(made.path, tmp_path / "d") == 0
    words = ["--derived", str(tmp_path / "d"), "--labels-from", "cool", "--out", str(tmp_path / "o"), *more]
    capsys.readouterr()
    assert data_main(["export", str(made.path), *words]) == 0
    printed = capsys.readouterr().out
    assert said in printed and "nothing changed" not in printed


def test_export__says_that_a_trees_own_rows_are_not_kept(tmp_path, capsys):
    made = make_tree("sre2l", tmp_path / "source")
    labels = ["--labels", str(made.tree)]
    assert correct(made.images, tmp_path / "d", *labels) == 0
    words = ["--derived", str(tmp_path / "d"), "--labels-from", "cool", "--out", str(tmp_path / "o")]
    assert data_main(["export", str(made.images), *labels, *words]) == 0
    assert "are now 'cool'; those it came with are not kept." in capsys.readouterr().out
