"""SLDD's text files."""

import numpy as np
import pytest

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import GIVEN
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import label_text, open_set
from tests.fixtures import fixture

FILES = {"sldd-imdb-step000.txt": (20, 2), "sldd-sst5-step000.txt": (100, 5), "sldd-trec6-step000.txt": (120, 6)}


@pytest.mark.parametrize("name", FILES)
def test_read__published_files(name):
    path = fixture("learned-soft-labels", name)
    opened = open_set(path)
    given = opened.label_sources[GIVEN]
    assert (len(opened), opened.num_classes) == FILES[name] and opened.images is None and given.kind == "scores"
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    np.testing.assert_allclose(given.stored(range(len(opened))).numpy(), rows, atol=1e-6)
    expected = (rows[:, 0] > 0).astype(int) if rows.shape[1] == 1 else rows.argmax(axis=1)
    assert opened.labels.tolist() == expected.tolist()
    assert opened.class_names[1] == "class 1" and opened.provenance.files == (path.resolve(),)


@pytest.mark.parametrize("name", FILES)
def test_write__unchanged_is_byte_identical(name, tmp_path):
    path = fixture("learned-soft-labels", name)
    (written,) = label_text.write(curate(open_set(path), {}), tmp_path)
    assert written.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_write__only_decided_lines_change(name, tmp_path):
    path = fixture("learned-soft-labels", name)
    lines, opened = path.read_text().splitlines(), open_set(path)
    other = (int(opened.labels[3]) + 1) % opened.num_classes
    (written,) = label_text.write(curate(opened, {0: SampleState(pruned=True), 3: SampleState(label=other)}), tmp_path)
    found = written.read_text().splitlines()
    assert found[:2] == lines[1:3] and found[3:] == lines[4:]
    assert sorted(w.strip("-") for w in found[2].split(", ")) == sorted(w.strip("-") for w in lines[3].split(", "))
    assert open_set(written).labels[2] == other


def test_write__a_soften_has_no_scale_here(tmp_path):
    opened = open_set(fixture("learned-soft-labels", "sldd-sst5-step000.txt"))
    with pytest.raises(ImpossibleRequest, match="scores"):
        curate(opened, {0: SampleState(soft_label=(0.2,) * 5)})


def test_recognises__no_licence_and_no_prose():
    assert not label_text.recognises(fixture("learned-soft-labels", "LICENSE-MIT.txt"))


@pytest.mark.parametrize("text", ["", "\n\n", "12\n13\n", "1.5 apples\n", "v1.0, v2.0\n", "\x00\x01\n"])
def test_recognises__other_text(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert not label_text.recognises(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.00, 2.00\n1.00\n", "line 2"),
        ("1.00, 2.00\n1.00, cat\n", "line 2"),
        ("1.00, nan\n", "NaN"),
        ("1.00, 2.00\n-inf, 1.00\n", "sample 1"),
        ("1.00, 2.00\n1.00, 2.00, 3.00\n", "3 numbers instead of 2"),
    ],
)
def test_read__broken_lines(tmp_path, text, said):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UnreadableInput, match=said):
        open_set(tmp_path / "a.txt")


def test_read__not_utf8(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1.00, 2.00\n\xff\xfe\n")
    with pytest.raises(UnreadableInput, match="UTF-8"):
        open_set(tmp_path / "a.txt")


def test_write__lines_that_stand_keep_their_own_spelling(tmp_path):
    (tmp_path / "a.txt").write_text("1.500,2.0\n +1.25,  -3.125\n0.50, 0.25\n")
    opened = open_set(tmp_path / "a.txt")
    (tmp_path / "out").mkdir()
    (written,) = label_text.write(curate(opened, {0: SampleState(label=0), 2: SampleState(pruned=True)}), tmp_path / "out")
    assert written.read_text() == "2.000, 1.500\n +1.25,  -3.125\n"
