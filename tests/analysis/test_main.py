"""``python -m analysis``: the pages' registry on the command line."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.registry import analyses
from data.decisions import Decision, write_jsonl
from tests.data.sets import CLASSES, N, make
from tests.data.trees import make_tree


@pytest.fixture
def soft_set(tmp_path):
    """A DATM run: images and learned logits."""
    return make("datm", tmp_path / "set").path


def test_list__names_every_analysis_with_its_parameters(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for entry in analyses().values():
        assert f"{entry.name}: {entry.title}" in shown
        assert all(f"--param {parameter.name}=" in shown for parameter in entry.parameters)


def test_list__json_describes_the_same(capsys):
    main(["list", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(analyses())
    assert all(entry["meaning"] and entry["paper"] for entry in listed)


def test_run__writes_the_three_files(soft_set, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", "soft_labels", str(soft_set), "--param", "temperature=2", "--out", str(out)]) == 0
    table = pd.read_parquet(out / "per_sample.parquet")
    assert list(table.columns[:3]) == ["sample_id", "score", "flag"] and len(table) == N
    assert len(pd.read_parquet(out / "per_class.parquet")) >= CLASSES
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["analysis"], summary["n"], summary["parameters"]["temperature"]) == ("soft_labels", N, 2.0)
    assert str(out) in capsys.readouterr().out


def test_run__json_prints_the_summary(soft_set, tmp_path, capsys):
    main(["run", "soft_labels", str(soft_set), "--out", str(tmp_path / "out"), "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "summary.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no_such", "SET"], "there is no analysis 'no_such'"),
        (["soft_labels", "/no/such/place"], "does not exist"),
        (["soft_labels", "SET", "--param", "colour=red"], "has no parameter 'colour'"),
        (["soft_labels", "SET", "--param", "temperature"], "NAME=VALUE"),
        (["soft_labels", "SET", "--param", "source=nobody"], "nobody"),
    ],
)
def test_run__wrong_words_are_one_sentence_and_write_nothing(soft_set, tmp_path, capsys, arguments, sentence):
    out = tmp_path / "out"
    given = [str(soft_set) if word == "SET" else word for word in arguments]
    assert main(["run", *given, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert not out.exists()


def test_run__out_that_cannot_be_made(soft_set, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["run", "soft_labels", str(soft_set), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "choose another --out" in capsys.readouterr().err


@pytest.fixture
def decided(tmp_path):
    """A keep of sample 0 and a relabel of sample 1."""
    write_jsonl([Decision(0, "keep"), Decision(1, "relabel", label=0)], tmp_path / "log.jsonl")
    return tmp_path / "log.jsonl"


def test_run__decisions_reach_an_analysis_that_learns_from_them(soft_set, decided, tmp_path, made_analyses):
    out = tmp_path / "out"
    assert main(["run", "made_repeating", str(soft_set), "--decisions", str(decided), "--out", str(out)]) == 0
    said = pd.read_parquet(out / "per_sample.parquet")["said"]
    assert said[0] >= 0 and said[1] == 0 and (said[2:] == -1).all()


def test_run__a_log_of_several_people_is_read_person_by_person(soft_set, tmp_path):
    log = [Decision(0, "relabel", label=label, annotator=who) for who, label in (("ada", 1), ("bob", 2), ("cleo", 1))]
    write_jsonl(log, tmp_path / "log.jsonl")
    out = tmp_path / "out"
    assert main(["run", "agreement", str(soft_set), "--decisions", str(tmp_path / "log.jsonl"), "--out", str(out)]) == 0
    first = pd.read_parquet(out / "per_sample.parquet").iloc[0]
    assert (first["n_answers"], first["majority_label"], first["majority_share"]) == (3, 1, pytest.approx(2 / 3))


def test_run__decisions_that_cannot_be_learnt_from_are_refused(soft_set, decided, tmp_path, capsys, made_analyses):
    out = tmp_path / "out"
    assert main(["run", "soft_labels", str(soft_set), "--decisions", str(decided), "--out", str(out)]) == 2
    assert "does not learn from decisions" in capsys.readouterr().err
    write_jsonl([Decision(N, "keep")], decided)
    assert main(["run", "made_repeating", str(soft_set), "--decisions", str(decided), "--out", str(out)]) == 2
    assert f"names sample {N}" in capsys.readouterr().err and not out.exists()


def test_run__into_the_set_itself_is_refused(tmp_path, capsys):
    made = make_tree("sre2l", tmp_path)
    places = [str(made.images), "--labels", str(made.tree)]
    for out in (made.tree / "epoch_0" / "found", made.images / "found"):
        assert main(["run", "crops", *places, "--out", str(out)]) == 2
        assert "lies inside the set itself" in capsys.readouterr().err and not out.exists()
    assert main(["run", "crops", *places, "--out", str(tmp_path / "found")]) == 0
