import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import UnreadableInput
from data.formats import parquet_files
from data.formats.parquet_files import read_table


@pytest.mark.parametrize("rows_a_piece", [1, 3, 1 << 16])
def test_read_table__as_pyarrow_reads_it(tmp_path, rows_a_piece, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROWS_A_PIECE", rows_a_piece)
    table = pa.table({"name": ["a", None, "b"] * 3, "rows": [[0.5, 1.0]] * 9, "n": np.arange(9)})
    table = table.replace_schema_metadata({"huggingface": "{}"})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
    wanted = pq.read_table(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", 1 << 20).equals(wanted, check_metadata=True)
    assert read_table(tmp_path / "t.parquet", 1 << 20, ["n", "name"]).select(["name"]).equals(wanted.select(["name"]))
    pq.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    assert read_table(tmp_path / "empty.parquet", 1 << 20, ["name"]).num_rows == 0


@pytest.mark.parametrize("text", ["x" * 10_000, "x" * 900_000])
def test_read_table__one_long_text_that_all_rows_share(tmp_path, text):
    """A few kilobytes that would be gigabytes of text."""
    shared = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1_000_000, np.int32)), pa.array([text]))
    pq.write_table(pa.table({"file_name": shared}), tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 20_000
    before = pa.total_allocated_bytes()
    with pytest.raises(UnreadableInput, match="unpacks to more than"):
        read_table(tmp_path / "t.parquet", 1 << 20)
    assert pa.total_allocated_bytes() - before < 1 << 22


def test_read_table__more_values_than_fit(tmp_path):
    pq.write_table(pa.table({"n": np.zeros(1_000_000, np.int64)}), tmp_path / "t.parquet")
    with pytest.raises(UnreadableInput, match="unpacks to more than"):
        read_table(tmp_path / "t.parquet", 1 << 20)
