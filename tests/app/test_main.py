"""``python -m app``: what it says where it cannot start."""

from __future__ import annotations

import socket

import pytest

from app.__main__ import main
from app.services import services
from data.decisions import Decision
from data.workspace import Workspace
from tests.data.trees import make_tree
from tests.data.workspaces import write_set


def only_line(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_main__a_port_in_use(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--workspace", str(tmp_path / "w"), "--port", str(port), "--headless"]) == 2
    assert str(port) in (line := only_line(capsys)) and "--port" in line
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("port", ["-1", "70000"])
def test_main__a_port_that_is_none(tmp_path, capsys, port):
    assert main(["--workspace", str(tmp_path / "w"), "--port", port]) == 2
    assert "--port" in only_line(capsys)


def test_main__a_workspace_in_use(tmp_path, capsys):
    with Workspace.open(tmp_path, "http://127.0.0.1:4242"):
        assert main(["--workspace", str(tmp_path), "--port", "0", "--headless"]) == 2
    assert "http://127.0.0.1:4242" in only_line(capsys)


def test_main__a_device_that_is_not_there(tmp_path, capsys):
    assert main(["--workspace", str(tmp_path), "--device", "abacus"]) == 2
    assert "abacus" in only_line(capsys)


def test_main__a_set_that_is_not_there(tmp_path, capsys):
    assert main([str(tmp_path / "nothing"), "--workspace", str(tmp_path / "w"), "--port", "0", "--headless"]) == 2
    assert "does not exist" in only_line(capsys)


def test_main__what_is_said_about_a_set_reaches_it_and_labels_keep_their_place(tmp_path, capsys, monkeypatch):
    made = make_tree("sre2l", tmp_path / "set")
    monkeypatch.chdir(tmp_path / "set")
    started = []
    monkeypatch.setattr("app.__main__._serve", lambda host, port, headless: started.append(port))
    monkeypatch.setattr("app.services.Services.start_first", lambda services, set_id: None)
    arguments = ["images", "--labels", "labels", "--workspace", str(tmp_path / "w"), "--port", "0", "--headless"]
    assert main(arguments) == 0 and started == [0]
    with Workspace.open(tmp_path / "w") as workspace:
        (record,) = workspace.sets()
    assert (record.format, record.options.labels) == ("relabelled", str(made.tree))


def test_main__options_of_a_set_need_one_set(tmp_path, capsys):
    arguments = ["a", "b", "--labels", "tree", "--workspace", str(tmp_path / "w"), "--port", "0", "--headless"]
    assert main(arguments) == 2
    assert "exactly one PATH, not 2" in only_line(capsys)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("by_environment", [False, True])
def test_main__a_decision_store_that_is_not_there(tmp_path, capsys, monkeypatch, by_environment):
    url = "postgresql://ada:s3cret@127.0.0.1:1/stillroom"
    arguments = ["--workspace", str(tmp_path / "w"), "--port", "0", "--headless"]
    if by_environment:
        monkeypatch.setenv("STILLROOM_DECISIONS", url)
    else:
        arguments += ["--decisions", url]
    assert main(arguments) == 2
    assert "127.0.0.1:1/stillroom does not answer" in (line := only_line(capsys)) and "s3cret" not in line


def test_main__decisions_go_where_they_are_told(tmp_path, monkeypatch, capsys, postgres):
    url, path = postgres.new_database(), write_set(tmp_path / "set.npz")
    monkeypatch.setattr("app.services.Services.start_first", lambda services, set_id: None)
    kept = []

    def decide(*_) -> None:
        workspace = services().workspace
        kept.append(workspace.decide(workspace.sets()[0].id, Decision(0, "keep")))

    monkeypatch.setattr("app.__main__._serve", decide)
    for name in "ab":
        arguments = ["--workspace", str(tmp_path / name), "--port", "0", "--headless", "--decisions", url]
        assert main([str(path), *arguments]) == 0
    with Workspace.open(tmp_path / "c", decisions=url) as workspace:
        assert workspace.decisions(workspace.add_set(path)) == kept and len(kept) == 2
    with Workspace.open(tmp_path / "a") as workspace:
        assert workspace.decisions(workspace.sets()[0].id) == []
