"""Uploads: stored under names that lead nowhere else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.uploads import keep_upload, safe_name
from data.errors import UnreadableInput


class File(io.BytesIO):
    def __init__(self, name: str, content: bytes = b"x") -> None:
        super().__init__(content)
        self.name = name


@given(st.text(max_size=300))
def test_safe_name__is_one_plain_name(name):
    plain = safe_name(name)
    assert Path(plain).name == plain
    assert 0 < len(plain) <= 120
    assert plain not in (".", "..") and not plain.startswith(".")


@pytest.mark.parametrize("name", ["images_best.pt", "labels_best.pt", "new000-1.jpg"])
def test_safe_name__leaves_good_names_alone(name):
    assert safe_name(name) == name


def test_keep_upload__one_file_is_itself(tmp_path):
    place = keep_upload([File("../../etc/images.pt", b"abc")], tmp_path)
    assert place.read_bytes() == b"abc" and place.name == "images.pt"
    assert tmp_path in place.parents


def test_keep_upload__several_files_are_a_folder(tmp_path):
    place = keep_upload([File("images.pt"), File("labels.pt")], tmp_path)
    assert sorted(path.name for path in place.iterdir()) == ["images.pt", "labels.pt"]


def test_keep_upload__two_of_one_name(tmp_path):
    with pytest.raises(UnreadableInput, match="same name"):
        keep_upload([File("a/images.pt"), File("b/images.pt")], tmp_path)
    assert list(tmp_path.iterdir()) == []
