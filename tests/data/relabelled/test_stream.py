"""Batches streamed with read-ahead: the same as read one by one, in order, errors in their turn."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from data.errors import UnreadableInput
from data.relabelled.opening import open_tree
from data.relabelled.stream import stream
from tests.data.relabelled.reads import reads_of_batches
from tests.data.trees import make_tree


@pytest.fixture
def made(tmp_path):
    return make_tree("sre2l", tmp_path)


@pytest.fixture
def opened(made):
    return open_tree(made.tree, made.labels, made.num_classes)


@pytest.fixture
def read_positions(monkeypatch):
    """Positions in the order in which they are read."""
    return reads_of_batches(monkeypatch)


def test_stream__gives_every_batch_in_order_with_its_images(made, opened):
    found = list(stream(opened))
    assert [read.position for read in found] == list(range(len(made.files)))
    for read, truth in zip(found, made.files, strict=True):
        np.testing.assert_array_equal(read.images, truth.images)
        assert torch.equal(read.batch.values, torch.load(truth.path, weights_only=False)[5])


@pytest.mark.parametrize("ahead", [0, 1, 3, 1000])
def test_stream__chosen_positions(opened, ahead):
    assert [read.position for read in stream(opened, [7, 2, 5], ahead)] == [7, 2, 5]
    assert list(stream(opened, [], ahead)) == []


def test_stream__reads_no_further_ahead_than_told(opened, read_positions):
    batches = stream(opened, ahead=2)
    for taken in range(4):
        next(batches)
        assert len(read_positions) <= taken + 3
    batches.close()


def test_stream__closed_early_leaves_no_thread_and_reads_no_more(opened, read_positions):
    batches = stream(opened, ahead=3)
    next(batches)
    batches.close()
    after = len(read_positions)
    assert after <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
    assert len(read_positions) == after


@pytest.mark.parametrize("harm", ["cut short", "gone", "not a batch"])
def test_stream__broken_file_is_named_in_its_turn(made, opened, harm):
    path = made.files[6].path
    if harm == "gone":
        path.unlink()
    elif harm == "cut short":
        path.write_bytes(path.read_bytes()[:500])
    else:
        torch.save({"a": 1}, path)
    batches = stream(opened, ahead=3)
    assert [next(batches).position for _ in range(6)] == list(range(6))
    with pytest.raises(UnreadableInput, match=path.relative_to(opened.root).as_posix()):
        next(batches)


def test_stream__batch_stays_whole_when_its_file_is_replaced(made, opened):
    read = next(iter(stream(opened, [0])))
    values = read.batch.values.clone()
    made.files[0].path.unlink()
    torch.save([1], made.files[0].path)
    assert torch.equal(read.batch.values, values)
