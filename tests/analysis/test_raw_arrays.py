"""Any model's predictions and labels from two files, held against cleanlab on the same arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from cleanlab.filter import find_label_issues
from safetensors.numpy import save_file

from analysis.__main__ import main
from analysis.confident.learning import FILTERS
from analysis.raw_arrays import open_arrays, read_labels
from data.distilled_set import GIVEN
from data.errors import UnreadableInput

N, C = 400, 6


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 (N,), a fifth wrong, and float64 probabilities (N, C)."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, C, N)
    logits = rng.standard_normal((N, C)) + 3 * np.eye(C)[truth]
    labels = np.where(rng.random(N) < 0.2, rng.integers(0, C, N), truth)
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def save_matrix(values: np.ndarray, path: Path) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, probabilities=values)
    elif path.suffix == ".safetensors":
        save_file({"probabilities": values}, path)
    else:
        pq.write_table(pa.table({"soft_labels": pa.array(list(values))}), path)
    return path


def save_labels(labels: np.ndarray, path: Path) -> Path:
    if path.suffix == ".npy":
        np.save(path, labels)
    elif path.suffix == ".npz":
        np.savez(path, labels=labels, ids=np.arange(len(labels)))
    elif path.suffix == ".safetensors":
        save_file({"y": labels}, path)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"name": ["x"] * len(labels), "label": labels}), path)
    else:
        header = "label\n" if path.suffix == ".csv" else ""
        path.write_text(header + "\n".join(map(str, labels)) + "\n")
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_run__equals_cleanlab_on_the_same_file(suffix: str, dtype: type, made, tmp_path: Path) -> None:
    labels, probabilities = made[0], made[1].astype(dtype)
    place = save_matrix(probabilities, tmp_path / f"p{suffix}")
    out = tmp_path / "out"
    arguments = ["--probabilities", str(place), "--labels", str(save_labels(labels, tmp_path / "y.npy")), "--out", str(out)]
    assert main(["run", "label_errors", *arguments, "--param", "filter=both"]) == 0
    table = pd.read_parquet(out / "per_sample.parquet")
    expected = find_label_issues(labels, probabilities, filter_by="both", n_jobs=1)
    assert expected.any()
    np.testing.assert_array_equal(table["flag"], expected)
    np.testing.assert_allclose(table["score"], probabilities[np.arange(N), labels], rtol=1e-7)
    said = json.loads((out / "summary.json").read_text())
    assert (said["set"], said["parameters"]["filter_by"]) == (str(place), "both")


@pytest.mark.parametrize("filter_by", FILTERS)
def test_run__a_filter_by_name_answers_as_cleanlab_does_whatever_the_input(filter_by: str, tmp_path: Path) -> None:
    """Labels that have nothing to do with the predictions, classes of a few samples, one of none."""
    rng = np.random.default_rng(7)
    labels = np.concatenate([np.zeros(150), np.ones(40), [2, 2, 3], np.full(7, 5)]).astype(np.int64)
    probabilities = rng.dirichlet(np.full(6, 0.4), len(labels)).round(2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    files = ["--probabilities", str(save_matrix(probabilities, tmp_path / "p.npy"))]
    files += ["--labels", str(save_labels(labels, tmp_path / "y.npy")), "--out", str(tmp_path / "out")]
    assert main(["run", "label_errors", *files, "--param", f"filter={filter_by}"]) == 0
    table = pd.read_parquet(tmp_path / "out" / "per_sample.parquet")
    expected = find_label_issues(labels, probabilities, filter_by=filter_by, n_jobs=1)
    np.testing.assert_array_equal(table["flag"], expected)
    np.testing.assert_allclose(table["score"], probabilities[np.arange(len(labels)), labels], rtol=1e-7)


def test_run__cleanlab_itself_gives_the_same_answer(made, tmp_path: Path) -> None:
    files = ["--probabilities", str(save_matrix(made[1], tmp_path / "p.npy"))]
    files += ["--labels", str(save_labels(made[0], tmp_path / "y.npy"))]
    tables, exact = [], ("--param", "thresholds=exact")
    for backend in ("stillroom", "cleanlab"):
        out = tmp_path / backend
        assert main(["run", "label_errors", *files, "--param", f"backend={backend}", *exact, "--out", str(out)]) == 0
        tables.append((pd.read_parquet(out / "per_sample.parquet"), np.load(out / "matrices.npz")["confident joint"]))
    pd.testing.assert_frame_equal(tables[0][0], tables[1][0])
    np.testing.assert_array_equal(tables[0][1], tables[1][1])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet", ".csv", ".txt"])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_read_labels__every_kind_of_file(suffix: str, dtype: type, made, tmp_path: Path) -> None:
    read = read_labels(save_labels(made[0].astype(dtype), tmp_path / f"y{suffix}"))
    assert read.dtype == np.int64
    np.testing.assert_array_equal(read, made[0])


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_read_labels__whole_numbers_kept_as_floats(shape: tuple[int, ...], made, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", made[0].astype(np.float32).reshape(shape))
    np.testing.assert_array_equal(read_labels(tmp_path / "y.npy"), made[0])


def test_open_arrays__npy_is_memory_mapped_and_unchanged(made, tmp_path: Path) -> None:
    opened = open_arrays(
        save_matrix(made[1].astype(np.float16), tmp_path / "p.npy"), save_labels(made[0], tmp_path / "y.npy")
    )
    assert opened.images is None and len(opened) == N and opened.num_classes == C
    source = opened.label_sources[GIVEN]
    assert source.dtype == torch.float16 and source.kind == "probabilities"
    np.testing.assert_array_equal(source.stored(range(N)).numpy(), made[1].astype(np.float16))


def test_open_arrays__logits_where_said(made, tmp_path: Path) -> None:
    logits = save_matrix(np.log(made[1]) + 2, tmp_path / "p.npy")
    labels = save_labels(made[0], tmp_path / "y.npy")
    opened = open_arrays(logits, labels, "logits")
    np.testing.assert_allclose(opened.label_sources[GIVEN].probabilities(range(N)).numpy(), made[1], atol=1e-6)
    with pytest.raises(UnreadableInput, match="--kind logits"):
        open_arrays(logits, labels)


def test_open_arrays__the_largest_of_each_row(made, tmp_path: Path) -> None:
    values, indices = torch.from_numpy(made[1]).topk(3)
    np.savez(tmp_path / "p.npz", topk_values=values, topk_indices=indices, num_classes=np.array(C))
    opened = open_arrays(tmp_path / "p.npz", save_labels(made[0], tmp_path / "y.npy"))
    assert opened.num_classes == C
    probabilities = opened.label_sources[GIVEN].probabilities(range(N))
    assert ((probabilities > 0).sum(dim=1) <= 3).all()


def spoiled(probabilities: np.ndarray, how: str) -> np.ndarray:
    values = probabilities.copy()
    if how == "nan":
        values[7, 2] = np.nan
    elif how == "negative":
        values[7, 2] = -0.25
    elif how == "scaled":
        values[7] *= 2
    elif how == "short":
        values = values[:-1]
    elif how == "column":
        values = values[:, :1]
    elif how == "classes":
        values = values[:, :-1] / values[:, :-1].sum(axis=1, keepdims=True)
    elif how == "flat":
        values = values[:, 0]
    return values


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("nan", "NaN or infinity .*sample 7"),
        ("negative", "sample 7 has a negative probability, -0.25; .*--kind logits"),
        ("scaled", "sample 7 has probabilities that sum to 2 instead of 1"),
        ("short", "p.npy holds soft labels for 399 samples but the set has 400.*y.npy"),
        ("column", "one column"),
        ("classes", "labels are not among the 5 classes of p.npy, 0 to 4"),
        ("flat", "p.npy"),
    ],
)
def test_open_arrays__says_what_is_wrong(how: str, sentence: str, made, tmp_path: Path, capsys) -> None:
    place = save_matrix(spoiled(made[1], how), tmp_path / "p.npy")
    labels = save_labels(made[0], tmp_path / "y.npy")
    with pytest.raises(UnreadableInput, match=sentence):
        open_arrays(place, labels)
    out = tmp_path / "out"
    assert main(["run", "label_errors", "--probabilities", str(place), "--labels", str(labels), "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.arange(1, C + 1), "count from 1"),
        (np.zeros((4, 2), np.int64), "shape"),
        (np.zeros(0, np.int64), "shape"),
        (np.array([0.5, 1.0]), "integers"),
        (np.array([-1, 0, 1]), "not among"),
        (np.array(["cat", "dog"]), "not one of numbers"),
    ],
)
def test_open_arrays__refuses_other_labels(values: np.ndarray, sentence: str, made, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", values)
    matrix = save_matrix(made[1][: len(values)] if len(values) else made[1], tmp_path / "p.npy")
    with pytest.raises(UnreadableInput, match=sentence):
        open_arrays(matrix, tmp_path / "y.npy")


def test_read_labels__of_several_arrays_none_is_called_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", a=np.arange(3), b=np.arange(3))
    with pytest.raises(UnreadableInput, match="a, b; call the labels 'labels'"):
        read_labels(tmp_path / "y.npz")


@pytest.mark.parametrize(
    "arguments", [[], ["--probabilities", "p.npy"], ["SET", "--probabilities", "p.npy", "--labels", "y.npy"]]
)
def test_run__says_what_goes_together(arguments: list[str], tmp_path: Path, capsys) -> None:
    assert main(["run", "label_errors", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert "--probabilities" in capsys.readouterr().err


def test_open_arrays__names_that_are_too_long_are_no_files(made, tmp_path: Path) -> None:
    labels, probabilities = made
    matrix, classes = save_matrix(probabilities, tmp_path / "p.npy"), save_labels(labels, tmp_path / "y.npy")
    for arguments in ((tmp_path / f"{'x' * 300}.npy", classes), (matrix, tmp_path / f"{'x' * 300}.npy")):
        with pytest.raises(UnreadableInput, match="is not a file"):
            open_arrays(*arguments)


@pytest.mark.parametrize("count", [float("nan"), float("inf")])
def test_open_arrays__refuses_a_number_of_classes_that_is_none(count: float, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", values=np.full((4, 1), 0.9), indices=np.zeros((4, 1), int), num_classes=np.asarray(count))
    with pytest.raises(UnreadableInput, match="'num_classes' is no number"):
        open_arrays(tmp_path / "p.npz", save_labels(np.zeros(4, int), tmp_path / "y.npy"))
