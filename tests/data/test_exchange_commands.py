"""import-decisions and export-decisions at the command line."""

from __future__ import annotations

import json

import pytest

from data.__main__ import main
from data.decisions import read_jsonl
from data.exchange import FORMATS
from tests.data.workspaces import write_set


@pytest.fixture
def place(tmp_path):
    write_set(tmp_path / "set.npz")
    (tmp_path / "from.csv").write_text("sample_id,label,annotator\n3,class 0,ann\n4,4,bea\n99,0,ann\n7,class 9,ann\n")
    return tmp_path


def run(place, command: str, source: str, *options: str) -> int:
    return main([command, str(place / "set.npz"), str(place / source), *options])


def test_import__refuses_until_told_to_take_the_valid_ones(place, capsys):
    out = place / "log.jsonl"
    assert run(place, "import-decisions", "from.csv", "--out", str(out)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "row 4 (99)" in said and "row 5 ('class 9')" in said and "--valid-only" in said
    assert not out.exists()
    assert run(place, "import-decisions", "from.csv", "--valid-only", "--out", str(out)) == 0
    assert "2 decisions about 2 samples" in capsys.readouterr().out
    found = [(d.sample_id, d.action, d.label, d.annotator, d.finding) for d in read_jsonl(out)]
    assert found == [(3, "relabel", 0, "ann", "import: from.csv"), (4, "keep", None, "bea", "import: from.csv")]


@pytest.mark.parametrize("name", FORMATS)
def test_export__and_import_again(place, name, capsys):
    lines = [{"sample_id": 1, "action": "relabel", "label": 3, "annotator": "a"}, {"sample_id": 2, "action": "prune"}]
    (place / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert run(place, "export-decisions", "log.jsonl", "--to", name, "--out", str(place / "there")) == 0
    assert run(place, "import-decisions", "there", "--annotator", "b", "--out", str(place / "back.jsonl")) == 0
    back = [(d.sample_id, d.action, d.label, d.annotator) for d in read_jsonl(place / "back.jsonl")]
    assert back == [(1, "relabel", 3, "a"), (2, "prune", None, "b")]


def test_out__is_never_written_over(place, capsys):
    (place / "log.jsonl").write_text('{"sample_id": 1, "action": "prune"}\n')
    before = (place / "log.jsonl").read_bytes()
    assert run(place, "export-decisions", "log.jsonl", "--to", "jsonl", "--out", str(place / "log.jsonl")) == 2
    assert "there already" in capsys.readouterr().err and (place / "log.jsonl").read_bytes() == before
    assert run(place, "export-decisions", "log.jsonl", "--to", "csv", "--out", str(place / "no" / "where.csv")) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(path.name for path in place.iterdir()) == ["from.csv", "log.jsonl", "set.npz"]
