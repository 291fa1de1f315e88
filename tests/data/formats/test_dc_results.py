import numpy as np
import pytest
import torch

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import OpenOptions
from data.errors import UnreadableInput
from data.formats import dc_results, open_set
from tests.data.test_torch_files import as_torch_loads, same
from tests.fixtures import fixture


def result(repeats: int = 3, classes: int = 4, ipc: int = 2) -> dict:
    labels = torch.arange(classes).repeat_interleave(ipc)
    data = [[torch.randn(classes * ipc, 3, 8, 8), labels.clone()] for _ in range(repeats)]
    return {"data": data, "accs_all_exps": {"ConvNet": [np.float64(0.25), np.float64(0.5)]}}


def saved(tmp_path, value, name="res_DSA_CIFAR10_ConvNet_2ipc.pt", **options):
    torch.save(value, tmp_path / name, **options)
    return tmp_path / name


def exported(opened, tmp_path, decided=None):
    out = tmp_path / "out"
    out.mkdir()
    [file] = dc_results.write(curate(opened, decided or {}), out)
    return as_torch_loads(file), file


@pytest.mark.parametrize("name", ["DC_CIFAR100_ConvNet_1ipc.pt", "res_DC_MNIST_ConvNet_1ipc.pt"])
def test_published_file__unchanged(tmp_path, name):
    path = fixture("distilled", name)
    opened = open_set(path)
    assert (opened.provenance.format, opened.provenance.method) == ("dc", "DC")
    again, file = exported(opened, tmp_path)
    assert same(again, as_torch_loads(path)) and file.name == name


@pytest.mark.parametrize(
    ("name", "n", "repeats", "space"),
    [("DC_CIFAR100_ConvNet_1ipc.pt", 100, 1, "cifar100"), ("res_DC_MNIST_ConvNet_1ipc.pt", 10, 1, "mnist")],
)
def test_published_file__facts(name, n, repeats, space):
    opened = open_set(fixture("distilled", name))
    assert len(opened) == opened.num_classes == n and len(opened.extras["structure"]["data"]) == repeats
    assert opened.pixel_space.name == space and not opened.pixel_space.chosen


def test_published_file__pruned_and_relabelled(tmp_path):
    path = fixture("distilled", "DC_CIFAR100_ConvNet_1ipc.pt")
    decided = {3: SampleState(pruned=True), 7: SampleState(label=50), 99: SampleState(pruned=True)}
    again, _ = exported(open_set(path), tmp_path, decided)
    images, labels = as_torch_loads(path)["data"][0]
    kept = [i for i in range(100) if i not in (3, 99)]
    labels[7] = 50
    assert torch.equal(again["data"][0][0], images[kept]) and torch.equal(again["data"][0][1], labels[kept])


@pytest.mark.parametrize("name", ["anything.pt", "result.pth.tar", "noname"])
def test_recognises__by_structure(tmp_path, name):
    assert dc_results.recognises(saved(tmp_path, result(), name))


@pytest.mark.parametrize("value", [torch.ones(2), {"data": []}, {"data": [torch.ones(2)]}, [], {"a": 1}, None])
def test_recognises__other_structures(tmp_path, value):
    assert not dc_results.recognises(saved(tmp_path, value))


@pytest.mark.parametrize("repeat", [None, 0, 2])
def test_read__repeats(tmp_path, repeat):
    value = result()
    opened = open_set(saved(tmp_path, value), OpenOptions(repeat=repeat))
    images, labels = value["data"][repeat or 0]
    assert torch.equal(opened.images.stored(np.arange(8)), images) and opened.labels.tolist() == labels.tolist()
    assert any("3 repeats" in warning and "--repeat" in warning for warning in opened.provenance.warnings)
    assert opened.provenance.method == "DSA"


@pytest.mark.parametrize("repeat", [3, -1])
def test_read__no_such_repeat(tmp_path, repeat):
    with pytest.raises(UnreadableInput, match="3 repeats, 0 to 2"):
        open_set(saved(tmp_path, result()), OpenOptions(repeat=repeat))


