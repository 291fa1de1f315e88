import pytest

from data.errors import UnreadableInput
from data.formats import numeric_text
from data.formats.numeric_text import read_numbers


def test_read_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2.5\n\n-3e2,4\n")
    text = read_numbers(tmp_path / "a.csv")
    assert text.values.tolist() == [[1, 2.5], [-300, 4]] and text.header == "x,y" and text.lines == ("1,2.5", "-3e2,4")


@pytest.mark.parametrize("text", ["1,2\n" * 60, "1 " * 120, "\n" * 120, "1\n" * 120])
def test_read_numbers__more_than_fit(tmp_path, text, monkeypatch):
    monkeypatch.setattr(numeric_text, "MOST_VALUES", 100)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UnreadableInput, match="more than 100 numbers"):
        read_numbers(tmp_path / "a.csv")


@pytest.mark.parametrize("line", ["1_0,2", "1,2,3", "a,2"])
def test_read_numbers__a_line_that_is_none(tmp_path, line):
    (tmp_path / "a.csv").write_text(f"1,2\n3,4\n{line}\n")
    with pytest.raises(UnreadableInput, match="line 3"):
        read_numbers(tmp_path / "a.csv")
