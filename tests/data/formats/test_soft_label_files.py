"""Soft-label files in every format: what is read, what is written back, what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import parquet_labels
from data.formats.soft_label_files import (
    SUFFIXES,
    HardLabelsOnly,
    OtherSamples,
    find_beside,
    read_soft_labels,
    write_soft_labels,
)
from data.soft_labels import DenseSoftLabels, TopKSoftLabels
from tests.fixtures import fixture

N, C = 6, 4
LOGITS = torch.randn(N, C, generator=torch.Generator().manual_seed(0)) * 5
ROWS = np.array([4, 0, 5])


def save(path, values):
    """``values`` as the field's people would save them."""
    array = values.numpy()
    if path.suffix in (".pt", ".pth"):
        torch.save(values, path)
    elif path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, soft_labels=array, ids=np.arange(N, dtype=np.uint16), names=np.array(["x"] * N))
    elif path.suffix == ".safetensors":
        save_file({"logits": values, "lam": torch.ones(3)}, path)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"file": [f"{i}.png" for i in range(N)], "soft": list(array)}), path)
    else:
        np.savetxt(path, array, delimiter=",", header="cat,dog,emu,fox" if path.suffix == ".csv" else "", comments="")
    return path


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".txt"])
def test_read__every_format(tmp_path, suffix):
    found = read_soft_labels(save(tmp_path / f"a{suffix}", LOGITS), N, C)
    assert isinstance(found, DenseSoftLabels) and found.kind == "logits" and found.num_classes == C
    np.testing.assert_allclose(found.stored(range(N)).numpy(), LOGITS.numpy(), rtol=1e-7)
    assert found.dtype == (torch.float64 if suffix in (".csv", ".txt") else torch.float32)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".txt"])
