"""The data commands, as a person types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.__main__ import main
from data.decisions import Decision, write_jsonl
from data.formats import open_set
from data.inspection import as_text, describe
from tests.data.sets import N, make
from tests.fixtures import FIXTURES, fixture
from tests.refusal import contents

PROJECT = Path(__file__).resolve().parents[2]


def python(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "data", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, **options)


def test_inspect__prints_the_description(tmp_path, capsys):
    made = make("datm", tmp_path)
    assert main(["inspect", str(made.path)]) == 0
    assert capsys.readouterr() == (as_text(describe(open_set(made.path))) + "\n", "")


def test_inspect__json_is_the_description(tmp_path, capsys):
    made = make("datm", tmp_path)
    assert main(["inspect", str(made.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == describe(open_set(made.path))


def test_inspect__opening_options_reach_the_set(tmp_path, capsys):
    made = make("bare-tensor", tmp_path)
    assert main(["inspect", str(made.path), "--json", "--ipc", "6", "--profile", "cifar100", "--format", "tensors"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["num_classes"], found["ipc"]["max"]) == (2, 6)
    space = found["images"]["pixel_space"]
    assert (space["name"], space["chosen"]) == ("cifar100", True)


def test_inspect__a_repeat_and_labels_kept_elsewhere(tmp_path, capsys):
    made = make("dc", tmp_path)
    main(["inspect", str(made.path), "--json"])
    first = json.loads(capsys.readouterr().out)
    main(["inspect", str(made.path), "--json", "--repeat", "1"])
    assert json.loads(capsys.readouterr().out)["images"] != first["images"]
    folder = make("folder-with-soft-labels", tmp_path)
    main(["inspect", str(folder.path), "--json", "--labels", folder.options.labels])
    assert json.loads(capsys.readouterr().out)["label_sources"][0]["kind"] == "logits"


def test_export__applies_the_decisions_and_says_so(tmp_path, capsys):
    made = make("datm", tmp_path / "source")
    log = tmp_path / "log.jsonl"
    write_jsonl([Decision(1, "prune"), Decision(4, "relabel", label=3)], log)
    assert main(["export", str(made.path), "--decisions", str(log), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "11 of 12 samples" in printed.out and "1 pruned, 1 relabelled" in printed.out and not printed.err
    assert f"manifest: {tmp_path / 'out' / 'manifest.json'}" in printed.out
    rows = torch.load(tmp_path / "out" / "labels_best.pt")
    assert len(rows) == N - 1 and int(rows[3].argmax()) == 3


def test_export__without_decisions_the_tensors_are_the_same(tmp_path, capsys):
    made = make("datm", tmp_path / "source")
    assert main(["export", str(made.path), "--out", str(tmp_path / "out")]) == 0
    assert "nothing changed" in capsys.readouterr().out
    for name in ("images_best.pt", "labels_best.pt", "lr_best.pt"):
        first, second = torch.load(made.path.parent / name), torch.load(tmp_path / "out" / name)
        assert first.dtype == second.dtype and first.numpy().tobytes() == second.numpy().tobytes()


def test_export__as_another_layout(tmp_path, capsys):
    made = make("datm", tmp_path / "source")
    assert main(["export", str(made.path), "--out", str(tmp_path / "out"), "--as", "folder"]) == 0
    assert "note: images, float32 in pixel space unknown, are written as uint8" in capsys.readouterr().out
    assert open_set(tmp_path / "out").labels.tolist() == made.labels.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspect"],
        ["export", "x"],
        ["taste", "x"],
        ["inspect", "x", "--profile", "sepia"],
        ["inspect", "x", "--ipc", "ten"],
        ["export", "x", "--out", "y", "--as", "papyrus"],
    ],
    ids=" ".join,
)
def test_main__wrong_usage_is_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and capsys.readouterr().err


def test_main__ctrl_c_is_quiet(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("data.__main__.open_set", interrupted)
    assert main(["inspect", str(tmp_path)]) == 130
    assert capsys.readouterr() == ("", "")


def test_command_line__an_error_is_one_sentence_and_code_2(tmp_path):
    done = python("inspect", str(tmp_path / "nowhere.pt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"{tmp_path / 'nowhere.pt'} does not exist; check the path."]


def test_command_line__a_closed_pipe_is_quiet(tmp_path):
    """More output than a pipe holds, to a reader that has gone."""
    np.savez(tmp_path / "many.npz", labels=np.arange(20_000))
    command = f'"{sys.executable}" -m data inspect "{tmp_path / "many.npz"}" --json | head -c 10'
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=PROJECT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_command_line__a_name_that_is_not_utf8(tmp_path):
    made = make("mtt", tmp_path)
    odd = made.path.with_name("images_b\udce9st.pt")
    made.path.rename(odd)
    (tmp_path / "labels_best.pt").rename(tmp_path / "labels_b\udce9st.pt")
    done = python("inspect", str(odd))
    assert done.returncode == 0 and "\\udce9" in done.stdout


@pytest.mark.parametrize("name", sorted(p.name for p in (FIXTURES / "distilled").glob("*")) or ["absent"])
def test_inspect__published_sets(name, capsys):
    path = fixture("distilled", name)
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = {
        "DC_CIFAR100_ConvNet_1ipc.pt": ("dc", 100, 100, [3, 32, 32]),
        "res_DC_MNIST_ConvNet_1ipc.pt": ("dc", 10, 10, [1, 28, 28]),
    }.get(name, ("grid", 100, 10, [3, 32, 32]))
    assert (found["format"], found["n"], found["num_classes"], found["images"]["shape"]) == expected
    assert found["ipc"]["min"] == found["ipc"]["max"]


@pytest.mark.parametrize(
    ("name", "n", "classes"),
    [("sldd-imdb-step000.txt", 20, 2), ("sldd-sst5-step000.txt", 100, 5), ("sldd-trec6-step000.txt", 120, 6)],
)
def test_inspect__published_soft_labels(name, n, classes, capsys):
    path = fixture("learned-soft-labels", name)
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["n"], found["num_classes"], found["images"]) == ("label-text", n, classes, None)
    lines = [[float(value) for value in line.split(",")] for line in path.read_text().split("\n") if line.strip()]
    assert found["label_sources"][0]["values"] == pytest.approx(
        {"min": min(map(min, lines)), "max": max(map(max, lines))}, abs=1e-6
    )


def test_inspect__an_empty_path_is_not_the_folder_one_is_in(capsys):
    assert main(["inspect", ""]) == 2
    assert "path of the set is empty" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_export__a_request_to_end_leaves_nothing_behind(number, tmp_path, monkeypatch):
    made = make("datm", tmp_path / "set")
    before, handler = contents(tmp_path), signal.getsignal(signal.SIGTERM)

    def ended(*_):
        assert list(tmp_path.glob(".*.part")), "something is half-written"
        signal.raise_signal(number)

    monkeypatch.setattr("data.export.check_written", ended)
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs this unattended
    try:
        code = main(["export", str(made.path), "--out", str(tmp_path / "out")])
    except SystemExit as stopped:
        code = stopped.code
    finally:
        signal.signal(signal.SIGINT, interrupted)
    assert code == 128 + number and contents(tmp_path) == before
    assert signal.getsignal(signal.SIGTERM) is handler
