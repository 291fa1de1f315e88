import numpy as np
import pytest
import torch

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import GIVEN, OpenOptions
from data.errors import UnreadableInput
from data.formats import dd_results, open_set
from tests.data.test_torch_files import as_torch_loads, same


def steps(labels: torch.Tensor, count: int = 3, shape=(1, 28, 28)) -> list:
    torch.manual_seed(1)
    return [(torch.randn(len(labels), *shape), labels.clone(), torch.rand(1)) for _ in range(count)]


def saved(tmp_path, value, **options):
    torch.save(value, tmp_path / "results.pth", **options)
    return tmp_path / "results.pth"


def exported(opened, tmp_path, decided=None):
    (tmp_path / "out").mkdir()
    [file] = dd_results.write(curate(opened, decided or {}), tmp_path / "out")
    assert file.name == "results.pth"
    return as_torch_loads(file)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    "labels",
    [torch.arange(10), torch.randn(10, 10), torch.rand(10, 1), torch.randn(10), torch.softmax(torch.randn(10, 4), 1)],
)
def test_round_trip(tmp_path, labels, new):
    value = steps(labels)
    opened = open_set(saved(tmp_path, value, _use_new_zipfile_serialization=new), OpenOptions(repeat=2))
    assert opened.provenance.format == "dd"
    assert same(exported(opened, tmp_path), value)


@pytest.mark.parametrize(
    ("labels", "kind", "method"),
    [
        (torch.arange(6), None, "DD"),
        (torch.tensor([[3.14, -0.13, 0.2]] * 6), "scores", "SLDD"),
        (torch.tensor([[0.5, 0.25, 0.25]] * 6), "probabilities", "SLDD"),
        (torch.tensor([0.5, -0.2, 1.0, 0.1, 0.1, 3.0]), "scores", "SLDD"),
        (torch.tensor([[1.0, 0.0], [2.0, 0.0]] * 3), "scores", "SLDD"),
    ],
)
def test_read__label_kinds(tmp_path, labels, kind, method):
    opened = open_set(saved(tmp_path, steps(labels)))
    assert opened.provenance.method == method
    assert (opened.label_sources[GIVEN].kind if kind else None) == kind and bool(opened.label_sources) == bool(kind)


def test_read__steps(tmp_path):
    value = steps(torch.arange(10))
    opened = open_set(saved(tmp_path, value).parent)
    assert torch.equal(opened.images.stored(np.arange(10)), value[0][0])
    assert any("3 steps" in warning and "--repeat" in warning for warning in opened.provenance.warnings)
    with pytest.raises(UnreadableInput, match="3 steps, 0 to 2"):
        open_set(tmp_path, OpenOptions(repeat=3))


def test_write__only_the_chosen_step(tmp_path):
    value = steps(torch.arange(10))
    opened = open_set(saved(tmp_path, value), OpenOptions(repeat=1))
    again = exported(opened, tmp_path, {0: SampleState(pruned=True), 5: SampleState(label=6)})
    labels = value[1][1].clone()
    labels[5] = 6
    assert same([again[0], again[2]], [value[0], value[2]])
    assert same(again[1], (value[1][0][1:], labels[1:], value[1][2]))


def test_write__relabelled_scores(tmp_path):
    value = steps(torch.tensor([[3.0, -1.0, 0.5], [0.0, 1.0, 2.0]]), 1)
    again = exported(open_set(saved(tmp_path, value)), tmp_path, {0: SampleState(label=2)})
    assert torch.equal(again[0][1], torch.tensor([[0.5, -1.0, 3.0], [0.0, 1.0, 2.0]]))


def test_read__text_embeddings_have_no_images(tmp_path):
    value = steps(torch.randn(6, 4), 2, shape=(30, 100))
    opened = open_set(saved(tmp_path, value))
    assert opened.images is None and any("no image" in warning for warning in opened.provenance.warnings)
    again = exported(opened, tmp_path, {1: SampleState(pruned=True)})
    data, label, rate = value[0]
    kept = [0, 2, 3, 4, 5]
    assert same(again[0], (data[kept], label[kept], rate))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([(torch.randn(4, 1, 8, 8), torch.arange(5), torch.ones(1))], "4 samples but 5 labels"),
        ([(torch.randn(4, 30, 5), torch.arange(5), torch.ones(1))], "4 samples but 5 labels"),
        ([(torch.full((4, 30, 5), float("inf")), torch.arange(4), torch.ones(1))], "infinity"),
        ([(torch.randn(2, 1, 8, 8), torch.full((2, 3), float("nan")), torch.ones(1))], "NaN"),
        ([(torch.randn(2, 1, 8, 8), torch.zeros(2, 0), torch.ones(1))], "labels have shape"),
    ],
)
def test_read__bad_values(tmp_path, value, sentence):
    with pytest.raises(UnreadableInput, match=sentence):
        open_set(saved(tmp_path, value))


@pytest.mark.parametrize(
    "value", [[], torch.ones(2), [(torch.ones(2), torch.ones(2))], [(torch.ones(1, 1), torch.ones(1), 0.1)]]
)
def test_recognises__other_structures(tmp_path, value):
    path = saved(tmp_path, value)
    assert not dd_results.recognises(path)
    with pytest.raises(UnreadableInput, match="no DD result file"):
        open_set(path, OpenOptions(format="dd"))


def test_write__from_another_format(tmp_path):
    torch.save([torch.rand(4, 3, 8, 8), torch.arange(4)], tmp_path / "data.pt")
    [(images, labels, rate)] = exported(open_set(tmp_path / "data.pt"), tmp_path)
    assert images.shape == (4, 3, 8, 8) and labels.tolist() == [0, 1, 2, 3] and rate.ndim == 0
    assert open_set(tmp_path / "out").provenance.format == "dd"