def test_write__kept_rows_in_the_same_format(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", LOGITS)
    before = read_soft_labels(path, N)
    written = write_soft_labels(before.take(ROWS), tmp_path / f"b{suffix}", path, ROWS)
    after = read_soft_labels(written, len(ROWS))
    assert after.dtype == before.dtype and torch.equal(after.stored(range(3)), before.stored(ROWS))
    if suffix == ".csv":
        assert written.read_text().splitlines()[0] == "cat,dog,emu,fox"
    if suffix == ".parquet":
        assert pq.read_table(written)["file"].to_pylist() == ["4.png", "0.png", "5.png"]
        assert pq.read_schema(written).equals(pq.read_schema(path))
    if suffix == ".npz":
        with np.load(written) as found:
            assert list(found) == ["soft_labels", "ids", "names"] and found["ids"].dtype == np.uint16
    if suffix == ".safetensors":
        assert set(load_file(written)) == {"logits", "lam"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_write__nothing_decided_gives_the_same_bytes(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", LOGITS)
    assert write_soft_labels(read_soft_labels(path, N), tmp_path / f"b{suffix}", path).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_write__without_a_model(tmp_path, suffix):
    source = DenseSoftLabels(LOGITS, "logits")
    found = read_soft_labels(write_soft_labels(source, tmp_path / f"a{suffix}"), N)
    assert torch.equal(found.stored(range(N)).float(), LOGITS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_round_trip__dtypes(tmp_path, dtype, suffix):
    source = DenseSoftLabels(LOGITS.to(dtype), "logits")
    found = read_soft_labels(write_soft_labels(source, tmp_path / f"a{suffix}"), N)
    assert found.dtype == dtype and torch.equal(found.stored(range(N)), LOGITS.to(dtype))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_round_trip__text_keeps_every_bit(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    values = torch.tensor(rows, dtype=torch.float64)
    found = read_soft_labels(write_soft_labels(DenseSoftLabels(values, "logits"), path), len(rows))
    assert torch.equal(found.stored(range(len(rows))), values)


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("counted", [True, False])
def test_top_k__round_trip(tmp_path, suffix, counted):
    values, indices = LOGITS.half().topk(2)
    members = {"topk_values": values, "topk_indices": indices.short()}
    path = tmp_path / f"a{suffix}"
    if suffix == ".pt":
        torch.save({**members, **({"num_classes": 9} if counted else {})}, path)
    elif suffix == ".npz":
        np.savez(path, **{k: v.numpy() for k, v in members.items()}, **({"num_classes": 9} if counted else {}))
    else:
        save_file({**members, **({"num_classes": torch.tensor(9)} if counted else {})}, path)
    found = read_soft_labels(path, N, C)
    assert isinstance(found, TopKSoftLabels) and found.num_classes == (9 if counted else C) and found.kind == "logits"
    written = write_soft_labels(found.take(ROWS), tmp_path / f"b{suffix}", path, ROWS)
    again = read_soft_labels(written, 3, C)
    assert again.dtype == torch.float16 and again.indices.dtype == torch.int16 and again.num_classes == found.num_classes
    assert torch.equal(again.values, values[ROWS]) and torch.equal(again.indices, indices[ROWS].short())
    fresh = read_soft_labels(write_soft_labels(found, tmp_path / f"c{suffix}"), N)
    assert fresh.num_classes == found.num_classes and torch.equal(fresh.indices, found.indices)


def test_top_k__not_without_keys(tmp_path):
    source = TopKSoftLabels(torch.ones(2, 1), torch.zeros(2, 1, dtype=torch.int64), 3, "logits")
    for suffix in (".npy", ".csv", ".parquet"):
        with pytest.raises(ImpossibleRequest, match="top-k"):
            write_soft_labels(source, tmp_path / f"a{suffix}")


def test_read__probabilities_and_memory_mapping():
    found = read_soft_labels(fixture("label-errors", "cifar10_test_set_pyx.npy"), 10_000, 10)
    assert found.kind == "probabilities" and found.num_classes == 10


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float16()), pa.list_(pa.float64(), C)])
def test_parquet__list_types_stay(tmp_path, kind):
    array = LOGITS.numpy().astype(kind.value_type.to_pandas_dtype())
    pq.write_table(pa.table({"soft_labels": pa.array(list(array), kind)}), tmp_path / "a.parquet")
    found = read_soft_labels(tmp_path / "a.parquet", N)
    assert found.stored(range(N)).numpy().tobytes() == array.tobytes()
    written = write_soft_labels(found.take(ROWS), tmp_path / "b.parquet", tmp_path / "a.parquet", ROWS)
    assert pq.read_schema(written).field("soft_labels").type == kind
    assert read_soft_labels(written, 3).stored(range(3)).numpy().tobytes() == array[ROWS].tobytes()


def test_parquet__a_column_a_class(tmp_path):
    columns = {name: LOGITS[:, i].numpy() for i, name in enumerate("abcd")}
    pq.write_table(pa.table({"id": np.arange(N), **columns}), tmp_path / "a.parquet")
    found = read_soft_labels(tmp_path / "a.parquet", N)
    assert torch.equal(found.stored(range(N)), LOGITS)
    written = write_soft_labels(found.take(ROWS), tmp_path / "b.parquet", tmp_path / "a.parquet", ROWS)
    assert pq.read_table(written)["id"].to_pylist() == ROWS.tolist()
    assert torch.equal(read_soft_labels(written, 3).stored(range(3)), LOGITS[ROWS])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"soft": [[1.0, 2.0], [1.0]]}, "different lengths"),
        ({"soft": [[1.0, 2.0], None]}, "no soft label"),
        ({"soft": [[1.0, None], [1.0, 2.0]]}, "gaps"),
        ({"a": [1.0, None], "b": [1.0, 2.0]}, "no soft label"),
        ({"name": ["x", "y"]}, "neither"),
        ({"s": [[1.0], [2.0]], "t": [[1.0], [2.0]]}, "several columns"),
        ({"soft": [[1.0, float("nan")], [1.0, 2.0]]}, "NaN"),
    ],
)
def test_parquet__rows_that_are_none(tmp_path, table, said):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(UnreadableInput, match=said):
        read_soft_labels(tmp_path / "a.parquet", 2)


