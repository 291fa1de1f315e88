from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.distilled_set import OpenOptions, Provenance
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import common
from data.soft_labels import DenseSoftLabels, TopKSoftLabels


@given(
    n=st.integers(1, 40),
    width=st.integers(1, 5),
    at=st.integers(0, 39),
    value=st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
)
def test_check_finite__names_the_first_sample(n, width, at, value, dtype):
    tensor = torch.full((n, width), 60_000.0).to(dtype)  # sums that leave float16's range are no infinities
    common.check_finite(tensor, "file", "images")
    first = at % n
    tensor[first:, 0] = value
    with pytest.raises(UnreadableInput, match=rf"first: sample {first}\)"):
        common.check_finite(tensor, "file", "images")


def test_check_finite__in_a_late_stretch(monkeypatch):
    monkeypatch.setattr(common, "VALUES_A_CHECK", 8)
    tensor = torch.zeros(100, 4)
    tensor[97, 2] = torch.inf
    with pytest.raises(UnreadableInput, match="sample 97"):
        common.check_finite(tensor, "file", "images")


def test_check_finite__large_finite_values():
    common.check_finite(torch.full((4,), 1e308, dtype=torch.float64), "file", "images")
    common.check_finite(torch.zeros(0, 3), "file", "images")


def test_check_finite__huge_tensors_are_sampled_and_say_so(monkeypatch):
    monkeypatch.setattr(common, "VALUES_A_CHECK", 8)
    monkeypatch.setattr(common, "MOST_CHECKED_VALUES", 100)
    tensor = torch.zeros(100, 4)
    [warning] = common.unchecked(tensor)
    assert "25%" in warning and common.unchecked(tensor[:25]) == ()
    tensor[8:] = torch.inf
    with pytest.raises(UnreadableInput):
        common.check_finite(tensor, "file", "images")


def test_pixel_space__chosen_by_hand():
    space = common.pixel_space(torch.zeros(1, 3, 4, 4), Path("x.pt"), OpenOptions(profile="svhn"))
    assert space.name == "svhn" and space.chosen and "by hand" in space.evidence
    with pytest.raises(UnreadableInput, match="no pixel profile 'nonsense'"):
        common.pixel_space(torch.zeros(1, 3, 4, 4), Path("x.pt"), OpenOptions(profile="nonsense"))
    with pytest.raises(UnreadableInput, match="1 channels but x"):
        common.pixel_space(torch.zeros(1, 3, 4, 4), Path("x.pt"), OpenOptions(profile="mnist"))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8, torch.float32])
@pytest.mark.parametrize("column", [False, True])
def test_labels_of__hard(dtype, column):
    tensor = torch.tensor([2, 0, 1]).to(dtype)
    if column and dtype == torch.float32:
        return
    hard, soft = common.labels_of(tensor[:, None] if column else tensor, "file")
    assert hard.tolist() == [2, 0, 1] and hard.dtype == np.int64 and soft is None


def test_labels_of__given_kind_wins():
    rows = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    assert common.labels_of(rows, "file")[1].kind == "probabilities"
    assert common.labels_of(rows, "file", "scores")[1].kind == "scores"


@pytest.mark.parametrize(
    "tensor",
    [torch.tensor(1), torch.zeros(2, 3, 4), torch.zeros(3, 0), torch.tensor([0.5, 1.0]), torch.ones(2, dtype=torch.bool)],
)
def test_labels_of__neither(tensor):
    with pytest.raises(UnreadableInput, match="labels have shape"):
        common.labels_of(tensor, "file")


def test_implied_labels():
    assert common.implied_labels(6, 3, 2).tolist() == [0, 0, 1, 1, 2, 2]
    for n, classes, ipc in ((6, 3, 3), (0, 0, 0), (4, -2, -2)):
        with pytest.raises(UnreadableInput, match="--ipc"):
            common.implied_labels(n, classes, ipc)


def test_make_set__class_names():
    def made(path: str, labels: list[int]):
        return common.make_set(Provenance(Path(path), "x", "x", ()), np.array(labels), None, None)

    assert made("runs/CIFAR10/images.pt", [0, 3]).class_names[3] == "cat"
    assert made("runs/other/images.pt", [0, 3]).class_names == ("class 0", "class 1", "class 2", "class 3")
    assert made("runs/CIFAR10/images.pt", [0, 12]).num_classes == 13
    with pytest.raises(UnreadableInput, match="negative"):
        made("x.pt", [-1])
    with pytest.raises(UnreadableInput, match="no samples"):
        made("x.pt", [])


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("res_DSA_CIFAR10_ConvNet_10ipc.pt", "DSA"),
        ("/a/DM/CIFAR10/IPC1/images_best.pt", "DM"),
        ("/runs/datm/images_best.pt", "DATM"),
        ("/runs/DM/res_DC_MNIST.pt", "DC"),
        ("/home/x/images_best.pt", "unknown"),
        ("admin/dcx.pt", "unknown"),
    ],
)
def test_method_of(path, method):
    assert common.method_of(Path(path)) == method


def test_label_tensor__top_k_rows_are_not_one_tensor():
    soft = TopKSoftLabels(torch.ones(2, 1), torch.zeros(2, 1, dtype=torch.int64), 3, "logits")
    opened = common.make_set(Provenance(Path("x.pt"), "x", "x", ()), np.array([0, 0]), soft, None)
    with pytest.raises(ImpossibleRequest, match="not one full row"):
        common.label_tensor(opened)
    with pytest.raises(ImpossibleRequest, match="labels only"):
        common.image_tensor(opened)


def test_label_tensor__hard_labels_win_over_soft_ones_that_disagree():
    """A folder's classes, and a teacher that sees some images otherwise: one tensor cannot hold both."""
    origin, labels = Provenance(Path("/x/set"), "folder", "image folder", ()), np.array([0, 1, 2])
    agreeing = DenseSoftLabels(torch.eye(3) * 5, "logits")
    assert torch.equal(common.label_tensor(common.make_set(origin, labels, agreeing, None)), agreeing.values)
    other = DenseSoftLabels(agreeing.values.flip(0), "logits")
    assert common.label_tensor(common.make_set(origin, labels, other, None)).tolist() == [0, 1, 2]
