"""What sets of files and of tensors call their samples, and which names find them again."""

from __future__ import annotations

import numpy as np
import pytest

from data.exchange.set_names import NoSuch, SetNames, names_of
from data.formats import open_set
from tests.data.exchange.sets import FILES, small
from tests.data.sets import N, make


@pytest.mark.parametrize("kind", ["image-folder", "sre2l", "hugging-face", "webdataset"])
def test_names_of__a_set_of_files_finds_every_image_by_its_path(tmp_path, kind):
    made = make(kind, tmp_path / "set")
    names = names_of(open_set(made.path, made.options))
    assert len(set(names.files)) == len(names)
    assert [names.sample_of(f"/anywhere/{file}") for file in names.files] == list(range(len(names)))


def test_names_of__a_set_of_tensors_numbers_them(tmp_path):
    made = make("dc", tmp_path / "set")
    names = names_of(open_set(made.path, made.options))
    assert len(names) == len(names.files) == N
    assert names.files[3] == "sample_000003.png" and names.files[1:3] == ["sample_000001.png", "sample_000002.png"]
    assert [names.sample_of(file) for file in names.files] == list(range(N))
    with pytest.raises(IndexError):
        names.files[N]


@pytest.mark.parametrize(
    ("said", "sample"),
    [
        ("cat/1.png", 0),
        ("C:\\sets\\cat\\1.png", 0),
        ("./dog/1.png", 2),
        ("https://host/x/dog/3.png?signature=1", 3),
        ("https://host/x/dog%2F3.png", 3),
        ("/data/local-files/?d=sets/cat/2.png", 1),
        ("/data/upload/1/deadbeef-9.png", 4),
        ("3.png", 3),
        ("elsewhere/9.png", 4),
    ],
)
def test_sample_of__paths_and_addresses(said, sample):
    assert small().sample_of(said) == sample


@pytest.mark.parametrize("said", ["", "/", "..", "4.png", "1.png", "fish/1.png", "cat", "a" * 10_000, "/" * 5000])
def test_sample_of__what_means_none_or_several(said):
    with pytest.raises(NoSuch):
        small().sample_of(said)


def test_class_of__by_token_name_and_index():
    names = small()
    assert [names.class_of(names.class_token(i)) for i in range(5)] == [0, 1, 2, 3, 4]
    assert (names.class_of(" dog "), names.class_of("3"), names.class_of(0)) == (1, 3, 0)
    for said in ("fish", "5", 5, -1, True, 1.0, None, ["cat"], "9" * 30):
        with pytest.raises(NoSuch):
            names.class_of(said)


def test_class_of__digits_are_a_name_first():
    names = SetNames(np.array([0]), ("1", "0"), FILES[:1])
    assert (names.class_of("1"), names.class_of("0"), names.class_of(1)) == (0, 1, 1)
