"""Hugging Face's metadata files in an image folder."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from data.curation import curate
from data.decisions import SampleState
from data.errors import UnreadableInput
from data.formats import companions, hf_metadata, image_folder, open_set

NAMES = ["0003.png", "sub/0001.png", "0002.png", "a, b.png"]
CLASSES = [1, 0, 2, 1]
WORDS = ["dog", "cat", "emu", "dog"]


def images(tmp_path, names=NAMES):
    root = tmp_path / "set"
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
    return root


def save(root, kind, column, values, names=NAMES):
    rows = [
        {"file_name": name, column: value, "caption": f"é {i}"}
        for i, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    path = root / f"metadata.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def load(path):
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(("column", "values"), [("label", CLASSES), ("class_id", CLASSES), ("label", WORDS)])
def test_round_trip__rows_and_labels(tmp_path, kind, column, values):
    root = images(tmp_path)
    path = save(root, kind, column, values)
    opened = open_set(root)
    assert opened.labels.tolist() == CLASSES and list(opened.images.store.names) == NAMES
    assert opened.class_names == (("cat", "dog", "emu") if values is WORDS else ("class 0", "class 1", "class 2"))
    assert opened.provenance.files == (path, *(root / name for name in NAMES))
    curated = curate(opened, {0: SampleState(label=2), 2: SampleState(pruned=True)})
    out = tmp_path / "out"
    out.mkdir()
    image_folder.write(curated, out)
    expected = [load(path)[i] for i in (0, 1, 3)]
    expected[0][column] = type(expected[0][column])(values[2])
    assert load(out / path.name) == expected
    found = open_set(out)
    assert found.labels.tolist() == [2, 0, 1]
    assert torch.equal(found.images.stored(range(3)), opened.images.stored([0, 1, 3]))
    np.testing.assert_array_equal(image_folder.as_written(curated).kept, [0, 1, 3])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_write__unchanged_is_byte_identical(tmp_path, kind):
    root = images(tmp_path)
    path = save(root, kind, "label", CLASSES)
    out = tmp_path / "out"
    out.mkdir()
    curated = curate(open_set(root), {})
    files = image_folder.write(curated, out)
    assert {p.relative_to(out).as_posix() for p in files} == {*NAMES, path.name} and companions.write(curated, out) == []
    assert (out / path.name).read_bytes() == path.read_bytes()


def test_read__class_label_names_from_the_parquet_schema(tmp_path):
    root = images(tmp_path)
    path = save(root, "parquet", "label", CLASSES)
    feature = {"info": {"features": {"label": {"names": ["ant", "bee", "cow", "doe"], "_type": "ClassLabel"}}}}
    table = pq.read_table(path).replace_schema_metadata({"huggingface": json.dumps(feature)})
    pq.write_table(table, path)
    assert open_set(root).class_names == ("ant", "bee", "cow", "doe")


def test_read__indices_as_text_in_jsonl_sort_as_numbers(tmp_path):
    root = images(tmp_path)
    save(root, "jsonl", "label", ["10", "9", "2", "10"])
    assert open_set(root).class_names == ("2", "9", "10") and open_set(root).labels.tolist() == [2, 1, 0, 2]


def test_read__images_that_no_row_names(tmp_path):
    root = images(tmp_path, [*NAMES, "extra.png"])
    save(root, "csv", "label", CLASSES)
    assert any("1 images are not named" in warning for warning in open_set(root).provenance.warnings)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "name", ["../outside.png", "/etc/passwd", "sub/../../outside.png", "..\\outside.png", "a\x00.png", ""]
)
def test_read__names_that_leave_the_folder(tmp_path, kind, name):
    if kind == "csv" and "\x00" in name:
        name = "a\x01.png"
    root = images(tmp_path)
    Image.new("RGB", (6, 6)).save(tmp_path / "outside.png")
    save(root, kind, "label", CLASSES, [*NAMES[:3], name])
    with pytest.raises(UnreadableInput, match="row 4: file_name"):
        open_set(root)


def test_read__a_name_that_is_a_link_out(tmp_path):
    root = images(tmp_path)
    Image.new("RGB", (6, 6)).save(tmp_path / "outside.png")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    save(root, "csv", "label", CLASSES, [*NAMES[:3], "link.png"])
    with pytest.raises(UnreadableInput, match="link"):
        open_set(root)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metadata.csv", "file_name,label\n0003.png,0\ngone.png,1\n", "gone.png"),
        ("metadata.csv", "file_name,label\n", "no rows"),
        ("metadata.csv", "file_name,label\n0003.png\n", "row 1: label"),
        ("metadata.csv", "file_name,label\n0003.png,-1\n", "negative"),
        ("metadata.jsonl", '{"file_name": "0003.png", "label": 0}\n[1]\n', "row 2"),
        ("metadata.jsonl", '{"file_name": "0003.png", "label": 0.5}\n', "row 1: label"),
        ("metadata.jsonl", '{"file_name": "0003.png", "label": true}\n', "row 1: label"),
        ("metadata.jsonl", '{"file_name": "0003.png", "label": 0}\n{', "metadata.jsonl cannot be read"),
        ("metadata.jsonl", "[" * 100_000 + "\n", "metadata.jsonl cannot be read"),
        ("metadata.parquet", "PAR1 no", "metadata.parquet cannot be read"),
        ("metadata.csv", '{"file_name": 1}', "no distilled set|no folder"),
    ],
)
def test_read__broken_metadata(tmp_path, name, text, said):
    root = images(tmp_path, ["0003.png"])
    (root / name).write_text(text)
    with pytest.raises(UnreadableInput, match=said) as raised:
        open_set(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "start", "row"),
    [("metadata.csv", "file_name,label\n", "a,1\n"), ("metadata.jsonl", "", '{"file_name": "a", "label": 1}\n')],
)
def test_read__more_rows_than_fit(tmp_path, name, start, row, monkeypatch):
    monkeypatch.setattr(hf_metadata, "MOST_ROWS", 3)
    (tmp_path / name).write_text(start + 3 * row)
    assert hf_metadata.read_metadata(tmp_path / name).labels.tolist() == [1] * 3
    (tmp_path / name).write_text(start + 4 * row)
    with pytest.raises(UnreadableInput, match="more than 3 rows"):
        hf_metadata.read_metadata(tmp_path / name)


@pytest.mark.parametrize("text", ["file_name,label," + "," * 200, "file_name,label\n" + "," * 200])
def test_read__a_line_without_end(tmp_path, text, monkeypatch):
    monkeypatch.setattr(hf_metadata, "LONGEST_LINE", 100)
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(UnreadableInput, match="over 100 characters"):
        hf_metadata.read_metadata(tmp_path / "metadata.csv")


def test_read__class_names_that_no_file_can_hold(tmp_path):
    root = images(tmp_path)
    rows = [json.dumps({"file_name": name, "label": "\ud800"}) for name in NAMES]
    (root / "metadata.jsonl").write_text("\n".join(rows) + "\n")
    with pytest.raises(UnreadableInput, match="not valid Unicode"):
        open_set(root)
