import numpy as np
import pytest
import torch

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import idc, open_set
from tests.data.test_torch_files import as_torch_loads, same


@pytest.fixture
def value():
    torch.manual_seed(0)
    return [torch.rand(20, 3, 32, 32) * 1.1 - 0.05, torch.arange(10).repeat_interleave(2)]


def saved(folder, value):
    folder.mkdir(exist_ok=True)
    torch.save(value, folder / "data.pt")
    return folder / "data.pt"


def test_round_trip(tmp_path, value):
    path = saved(tmp_path / "in", value)
    opened = open_set(path)
    assert opened.provenance.format == "idc" and opened.per_class.tolist() == [2] * 10
    (tmp_path / "out").mkdir()
    [file] = idc.write(curate(opened, {}), tmp_path / "out")
    assert same(as_torch_loads(file), value) and file.name == "data.pt"


def test_write__pruned_and_relabelled(tmp_path, value):
    value[1] = value[1].int()
    opened = open_set(saved(tmp_path, value).parent)
    (tmp_path / "out").mkdir()
    decided = {0: SampleState(pruned=True), 1: SampleState(label=9)}
    [file] = idc.write(curate(opened, decided), tmp_path / "out")
    labels = value[1].clone()
    labels[1] = 9
    assert same(as_torch_loads(file), [value[0][1:], labels[1:]])


@pytest.mark.parametrize(
    ("folder", "tiles", "sentence"),
    [
        ("conv3in_grad_mse_nd2000_cut_niter2000_factor2_lr0.005_mix_ipc10", 2, "2 x 2 tiles.*4 times"),
        ("resnet10ap_factor3_ipc10", 3, "3 x 3 tiles.*9 times"),
        ("mine", None, "does not say how many.*4 times"),
    ],
)
def test_read__tiles(tmp_path, value, folder, tiles, sentence):
    opened = open_set(saved(tmp_path / folder, value))
    assert opened.extras.get("tiles") == tiles
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(*opened.provenance.warnings)
    assert opened.images.shape == (3, 32, 32)


def test_read__no_tiles(tmp_path, value):
    opened = open_set(saved(tmp_path / "conv3in_grad_l1_factor1_ipc10", value))
    assert opened.provenance.warnings == () and opened.extras["tiles"] == 1


def test_read__pixels_are_unclamped_unit(tmp_path, value):
    value[0][0] = 3.0
    space = open_set(saved(tmp_path / "cifar10", value)).pixel_space
    assert space.name == "unit" and "lie outside" in space.evidence
    assert open_set(tmp_path / "cifar10", OpenOptions(profile="cifar10")).pixel_space.chosen


def test_read__normalised_pixels_contradict_idc(tmp_path, value):
    value[0] = torch.randn(20, 3, 32, 32)
    assert open_set(saved(tmp_path / "cifar10", value)).pixel_space.name == "cifar10"


@pytest.mark.parametrize(
    "other",
    [torch.ones(3), [torch.ones(3)], [torch.ones(2, 2), torch.ones(2)], {"data": 1}, [torch.ones(2, 3, 4, 4), [0, 1]]],
)
def test_recognises__other_structures(tmp_path, other):
    path = saved(tmp_path, other)
    assert not idc.recognises(path)
    with pytest.raises(UnreadableInput, match="no IDC file"):
        open_set(path, OpenOptions(format="idc"))


def test_write__set_without_images(tmp_path, value):
    from dataclasses import replace

    opened = replace(open_set(saved(tmp_path, value)), images=None)
    with pytest.raises(ImpossibleRequest, match="labels only"):
        idc.write(curate(opened, {}), tmp_path)


def test_write__labels_that_outgrow_their_dtype(tmp_path):
    value = [torch.rand(200, 1, 2, 2), torch.arange(200).to(torch.uint8)]
    value[1][0] = 0
    opened = open_set(saved(tmp_path, value))
    assert opened.num_classes == 200
    (tmp_path / "out").mkdir()
    [file] = idc.write(curate(opened, {0: SampleState(label=199)}), tmp_path / "out")
    assert as_torch_loads(file)[1].dtype == torch.uint8 and int(as_torch_loads(file)[1][0]) == 199
    assert np.array_equal(open_set(file).labels[1:], np.arange(1, 200))


def test_read__a_phase_says_that_its_classes_are_its_own(tmp_path, value):
    opened = open_set(saved(tmp_path / "resnet10apin_factor3_ipc10_20_phase3", value))
    assert any("phase 3" in warning and "20 classes" in warning for warning in opened.provenance.warnings)


def test_open_set__a_folder_of_phases_names_them(tmp_path, value):
    (tmp_path / "imagenet100").mkdir()
    for phase in range(2):
        saved(tmp_path / "imagenet100" / f"run_20_phase{phase}", value)
    with pytest.raises(UnreadableInput, match="run_20_phase0, run_20_phase1; point at one"):
        open_set(tmp_path / "imagenet100")
