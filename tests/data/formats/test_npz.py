"""KIP's archives and others: what is read, and what comes back out."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import GIVEN, OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import FORMATS, npz, open_set
from tests.fixtures import fixture

N, C = 6, 3
LABELS = np.repeat(np.arange(C), 2)
RANDOM = np.random.default_rng(0)
NHWC = RANDOM.normal(0, 2, (N, 5, 7, 3)).astype(np.float32)


def save(tmp_path, name="a.npz", compressed=False, **arrays):
    (np.savez_compressed if compressed else np.savez)(tmp_path / name, **arrays)
    return tmp_path / name


def rewritten(path, decided, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    files = npz.write(curate(open_set(path), decided), out)
    assert files == [out / path.name]
    return np.load(files[0], allow_pickle=False)


def test_read__kip(tmp_path):
    labels = np.eye(C)[LABELS] - 1 / C
    path = save(tmp_path, "kip_cifar10_ConvNet3_ssize6_zca_nol_noaug_ckpt1000.npz", images=NHWC, labels=labels)
    opened = open_set(path)
    assert opened.provenance.method == "KIP" and opened.provenance.format == "npz"
    assert opened.labels.tolist() == LABELS.tolist()
    assert opened.label_sources[GIVEN].kind == "scores" and opened.label_sources[GIVEN].dtype == torch.float64
    assert opened.pixel_space.kind == "zca"
    assert torch.equal(opened.images.stored(range(N)), torch.from_numpy(NHWC.transpose(0, 3, 1, 2)))
    assert any("NHWC" in warning for warning in opened.provenance.warnings)


def test_read__a_profile_beats_the_name(tmp_path):
    path = save(tmp_path, "kip_zca.npz", images=NHWC, labels=np.eye(C)[LABELS])
    assert open_set(path, OpenOptions(profile="cifar10")).pixel_space.name == "cifar10"


@pytest.mark.parametrize("images", ["images", "X", "data", "image_syn"])
@pytest.mark.parametrize("labels", ["labels", "y", "targets", "label_syn"])
def test_read__common_keys(tmp_path, images, labels):
    opened = open_set(save(tmp_path, **{images: NHWC, labels: LABELS}))
    assert opened.labels.tolist() == LABELS.tolist() and opened.images.shape == (3, 5, 7)


def test_read__no_distillations_analysis_files(tmp_path):
    soft = np.random.default_rng(1).dirichlet(np.ones(C), N).astype(np.float32)
    opened = open_set(save(tmp_path, "label_analysis_5.npz", softlabels=soft, hardlabels=LABELS))
    assert opened.images is None and opened.labels.tolist() == LABELS.tolist()
    assert opened.label_sources[GIVEN].kind == "probabilities"
    assert torch.equal(opened.label_sources[GIVEN].stored(range(N)), torch.from_numpy(soft))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 8, 9, 3), (3, 8, 9)),
        ((6, 3, 8, 9), (3, 8, 9)),
        ((6, 8, 9), (1, 8, 9)),
        ((6, 1, 8, 8), (1, 8, 8)),
        ((6, 3, 9, 1), (1, 3, 9)),
    ],
)
def test_read__axes(tmp_path, shape, expected):
    opened = open_set(save(tmp_path, x=np.zeros(shape, np.uint8), y=LABELS))
    assert opened.images.shape == expected
    assert str(shape) in opened.provenance.warnings[0]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "u1"])
def test_write__decided_rows_change_and_everything_else_stays(tmp_path, compressed, order, dtype):
    images = np.asarray(np.abs(NHWC * 20).astype(dtype), order=order)
    others = {"names": np.array(["a", "b", "c"]), "weights": np.arange(N * 2.0).reshape(N, 2), "step": np.array(7)}
    path = save(
        tmp_path, compressed=compressed, **{"names": others["names"], "X": images, "y": LABELS.astype("u1"), **others}
    )
    found = rewritten(path, {0: SampleState(pruned=True), 5: SampleState(label=0)}, tmp_path)
    assert list(found) == ["names", "X", "y", "weights", "step"]
    assert found["X"].dtype == dtype and found["y"].dtype == "u1"
    np.testing.assert_array_equal(found["X"], images[1:])
    assert found["y"].tolist() == [0, 1, 1, 2, 0]
    np.testing.assert_array_equal(found["weights"], others["weights"][1:])
    assert found["names"].tolist() == ["a", "b", "c"] and found["step"] == 7


def test_write__nothing_decided_gives_the_same_bytes(tmp_path):
    path = save(tmp_path, compressed=True, X=NHWC, y=LABELS, note=np.array("hello"))
    (tmp_path / "out").mkdir()
    npz.write(curate(open_set(path), {}), tmp_path / "out")
    assert (tmp_path / "out" / "a.npz").read_bytes() == path.read_bytes()


def test_write__relabelled_soft_rows_exchange_two_values(tmp_path):
    soft = np.array([[5.0, 1, 0]] * N, ">f4")
    found = rewritten(save(tmp_path, images=NHWC, labels=soft), {2: SampleState(label=1)}, tmp_path)
    assert found["labels"].dtype == ">f4"
    assert found["labels"].tolist() == [[5, 1, 0]] * 2 + [[1, 5, 0]] + [[5, 1, 0]] * 3


def test_write__label_too_large_for_the_files_dtype(tmp_path):
    path = save(tmp_path, x=np.zeros((301, 1, 8, 8), np.uint8), y=np.r_[np.arange(256), np.zeros(45)].astype(np.uint8))
    opened = replace(open_set(path), class_names=tuple(f"class {i}" for i in range(301)))
    curated = curate(opened, {0: SampleState(label=300)})
    with pytest.raises(ImpossibleRequest, match="does not fit"):
        npz.write(curated, tmp_path / "nowhere")


def test_write__from_another_format(tmp_path):
    source = fixture("learned-soft-labels", "sldd-sst5-step000.txt")
    shutil.copy(source, tmp_path / "labels.txt")
    opened = open_set(tmp_path / "labels.txt")
    (file,) = npz.write(curate(opened, {}), tmp_path)
    found = open_set(file)
    assert torch.equal(found.label_sources[GIVEN].stored(range(100)), opened.label_sources[GIVEN].stored(range(100)))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": NHWC}, "no labels"),
        ({"labels": LABELS}, None),
        ({}, "no labels"),
        ({"images": NHWC[:4], "labels": LABELS}, "4 images but 6 labels"),
        ({"images": NHWC[0, 0], "labels": LABELS}, "shape"),
        ({"images": np.zeros((6, 4, 4, 4)), "labels": LABELS}, "neither 1 nor 3 channels"),
        ({"images": np.where(NHWC > 5, np.nan, NHWC), "labels": LABELS}, "NaN"),
        ({"images": NHWC, "labels": np.array(["a"] * N)}, "dtype"),
        ({"images": NHWC, "labels": np.array(3)}, "no labels"),
        ({"images": NHWC, "labels": -LABELS}, "negative"),
        ({"images": NHWC, "labels": np.array([], int)}, "no labels"),
        ({"images": NHWC.astype(complex), "labels": LABELS}, "dtype"),
        ({"images": NHWC, "labels": np.full((N, C), np.inf)}, "infinity"),
    ],
)
def test_read__wrong_contents_end_in_one_sentence(tmp_path, arrays, said):
    path = save(tmp_path, **arrays)
    if said is None:
        assert open_set(path).images is None
        return
    with pytest.raises(UnreadableInput, match=said) as raised:
        open_set(path)
    assert "\n" not in str(raised.value)


def test_recognises__by_magic_bytes_as_well(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    assert not npz.recognises(tmp_path / "text.npz") and not npz.recognises(tmp_path)
    assert FORMATS["npz"] is npz


def test_write__one_image_a_class_leaves_what_counts_classes_alone(tmp_path):
    path = save(tmp_path, images=NHWC[:C], labels=np.arange(C), names=np.array(["a", "b", "c"]))
    found = rewritten(path, {0: SampleState(pruned=True)}, tmp_path)
    assert found["names"].tolist() == ["a", "b", "c"] and len(found["images"]) == 2