def test_parquet__more_values_than_fit(tmp_path, monkeypatch):
    pq.write_table(pa.table({"soft": [[0.5] * 1000] * 100}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    monkeypatch.setattr(parquet_labels, "MOST_INFLATED", 500_000)
    with pytest.raises(UnreadableInput, match="unpacks to more"):
        read_soft_labels(tmp_path / "a.parquet", 100)


class Code:
    def __reduce__(self):
        return (open, ("/tmp/stillroom-was-here", "w"))


def test_read__code_in_a_torch_file_is_refused_by_name(tmp_path):
    torch.save({"soft_labels": LOGITS, "extra": Code()}, tmp_path / "a.pt")
    with pytest.raises(UnreadableInput, match="open"):
        read_soft_labels(tmp_path / "a.pt", N)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.arange(N), "class indices"),
        (torch.zeros(N, C, 2), "no one matrix"),
        (torch.zeros(N, 0), "empty"),
        (torch.zeros(N), "no one matrix"),
        (LOGITS.where(LOGITS < 1, torch.nan), "NaN"),
        (LOGITS.where(LOGITS < 1, torch.inf).half(), "infinity"),
        ([LOGITS], "list"),
        ({}, "nothing"),
        ({"a": LOGITS, "b": LOGITS}, "no one matrix"),
        ({"topk_values": LOGITS, "topk_indices": torch.zeros(N, 2)}, "same shape"),
        ({"topk_values": LOGITS, "topk_indices": torch.zeros(N, C)}, "no integers"),
        ({"topk_values": LOGITS, "topk_indices": torch.full((N, C), -1)}, "class indices -1"),
        ({"topk_values": LOGITS, "topk_indices": torch.full((N, C), 9), "num_classes": 9}, "do not fit 9 classes"),
    ],
)
def test_read__no_soft_labels(tmp_path, value, said):
    torch.save(value, tmp_path / "a.pt")
    with pytest.raises(UnreadableInput, match=said):
        read_soft_labels(tmp_path / "a.pt", N)


def test_read__other_counts_and_hard_labels_are_told_apart(tmp_path):
    save(tmp_path / "a.pt", LOGITS)
    with pytest.raises(OtherSamples, match="6 samples but the set has 7"):
        read_soft_labels(tmp_path / "a.pt", 7)
    np.save(tmp_path / "a.npy", np.arange(7))
    with pytest.raises(HardLabelsOnly):
        read_soft_labels(tmp_path / "a.npy", 7)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1,2\n3,x\n", "1,2\n3\n", "1,nan\n", "1,2\n\xff"])
def test_read__broken_text(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UnreadableInput, match=r"a\.csv"):
        read_soft_labels(tmp_path / "a.csv", 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_read__rubbish(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    with pytest.raises(UnreadableInput):
        read_soft_labels(tmp_path / f"a{suffix}", N)


def test_read__unknown_suffix_and_missing_file(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"")
    for name in ("a.pkl", "gone.npy"):
        with pytest.raises(UnreadableInput, match=name):
            read_soft_labels(tmp_path / name, N)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["set/soft_labels.npy", "set/labels.pt"], "set/soft_labels.npy"),
        (["set/labels.npy"], "set/labels.npy"),
        (["set_soft_labels.safetensors", "labels.pt"], "set_soft_labels.safetensors"),
        (["labels.pt"], "labels.pt"),
        (["other_soft_labels.pt", "set/labels.txt"], None),
    ],
)
def test_find_beside__a_folder(tmp_path, names, found):
    (tmp_path / "set").mkdir()
    for name in names:
        (tmp_path / name).write_text("")
    assert find_beside(tmp_path / "set") == (tmp_path / found if found else None)


def test_find_beside__a_file_has_no_bare_labels(tmp_path):
    (tmp_path / "labels.pt").write_text("")
    assert find_beside(tmp_path / "grid.png") is None
    (tmp_path / "grid_soft_labels.csv").write_text("")
    assert find_beside(tmp_path / "grid.png") == tmp_path / "grid_soft_labels.csv"
