"""Counts of original images per class, from CSV files as people and programs write them; every fault in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import class_counts
from data.class_counts import read_class_counts
from data.distilled_set import numbered_classes
from data.errors import UnreadableInput

NAMES = ("T-shirt/top", "Trouser", "bag, large")


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "counts.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        'class,count\nT-shirt/top,500\nTrouser,50\n"bag, large",0\n',
        '"bag, large",0\r\nTrouser,50\r\n\r\nT-shirt/top,500',
        "T-shirt/top;500\nTrouser;50\nbag, large;0\n",
        "name\timages\nT-shirt/top\t500\nTrouser\t 50\nbag, large\t0\n",
        "class_id,count\n2,0\n0,500\n1,50\n",
        "\ufeff0,500\n1,50\n2,0\n",
        "\n\n\nclass,count\n\n\n\n0,500\n\n\n\n1,50\n,\n\n\n2,0\n",
    ],
)
def test_read_class_counts__by_name_or_number_in_any_order(tmp_path: Path, text: str) -> None:
    counts = read_class_counts(written(tmp_path, text), NAMES)
    assert counts.dtype == np.int64 and counts.tolist() == [500, 50, 0]


def test_read_class_counts__names_that_are_numbers_are_names(tmp_path: Path) -> None:
    assert read_class_counts(written(tmp_path, "3,30\n7,70\n"), ("7", "3")).tolist() == [70, 30]
    assert read_class_counts(written(tmp_path, "0,30\n1,70\n"), ("7", "3")).tolist() == [30, 70]


def test_read_class_counts__two_classes_of_one_name_go_by_number(tmp_path: Path) -> None:
    assert read_class_counts(written(tmp_path, "0,3\n1,7\n"), ("crane", "crane")).tolist() == [3, 7]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "counts.csv names no class"),
        ("class,count\n", "counts.csv names no class"),
        ("T-shirt/top,1\nTrouser,2\n", r"counts.csv lacks 1 of 3 classes \(the first is 'bag, large', number 2\)"),
        ("0,1\n1,2\n2,3\n1,4\n", "line 4 names the class '1' again"),
        ("0,1\n1,2\n3,3\n", "line 3 names the class '3', which the set does not have"),
        ("Trouser,1\nhat,2\n", "line 2 names the class 'hat', which the set does not have"),
        ("0,1\n1,2.5\n2,3\n", "line 2 gives the count '2.5', which is no whole number from 0"),
        ("0,1\n1,-2\n2,3\n", "line 2 gives the count '-2'"),
        ("0,1\n1,\n2,3\n", "line 2 gives the count ''"),
        ("0,x\n1,1\n2,3\n", "line 1 gives the count 'x'"),
        ("0,1\n1,9999999999999999\n2,3\n", "line 2 gives the count '9999999999999999'"),
        ("0,1\n1,٣\n2,3\n", "line 2 gives the count"),
        ("0,1,9\n1,2,9\n", "line 1 has 3 cells instead of two"),
        ("0 1\n1 2\n", "line 1 has 1 cells instead of two"),
        ("0,0\n1,0\n2,0\n", "counts.csv counts no image at all"),
        ("0,1\n" * 9, "has more lines than the set has classes"),
        ('0,"1\n', "cannot be read as CSV"),
        (b"\xff\xfe0,1\n", "cannot be read as CSV"),
        (b"0,1\n1,\x002\n", "cannot be read as CSV|line 2"),
        ("0,1\n1," + "2" * (1 << 16), "cannot be read as CSV .*a line has over"),
    ],
)
def test_read_class_counts__every_fault_in_one_sentence(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(UnreadableInput, match=sentence) as refused:
        read_class_counts(written(tmp_path, text), NAMES)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize("place", [".", "absent.csv", "a" * 300, "a\0b"])
def test_read_class_counts__no_such_file(tmp_path: Path, place: str) -> None:
    with pytest.raises(UnreadableInput, match=r"is no file|cannot be read"):
        read_class_counts(tmp_path / place, NAMES)


def test_read_class_counts__too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_counts, "MOST_BYTES", 8)
    with pytest.raises(UnreadableInput, match="larger than 8 bytes"):
        read_class_counts(written(tmp_path, "0,100\n1,100\n"), ("a", "b"))


@given(st.permutations(range(7)), st.lists(st.integers(0, 10**15 - 1), min_size=7, max_size=7), st.booleans())
def test_read_class_counts__any_order(tmp_path_factory, order: list[int], counts: list[int], header: bool) -> None:
    names = numbered_classes(7)
    lines = [f"{names[k]},{counts[k]}" for k in order]
    path = written(tmp_path_factory.mktemp("counts"), "\n".join(["class,count", *lines] if header else lines))
    if any(counts):
        assert read_class_counts(path, names).tolist() == counts