def test_write__only_the_chosen_repeat(tmp_path):
    value = result()
    opened = open_set(saved(tmp_path, value), OpenOptions(repeat=1))
    again, _ = exported(opened, tmp_path, {0: SampleState(pruned=True)})
    assert same(again["data"][0], value["data"][0]) and same(again["data"][2], value["data"][2])
    assert torch.equal(again["data"][1][0], value["data"][1][0][1:])
    assert same(again["accs_all_exps"], value["accs_all_exps"])


def test_read__continual_learning_steps(tmp_path):
    growing = result()
    growing["data"][1] = [torch.randn(4, 3, 8, 8), torch.tensor([4, 4, 5, 5])]
    named = saved(tmp_path, result(), "cl_DM_CIFAR100_ConvNet_20ipc_5steps_seed0.pt")
    for path in (saved(tmp_path, growing), named):
        [warning] = open_set(path).provenance.warnings
        assert "continual-learning" in warning and "step 0" in warning
    [warning] = open_set(saved(tmp_path, result())).provenance.warnings
    assert "continual" not in warning


def test_read__glad_noise(tmp_path):
    (tmp_path / "glad").mkdir()
    path = saved(tmp_path / "glad", result(1), "res_DM_imagenet-birds_ConvNet_1ipc.pt")
    assert any("noise" in warning for warning in open_set(path).provenance.warnings)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ([torch.randn(4, 3, 8), torch.arange(4)], "shape"),
        ([torch.randn(0, 3, 8, 8), torch.arange(0)], "empty"),
        ([torch.randn(4, 3, 8, 8), torch.arange(5)], "4 images but 5 labels"),
        ([torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, -1])], "negative"),
        ([torch.randn(4, 3, 8, 8), torch.ones(4, 2, 2)], "labels have shape"),
        ([torch.randn(4, 3, 8, 8), torch.tensor(3)], "labels have shape"),
        ([torch.full((4, 3, 8, 8), float("nan")), torch.arange(4)], "NaN.*sample 0"),
        ([torch.zeros(4, 3, 8, 8, dtype=torch.int64), torch.arange(4)], "dtype"),
        ([torch.randn(4, 8, 8, 3), torch.arange(4)], "channels"),
        ([torch.randn(4, 3, 8, 8), torch.tensor([[0.0, float("inf")]] * 4)], "infinity"),
        ([torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 10**12])], "out of range"),
    ],
)
def test_read__bad_values(tmp_path, pair, sentence):
    with pytest.raises(UnreadableInput, match=sentence) as caught:
        open_set(saved(tmp_path, {"data": [pair]}))
    assert str(caught.value).count("\n") == 0


def test_read__told_that_it_is_dc(tmp_path):
    with pytest.raises(UnreadableInput, match="no DC result file"):
        open_set(saved(tmp_path, torch.ones(3)), OpenOptions(format="dc"))
    broken = result()
    broken["data"][1] = "nothing"
    with pytest.raises(UnreadableInput, match="repeat 1 is not a pair"):
        open_set(saved(tmp_path, broken), OpenOptions(repeat=1))


def test_write__from_another_format(tmp_path):
    from data.formats import idc

    torch.save([torch.rand(4, 3, 8, 8), torch.arange(4)], tmp_path / "data.pt")
    opened = idc.read(tmp_path / "data.pt", OpenOptions())
    again, _ = exported(opened, tmp_path)
    assert set(again) == {"data", "accs_all_exps"} and again["accs_all_exps"] == {}
    assert torch.equal(again["data"][0][0], opened.images.stored(np.arange(4)))
    assert again["data"][0][1].tolist() == [0, 1, 2, 3] and again["data"][0][1].dtype == torch.int64


def test_read__a_continual_learning_step_has_all_classes_of_its_data_set(tmp_path):
    """CL_DM.py's step holds 20 of CIFAR-100's classes, rarely the highest one."""
    path = tmp_path / "cl_DM_CIFAR100_ConvNet_1ipc_5steps_seed0.pt"
    torch.save({"data": [[torch.randn(20, 3, 32, 32), torch.arange(20) * 2 + i] for i in range(2)]}, path)
    assert open_set(path).num_classes == 100
