import pytest
import torch

from analysis.device import SHARE, VARIABLE, _container_free, describe, free_bytes, pick, rows_that_fit
from data.errors import ImpossibleRequest

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(("cuda", "mps", "wanted"), [(1, True, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_pick__auto_takes_the_best(monkeypatch, cuda, mps, wanted):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick("auto").type == wanted


def test_pick__variable_takes_the_place_of_auto_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv(VARIABLE, "cpu")
    assert pick("auto") == CPU
    assert pick("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "meta", "gpu", ""])
def test_pick__absent_device_is_named_in_one_sentence(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ImpossibleRequest, match=f"'{name}'.*has cpu"):
        pick(name)


def test_pick__bad_variable_is_blamed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "gpu")
    with pytest.raises(ImpossibleRequest, match=VARIABLE):
        pick("auto")


@pytest.mark.parametrize(("threads", "words"), [(1, "cpu, 1 thread"), (2, "cpu, 2 threads")])
def test_describe__cpu(monkeypatch, threads, words):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert describe(CPU) == words


def test_rows_that_fit__follows_free_memory_within_bounds(monkeypatch):
    monkeypatch.setattr("analysis.device.free_bytes", lambda device: 1_000 * SHARE)
    assert rows_that_fit(10, CPU, most=1_000) == 100
    assert rows_that_fit(10, CPU, most=64) == 64
    assert rows_that_fit(10_000, CPU, most=64) == 1


def test_free_bytes__cpu_is_positive():
    assert free_bytes(CPU) > 2**20


def test_container_free__counts_cached_files_as_free(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert _container_free(tmp_path) == [450]


def test_container_free__no_limit(tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    assert _container_free(tmp_path) == []
