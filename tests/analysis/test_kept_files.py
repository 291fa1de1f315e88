"""Kept files come back as they were, or not at all."""

import errno
from pathlib import Path

import pytest
import torch

from analysis.kept_files import load, save


def test_save__what_load_gives_back(tmp_path: Path) -> None:
    save({"weights": [torch.arange(3)], "step": 4}, tmp_path / "kept")
    found = load(tmp_path / "kept")
    assert found["step"] == 4 and found["weights"][0].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"], "nothing half-written stays"


def test_save__a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(content, file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("analysis.kept_files.save_torch", full)
    with pytest.raises(OSError, match="No space"):
        save({"weights": torch.rand(100)}, tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: b"else", lambda whole: whole[: len(whole) // 2]])
def test_load__absent_or_damaged_is_nothing(tmp_path: Path, damage) -> None:
    assert load(tmp_path / "kept") is None
    save({"weights": torch.rand(100)}, tmp_path / "kept")
    (tmp_path / "kept").write_bytes(damage((tmp_path / "kept").read_bytes()))
    assert load(tmp_path / "kept") is None
