"""Files as other programs write them, in the shape of their documented examples, and files that are broken or hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.decisions import Decision
from data.errors import ImpossibleRequest, UnreadableInput
from data.exchange import FORMATS, Matched, decisions_parquet, finding_of, load, recognise
from data.exchange import common as bounds
from data.exchange.matching import new_to
from tests.data.exchange.sets import small

NAMES = small()


def written(folder: Path, content: object, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(
        content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    return path


def said(matched: Matched) -> list[tuple]:
    return [(d.sample_id, d.action, d.label, d.annotator) for d in matched.decisions]


def task(image: str, *choices: str, **annotation: object) -> dict:
    """As in labelstud.io/guide/task_format, with the result of a Choices tag."""
    result = [
        {"id": "CkR", "from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
        for choice in choices
    ]
    whole = {
        "id": "1001",
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2021-03-09T22:16:08.728353Z",
        "updated_at": "2021-03-09T22:16:08.728378Z",
        "lead_time": 4.288,
        "result_count": 0,
        "task": 1,
        "completed_by": 10,
    }
    return {"id": 1, "data": {"image": image}, "annotations": [{**whole, **annotation}], "predictions": []}


def test_label_studio__as_it_exports(tmp_path):
    path = written(
        tmp_path,
        [
            task("https://example.com/opensource/cat/1.png", "dog"),
            task("/data/upload/83/1a2b3c4d-2.png", "cat", completed_by={"id": 3, "email": "ann@example.org"}),
            task("/data/local-files/?d=sets/dog/3.png", was_cancelled=True),
            {"id": 4, "data": {"image": "dog/1.png"}, "annotations": []},
        ],
    )
    matched = load(path, "auto", NAMES, finding="import: export.json")
    assert said(matched) == [
        (0, "relabel", 1, "Label Studio user 10"),
        (1, "keep", None, "ann@example.org"),
        (3, "skip", None, "Label Studio user 10"),
    ]
    first = matched.decisions[0]
    assert (first.seconds, first.at, first.finding) == (4.288, "2021-03-09T22:16:08.728353+00:00", "import: export.json")
    assert matched.notes == ("samples in the file that carry no decision: 1; none is made of them.",)


def test_label_studio__annotations_count_in_the_order_of_their_ids(tmp_path):
    two = task("cat/1.png", "dog", id=7)
    two["annotations"].append(task("", "cat", id=5)["annotations"][0])
    assert said(load(written(tmp_path, [two]), "auto", NAMES)) == [
        (0, "keep", None, "Label Studio user 10"),
        (0, "relabel", 1, "Label Studio user 10"),
    ]


def test_label_studio__several_choices_cannot_be_told(tmp_path):
    matched = load(written(tmp_path, [task("cat/1.png", "dog", "cat")]), "auto", NAMES)
    assert matched.decisions == [] and matched.refused == 1
    assert matched.problems == (
        "1 entry that cannot be understood: task 1, annotation 1 (it chooses twice, so that its class cannot be told).",
    )


def test_label_studio_csv__as_it_exports(tmp_path):
    text = (
        "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at\n"
        "5,ann@example.org,dog,2021-03-09T22:16:08.728353Z,1,/data/upload/1/0123abcd-2.png,3.5,2021-03-09T22:16:08Z\n"
        "6,bea@example.org,dog,2021-03-09T22:17:08Z,2,dog/3.png,1.5,2021-03-09T22:16:08Z\n"
    )
    matched = load(written(tmp_path, text), "auto", NAMES)
    assert said(matched) == [(1, "relabel", 1, "ann@example.org"), (3, "keep", None, "bea@example.org")]
    assert [d.seconds for d in matched.decisions] == [3.5, 1.5]


def test_fiftyone__as_it_exports(tmp_path):
    """As docs.voxel51.com/user_guide/using_datasets prints a sample, with tags that somebody gave in the app."""

    def sample(path: str, label: str, *tags: str) -> dict:
        truth = {
            "_id": {"$oid": "5f9f"},
            "_cls": "Classification",
            "tags": [],
            "label": label,
            "confidence": None,
            "logits": None,
        }
        return {"_id": {"$oid": "5ecd"}, "filepath": path, "tags": list(tags), "metadata": None, "ground_truth": truth}

    samples = [
        sample("data/cat/1.png", "cat"),
        sample("/somewhere/else/cat/2.png", "dog", "test", "wrong label"),
        sample("dog\\1.png", "dog", "pruned", "duplicate"),
        sample("dog/3.png", "dog", "label:cat"),
        sample("9.png", "fish #2", "keep"),
    ]
    matched = load(written(tmp_path, {"samples": samples}), "auto", NAMES, "me")
    assert said(matched) == [
        (1, "relabel", 1, "me"),
        (2, "prune", None, "me"),
        (3, "relabel", 0, "me"),
        (4, "keep", None, "me"),
    ]
    assert [d.reason for d in matched.decisions] == ["wrong label", "duplicate", None, None]
    assert matched.notes[0].startswith("samples in the file that carry no decision: 1;")


def test_fiftyone_csv__tags_and_changed_labels_count(tmp_path):
    text = 'filepath,tags,ground_truth.label\ncat/1.png,test,cat\ncat/2.png,,dog\ndog/1.png,"a,pruned",dog\n'
    matched = load(written(tmp_path, text), "auto", NAMES, "me")
    assert said(matched) == [(1, "relabel", 1, "me"), (2, "prune", None, "me")]


@pytest.mark.parametrize("mark", ",;\t")
def test_csv__any_order_separator_and_mark_at_the_start(tmp_path, mark):
    rows = [
        ["Label", "File", "Who"],
        ["dog", "cat/1.png", "Zoë"],
        ["2", "cat/2.png", ""],
        ["", "", ""],
        ["cat", "dog/3.png", "b"],
    ]
    text = "\ufeff" + "\r\n".join(mark.join(row) for row in rows)
    matched = load(written(tmp_path, text), "auto", NAMES, "me")
    assert said(matched) == [(0, "relabel", 1, "Zoë"), (1, "relabel", 2, "me"), (3, "relabel", 0, "b")]
    assert matched.notes == ("1 entry without an annotator: signed me.",)


def test_match__what_does_not_fit_is_said_in_a_sentence_each(tmp_path):
    rows = [{"sample_id": i, "action": "prune"} for i in (4, 5, 6, 7, 8)]
    rows += [{"sample_id": 0, "action": "relabel", "label": 5}, {"sample_id": 0, "action": "soften", "soft_label": [1.0]}]
    matched = load(written(tmp_path, "\n".join(map(json.dumps, rows))), "auto", NAMES)
    assert [d.sample_id for d in matched.decisions] == [4] and matched.refused == 6
    assert matched.problems == (
        "4 entries about samples that this set does not have: line 2 (5), line 3 (6), line 4 (7) and 1 more.",
        "1 entry with classes that this set does not have: line 6 ('5').",
        "1 entry that cannot be understood: line 7 (the soft label has 1 values for 5 classes).",
    )
    with pytest.raises(ImpossibleRequest, match="samples that this set does not have"):
        matched.require_all()


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("1.png,dog,", "'1.png', which several images are called"),
        ("cat/1.png,fish,", "'fish', which several classes are called"),
        ("../../etc/passwd,dog,", "'../../etc/passwd'"),
        ("cat/1.png,dog,yesterday", "not in ISO 8601"),
        (f"{'x' * 9000},dog,", "…"),
        ("http://[,dog,", "'http://['"),
    ],
)
def test_match__of_names_and_times_that_mean_nothing(tmp_path, row, sentence):
    matched = load(written(tmp_path, f"file,label,at\n{row}\n"), "auto", NAMES)
    assert matched.decisions == [] and sentence in matched.problems[0] and len(matched.problems[0]) < 300


def test_match__an_id_that_contradicts_the_file_is_another_sets(tmp_path):
    text = "sample_id,file,label\n0,dog/1.png,dog\n1,cat/2.png,dog\n2,elsewhere.png,dog\n"
    matched = load(written(tmp_path, text), "auto", NAMES)
    assert [d.sample_id for d in matched.decisions] == [1, 2]
    assert "row 2 (its sample id is 0, but its file is that of 2)" in matched.problems[0]


def test_new_to__the_same_file_twice_adds_nothing():
    dated = [
        Decision(0, "prune", annotator="a", at="2026-01-01T00:00:00.000+00:00"),
        Decision(0, "keep", annotator="a", at="x"),
    ]
    bare = [Decision(1, "prune", annotator="a", finding="import: x.csv")]
    stored = [*dated, Decision(1, "prune", annotator="a", finding="import: x.csv, by somebody", at="2026-02-02")]
    assert new_to([*dated, *bare], stored) == []
    assert new_to([*bare, *bare, *dated], []) == [*bare, *dated]
    other = Decision(1, "prune", annotator="a", finding="import: y.csv")
    assert new_to([other], stored) == [other]


def test_finding_of__is_one_line_of_the_name():
    assert finding_of(Path("/tmp/a\nb.csv")) == "import: a b.csv"
    assert finding_of(Path("x.csv"), "ann\n") == "import: x.csv, by ann "


DEEP = "[" * 200_000
BROKEN: dict[str, tuple[bytes | str, str, str]] = {
    "not UTF-8": (b"file,label\n\xff\xfe,dog\n", "auto", "not text in UTF-8"),
    "deep": (DEEP, "label-studio", "nested too deeply"),
    "deep object": ('{"samples":' + '{"a":' * 200_000, "fiftyone", "nested too deeply"),
    "key twice": ('[{"data": {"image": "a", "image": "b"}}]', "auto", "'image' stands twice"),
    "NaN": ('[{"data": {"image": "cat/1.png", "x": NaN}}]', "auto", "NaN is no number of JSON"),
    "cut off": ('[{"data": {', "auto", "not valid JSON"),
    "wrong root": ('{"samples": 3}', "auto", "no list 'samples'"),
    "number": ("12", "label-studio", "no list of tasks"),
    "line key twice": ('{"sample_id": 1, "action": "keep", "action": "prune"}', "auto", "'action' stands twice"),
    "line NaN": ('{"sample_id": 1, "action": "keep", "seconds": NaN}', "jsonl", "line 1 is not valid JSON"),
    "line of another kind": ('{"sample_id": 1, "action": "keep"}\n7', "auto", "line 2: the line is not a JSON object"),
    "no columns": ("hello\nworld\n", "auto", "no column for the sample"),
    "empty": ("", "auto", "no column for the sample"),
    "columns twice": ("file,image,label\na,b,c\n", "auto", "several columns for the file"),
    "too many cells": ("file,label\na,b,c\n", "auto", "more cells than there are columns"),
    "open quote": ('file,label\n"a,b\n', "auto", "no CSV table that can be read"),
    "NUL": ("file,label\na\0,b\n", "auto", ""),
    "no parquet": (b"PAR1 and nothing more", "auto", "no parquet file that can be read"),
    "huge digits": ('[{"data": {"sample_id": ' + "9" * 5000 + "}}]", "auto", "not valid JSON"),
}


@pytest.mark.parametrize(("content", "name", "sentence"), BROKEN.values(), ids=BROKEN)
def test_broken__is_one_clear_sentence(tmp_path, content, name, sentence):
    path = written(tmp_path, content)
    try:
        matched = load(path, name, NAMES)
    except UnreadableInput as error:
        assert re.search(re.escape(sentence), str(error)) and "\n" not in str(error) and 20 < len(str(error)) < 400
        assert "file" in str(error)
    else:
        assert sentence == "" and matched.decisions == [], "only what can be read row by row gets here"


WEIRD = [None, True, -1, 1.5, float("1e400"), "x", "", [], {}, ["a"], {"a": 1}, 2**70, "\ud800", "9" * 30]
FIELDS = (
    "sample",
    "file",
    "choice",
    "completed_by",
    "lead_time",
    "created_at",
    "was_cancelled",
    "id",
    "result",
    "annotations",
)


@pytest.mark.parametrize("field", FIELDS)
def test_label_studio__of_any_type_anywhere(tmp_path, field):
    tasks = []
    for value in WEIRD:
        made = task("cat/1.png", "dog")
        if field in ("sample", "file"):
            made["data"]["sample_id" if field == "sample" else "image"] = value
        elif field == "choice":
            made["annotations"][0]["result"][0]["value"]["choices"] = [value]
        elif field == "annotations":
            made["annotations"] = value
        else:
            made["annotations"][0][field] = value
        tasks.append(made)
    path = tmp_path / "file"
    path.write_text(json.dumps(tasks).replace("Infinity", "1e400"))
    matched = load(path, "label-studio", NAMES)
    assert all(d.sample_id == 0 for d in matched.decisions) and "\n" not in "".join(matched.problems)
    assert len(matched.decisions) + matched.refused <= len(WEIRD)


@pytest.mark.parametrize(
    "field", ["filepath", "tags", "ground_truth", "label", "stillroom_sample", "stillroom_pruned", "at"]
)
def test_fiftyone__of_any_type_anywhere(tmp_path, field):
    samples = []
    for value in WEIRD:
        made = {"filepath": "cat/1.png", "tags": ["pruned"], "ground_truth": {"_cls": "Classification", "label": "dog"}}
        inside = made["ground_truth"] if field in ("label", "at") else made
        inside[field] = value
        samples.append(made)
    path = tmp_path / "file"
    path.write_text(json.dumps({"samples": [*samples, *WEIRD]}).replace("Infinity", "1e400"))
    matched = load(path, "fiftyone", NAMES)
    assert all(d.sample_id == 0 for d in matched.decisions)


def test_size__is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", 1 << 20)
    path = written(tmp_path, b"file,label\n" + b"a,b\n" * (1 << 18))
    for name in ("auto", *FORMATS):
        with pytest.raises(UnreadableInput, match="more than 1 MiB"):
            load(path, name, NAMES)


def test_places__that_are_no_files(tmp_path):
    for path in (tmp_path, Path("/dev/zero"), tmp_path / "nothing"):
        with pytest.raises(UnreadableInput, match="give a file of decisions"):
            recognise(path)


def test_parquet__a_few_bytes_that_unpack_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(decisions_parquet, "MOST_UNPACKED", 1 << 24)
    rows = 20_000
    name = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 100_000]))
    table = pa.table({"sample_id": pa.array([0] * rows), "action": pa.array(["keep"] * rows), "annotator": name})
    pq.write_table(table, tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 20
    with pytest.raises(UnreadableInput, match="unpacks to more than"):
        load(tmp_path / "bomb.parquet", "auto", NAMES)


@pytest.mark.parametrize(
    "columns", [{"sample_id": [1]}, {"sample_id": ["a"], "action": ["keep"]}, {"sample_id": [1], "action": [3]}]
)
def test_parquet__of_other_columns(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(UnreadableInput, match=r"no column action|row 1"):
        load(tmp_path / "x.parquet", "auto", NAMES)
