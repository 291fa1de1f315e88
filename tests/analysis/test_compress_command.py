"""``python -m analysis compress``: what it writes is what the analysis plans."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.registry import run
from data import open_set
from data.curation import curate
from data.decisions import read_jsonl, states
from tests.data.sets import CLASSES, make

QUICK = ["--param", "embedding=pixels", "--param", "label_error_weight=0"]


@pytest.fixture
def path(tmp_path):
    return make("datm", tmp_path / "source").path


def test_compress__writes_the_planned_set_and_the_prunes(path, tmp_path, capsys):
    out, prunes = tmp_path / "out", tmp_path / "prunes.jsonl"
    words = ["--param", "ipc=2", "--param", "factor=1", "--out", str(out), "--prunes", str(prunes)]
    assert main(["compress", str(path), *QUICK, *words]) == 0
    opened = open_set(path)
    planned = run("compression", opened, embedding="pixels", label_error_weight=0, ipc=2, factor=1).per_sample
    kept = np.flatnonzero(planned["kept"])
    manifest = json.loads((out / "manifest.json").read_text())
    assert sorted(np.ravel(manifest["tiles"]).tolist()) == kept.tolist() and manifest["plan"]["ipc"] == 2
    assert open_set(out).per_class.tolist() == [2] * CLASSES
    curated = curate(opened, states(read_jsonl(prunes)))
    assert curated.kept.tolist() == kept.tolist()
    assert "combined set written to" in capsys.readouterr().out


def test_compress__leaves_out_what_people_pruned(path, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"sample_id": 0, "action": "prune"}\n')
    words = ["--param", "share=1", "--decisions", str(tmp_path / "log.jsonl"), "--out", str(tmp_path / "out")]
    assert main(["compress", str(path), *QUICK, *words]) == 0
    assert 0 not in np.ravel(json.loads((tmp_path / "out" / "manifest.json").read_text())["tiles"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to write"),
        (["--param", "ipc=x", "--out", "{}/out"], "needs int"),
        (["--param", "mosaic=2", "--out", "{}/out"], "has no parameter 'mosaic'"),
        (["--prunes", "{}/nowhere/p.jsonl"], "new file in a folder that is there"),
        (["--out", "{}"], "not empty"),
        (["--out", "{}", "--prunes", "{}/p.jsonl"], "not empty"),
    ],
)
def test_compress__impossible_is_one_sentence_and_writes_nothing(path, tmp_path, capsys, words, sentence):
    assert main(["compress", str(path), *QUICK, *(word.format(tmp_path) for word in words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line and [entry.name for entry in tmp_path.iterdir()] == ["source"]
