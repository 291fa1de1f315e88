from pathlib import Path

import numpy as np
import pytest
import torch

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import GIVEN, OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.export import export
from data.formats import open_set, tensor_files
from data.formats.tensor_names import image_files
from data.tensor_parts import PartsStore
from tests.data.test_torch_files import Exploit, as_torch_loads, same

IMAGES = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2
HARD = torch.arange(10).repeat_interleave(2)
LOGITS = torch.randn(20, 10, generator=torch.Generator().manual_seed(1)) * 5


def saved(folder: Path, **tensors) -> Path:
    """A folder with one torch file for each keyword."""
    folder.mkdir(exist_ok=True)
    for name, value in tensors.items():
        torch.save(value, folder / f"{name}.pt")
    return folder


def exported(opened, tmp_path, decided=None) -> dict[str, torch.Tensor]:
    out = tmp_path / "out"
    out.mkdir()
    written = tensor_files.write(curate(opened, decided or {}), out)
    assert sorted(written) == sorted(out.iterdir())
    return {file.name: as_torch_loads(file) for file in written}


@pytest.mark.parametrize(
    "tensors",
    [
        {"images_best": IMAGES, "labels_best": HARD},
        {"images_best": IMAGES, "labels_best": LOGITS, "lr_best": torch.tensor(0.01)},
        {"images_best": IMAGES.half(), "labels_best": LOGITS.softmax(1).half()},
        {"images": torch.nn.Parameter(IMAGES), "labels": LOGITS.double(), "lr": torch.tensor([0.1], requires_grad=True)},
        {"ema_images_5000": IMAGES.bfloat16(), "ema_labels_5000": HARD[:, None].int()},
        {"CIFAR10_IPC2_normalize_images": IMAGES, "CIFAR10_IPC2_normalize_labels": HARD.float()},
        {"images_DATM_cifar10_2_best": IMAGES, "labels_DATM_cifar10_2_best": LOGITS},
        {"ipc2_random_image_syn": IMAGES, "ipc2_random_label_syn": LOGITS.softmax(1)},
        {"images_best": (IMAGES.clamp(0, 1) * 255).to(torch.uint8), "labels_best": HARD},
    ],
)
def test_round_trip(tmp_path, tensors):
    opened = open_set(saved(tmp_path / "in", **tensors))
    assert opened.provenance.format == "tensors" and len(opened) == 20 and opened.num_classes == 10
    assert {file.stem for file in opened.provenance.files} == set(tensors)
    again = exported(opened, tmp_path)
    assert same(dict(sorted(again.items())), {f"{name}.pt": value.detach() for name, value in sorted(tensors.items())})


@pytest.mark.parametrize(
    ("labels", "kind"), [(HARD, None), (LOGITS, "logits"), (LOGITS.softmax(1), "probabilities"), (LOGITS.abs(), "logits")]
)
def test_read__label_kinds(tmp_path, labels, kind):
    opened = open_set(saved(tmp_path, images_best=IMAGES, labels_best=labels))
    assert (opened.label_sources[GIVEN].kind if kind else None) == kind
    assert np.array_equal(opened.labels, labels.argmax(1) if labels.ndim == 2 else labels)


def test_read__rows_that_are_almost_probabilities(tmp_path):
    opened = open_set(saved(tmp_path, images_best=IMAGES, labels_best=LOGITS.softmax(1) * 0.9))
    assert any("do not sum to 1" in warning for warning in opened.provenance.warnings)


def test_write__pruned_and_relabelled_logits(tmp_path):
    opened = open_set(saved(tmp_path, images_best=IMAGES, labels_best=LOGITS, lr_best=torch.tensor(0.02)))
    new = (int(LOGITS[3].argmax()) + 1) % 10
    again = exported(opened, tmp_path, {0: SampleState(pruned=True), 3: SampleState(label=new)})
    expected = LOGITS.clone()
    top = int(LOGITS[3].argmax())
    expected[3, top], expected[3, new] = LOGITS[3, new], LOGITS[3, top]
    assert torch.equal(again["images_best.pt"], IMAGES[1:]) and torch.equal(again["labels_best.pt"], expected[1:])
    assert torch.equal(again["lr_best.pt"], torch.tensor(0.02))


RUN = {name: IMAGES for name in ("images_100", "images_2000", "images_zca_2000", "ema_images_best", "ema_images_3000")}


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        ([*RUN, "images", "images_best"], "images_best"),
        ([*RUN, "images"], "images"),
        ([*RUN], "images_2000"),
        (["ema_images_best", "ema_images_3000"], "ema_images_best"),
        (["ema_images_10", "ema_images_9"], "ema_images_10"),
        (["images_00100", "images_00200"], "images_00200"),
        (["labels_best", "something_images"], "something_images"),
    ],
)
def test_read__which_file_of_a_run_folder(tmp_path, present, chosen):
    tensors = {name: HARD if "labels" in name else IMAGES for name in present}
    opened = open_set(saved(tmp_path / "CIFAR10", **tensors))
    assert opened.provenance.files[0].stem == chosen
    others = [name for name in present if name != chosen and "zca" not in name and "labels" not in name]
    [warning] = [w for w in opened.provenance.warnings if "was chosen" in w] or [""]
    assert bool(warning) == bool(others) and all(name in warning for name in others) and "zca" not in warning


def test_read__pointing_at_another_file(tmp_path):
    labels = {"labels_best": HARD, "ema_labels_best": HARD.flip(0), "labels_7": HARD.roll(1)}
    saved(tmp_path, images_best=IMAGES, ema_images_best=IMAGES + 1, images_zca_7=IMAGES.clamp(0, 1), **labels)
    ema = open_set(tmp_path / "ema_images_best.pt")
    assert torch.equal(ema.images.stored([0]), IMAGES[:1] + 1) and np.array_equal(ema.labels, HARD.flip(0))
    shown = open_set(tmp_path / "images_zca_7.pt")
    assert shown.pixel_space.name == "unit" and np.array_equal(shown.labels, HARD.roll(1))
    assert open_set(tmp_path / "images_best.pt").pixel_space.name == "zca"


@pytest.mark.parametrize(
    ("name", "shape", "options", "classes", "ipc"),
    [
        ("cifar100", (1000, 3, 4, 4), OpenOptions(), 100, 10),
        ("tinyimagenet", (2000, 1, 2, 2), OpenOptions(), 200, 10),
        ("images_cifar10", (30, 1, 2, 2), OpenOptions(), 10, 3),
        ("ipc5_random_image_syn", (35, 1, 2, 2), OpenOptions(), 7, 5),
        ("images", (35, 1, 2, 2), OpenOptions(ipc=7), 5, 7),
        ("images_cifar10", (30, 1, 2, 2), OpenOptions(ipc=15), 2, 15),
    ],
)
def test_read__implied_labels(tmp_path, name, shape, options, classes, ipc):
    saved(tmp_path / "set", **{name: torch.rand(shape)})
    opened = open_set(tmp_path / "set" / f"{name}.pt", options)
    assert opened.labels.tolist() == [c for c in range(classes) for _ in range(ipc)]
    assert any(f"{classes} classes of {ipc} images" in warning for warning in opened.provenance.warnings)
    assert list(exported(opened, tmp_path)) == [f"{name}.pt"]


@pytest.mark.parametrize("ipc", [None, 0, -3, 7])
def test_read__nothing_implies_the_labels(tmp_path, ipc):
    with pytest.raises(UnreadableInput, match="--ipc"):
        open_set(saved(tmp_path, images=IMAGES), OpenOptions(ipc=ipc))


def test_write__implied_labels_become_a_file_once_they_change(tmp_path):
    saved(tmp_path, cifar100=torch.rand(1000, 1, 2, 2))
    opened = open_set(tmp_path / "cifar100.pt")
    again = exported(opened, tmp_path, {0: SampleState(pruned=True), 5: SampleState(label=42)})
    labels = torch.arange(100).repeat_interleave(10)
    labels[5] = 42
    assert torch.equal(again["cifar100_labels.pt"], labels[1:])
    assert np.array_equal(open_set(tmp_path / "out" / "cifar100.pt").labels, labels[1:])


def parts(tmp_path: Path, labels: torch.Tensor | None = HARD) -> Path:
    tensors = {f"images_best_{i}": IMAGES[4 * i : 4 * i + 4] for i in range(5)}
    if labels is not None:
        tensors |= {f"labels_best_{i}": labels[4 * i : 4 * i + 4] for i in range(5)}
    return saved(tmp_path / "in", **tensors)


def test_parts__read_as_one_and_written_back(tmp_path):
    opened = open_set(parts(tmp_path))
    assert isinstance(opened.images.store, PartsStore) and opened.images.shape == (3, 8, 8)
    ids = np.array([19, 0, 4, 3, 11])
    assert torch.equal(opened.images.stored(ids), IMAGES[ids]) and np.array_equal(opened.labels, HARD)
    taken = opened.images.store.take(ids).take([1, 4])
    assert len(taken) == 2 and torch.equal(taken.read_many([0, 1]), IMAGES[[0, 11]])
    again = exported(opened, tmp_path)
    assert len(again) == 10 and all(same(value, as_torch_loads(tmp_path / "in" / name)) for name, value in again.items())


def test_parts__pruned(tmp_path):
    decided = {i: SampleState(pruned=True) for i in (0, 4, 5, 6, 7)} | {9: SampleState(label=0)}
    again = exported(open_set(parts(tmp_path)), tmp_path, decided)
    assert [len(again[f"images_best_{i}.pt"]) for i in range(5)] == [3, 0, 4, 4, 4]
    assert torch.equal(again["images_best_2.pt"], IMAGES[8:12]) and again["labels_best_2.pt"].tolist() == [4, 0, 5, 5]
    reread = open_set(tmp_path / "out")
    kept = [i for i in range(20) if i not in decided or i == 9]
    assert torch.equal(reread.images.stored(np.arange(15)), IMAGES[kept])


@pytest.mark.parametrize("breakage", ["missing", "shape"])
def test_parts__that_do_not_fit(tmp_path, breakage):
    folder = parts(tmp_path)
    if breakage == "missing":
        (folder / "labels_best_3.pt").unlink()
    else:
        torch.save(torch.randn(4, 3, 9, 9), folder / "images_best_3.pt")
    with pytest.raises(UnreadableInput, match="part"):
        open_set(folder)


@pytest.mark.parametrize("labels", [HARD, LOGITS])
def test_labels__from_another_torch_file(tmp_path, labels):
    saved(tmp_path / "labels", teacher=labels)
    saved(tmp_path / "in", images_best=IMAGES)
    opened = open_set(tmp_path / "in", OpenOptions(labels=str(tmp_path / "labels" / "teacher.pt")))
    assert np.array_equal(opened.labels, labels.argmax(1) if labels.ndim == 2 else labels)
    assert same(exported(opened, tmp_path), {"images_best.pt": IMAGES, "labels_best.pt": labels})


@pytest.mark.parametrize("own", [HARD, LOGITS.flip(0)])
def test_labels__named_ones_do_not_replace_the_sets_own(tmp_path, own):
    saved(tmp_path / "labels", teacher=LOGITS)
    saved(tmp_path / "in", images_best=IMAGES, labels_best=own)
    opened = open_set(tmp_path / "in", OpenOptions(labels=str(tmp_path / "labels" / "teacher.pt")))
    source = opened.label_sources[GIVEN if own is HARD else "teacher"]
    assert torch.equal(source.stored(np.arange(20)), LOGITS)
    assert same(exported(opened, tmp_path), {"images_best.pt": IMAGES, "labels_best.pt": own})


def test_labels__from_a_file_named_as_the_images(tmp_path):
    saved(tmp_path / "labels", cifar10=LOGITS)
    saved(tmp_path / "in", cifar10=IMAGES)
    opened = open_set(tmp_path / "in" / "cifar10.pt", OpenOptions(labels=str(tmp_path / "labels" / "cifar10.pt")))
    assert same(exported(opened, tmp_path), {"cifar10.pt": IMAGES, "cifar10_labels.pt": LOGITS})


def test_labels__from_an_npy_file(tmp_path):
    np.save(tmp_path / "soft.npy", LOGITS.numpy())
    opened = open_set(saved(tmp_path / "in", images_best=IMAGES), OpenOptions(labels=str(tmp_path / "soft.npy")))
    assert np.array_equal(opened.labels, LOGITS.argmax(1))
    (tmp_path / "out").mkdir()
    written = tensor_files.write(curate(opened, {2: SampleState(pruned=True)}), tmp_path / "out")
    assert [file.name for file in written] == ["images_best.pt", "labels_best.pt"]
    assert torch.equal(as_torch_loads(written[1]), LOGITS[[0, 1, *range(3, 20)]])


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"images_best": IMAGES, "labels_best": HARD[:-1]}, "20 images but 19 labels"),
        ({"images_best": IMAGES, "labels_best": LOGITS[:-1]}, "20 images but 19 labels"),
        ({"images_best": IMAGES, "labels_best": LOGITS / 0}, "NaN or infinity"),
        (
            {"images_best": IMAGES / 0, "labels_best": HARD},
            r"images_best.pt: images hold NaN or infinity \(first: sample 0\)",
        ),
        ({"images_best": IMAGES, "labels_best": HARD - 1}, "negative"),
        ({"images_best": IMAGES, "labels_best": HARD + 0.5}, "labels have shape"),
        ({"images_best": LOGITS, "labels_best": HARD}, "images have shape"),
        ({"images_best": IMAGES[:0], "labels_best": HARD[:0]}, "empty"),
        ({"images_best": IMAGES.permute(0, 2, 3, 1), "labels_best": HARD}, "move the channels"),
        ({"images_best": IMAGES.bool(), "labels_best": HARD}, "dtype"),
        ({"images_best": torch.tensor(1.0), "labels_best": HARD}, "single number"),
        ({"images_best": {"state": IMAGES}, "labels_best": HARD}, "holds a dict"),
        ({"images_best": IMAGES, "labels_best": [0, 1]}, "labels_best.pt holds a list"),
        ({"images_best": IMAGES, "labels_best": Exploit(print, "pwned")}, "needs 'builtins.print'"),
        ({"images_best": IMAGES, "labels_best": HARD, "lr_best": torch.tensor([float("nan")])}, "learning rates"),
    ],
)
def test_read__bad_values(tmp_path, tensors, sentence):
    with pytest.raises(UnreadableInput, match=sentence) as caught:
        open_set(saved(tmp_path, **tensors))
    assert "\n" not in str(caught.value)


def test_recognises__folders_and_files(tmp_path):
    (tmp_path / "class0").mkdir()
    (tmp_path / "images.pt").mkdir()
    assert not tensor_files.recognises(tmp_path) and image_files(tmp_path) == []
    with pytest.raises(UnreadableInput, match="no images"):
        open_set(tmp_path, OpenOptions(format="tensors"))
    (tmp_path / "model.pt").write_bytes(b"no torch file")
    assert tensor_files.recognises(tmp_path / "model.pt") and not tensor_files.recognises(tmp_path / "model.bin")
    with pytest.raises(UnreadableInput, match="no torch file"):
        open_set(tmp_path / "model.pt")


def test_write__from_another_format(tmp_path):
    torch.save({"data": [[IMAGES, LOGITS]], "accs_all_exps": {}}, tmp_path / "res.pt")
    again = exported(open_set(tmp_path / "res.pt"), tmp_path)
    assert same(again, {"images_best.pt": IMAGES, "labels_best.pt": LOGITS})


def test_write__images_of_several_sizes(tmp_path):
    from dataclasses import replace

    from data.images import Images, ImageStore

    class Mixed(ImageStore):
        shape, dtype = None, torch.uint8

        def __len__(self):
            return 20

        def read(self, sample_id):
            return torch.zeros(3, 4 + sample_id, 4, dtype=torch.uint8)

        def take(self, ids):
            return self

    opened = open_set(saved(tmp_path, images_best=IMAGES, labels_best=HARD))
    mixed = replace(
        opened,
        images=Images(Mixed(), opened.pixel_space),
        provenance=replace(opened.provenance, format="folder"),
    )
    with pytest.raises(ImpossibleRequest, match="differ in size"):
        tensor_files.write(curate(mixed, {}), tmp_path)


def test_read__lazy(tmp_path):
    """Opening maps the images instead of copying them."""
    path = saved(tmp_path, images_best=torch.zeros(10, 3, 64, 64), labels_best=torch.arange(10)) / "images_best.pt"
    stored = open_set(path).images.store.tensor
    line = next(line for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line)
    low, high = (int(part, 16) for part in line.split()[0].split("-"))
    assert low <= stored.data_ptr() < high


@pytest.mark.parametrize("suffix", ["pt", "npy", "dict"])
def test_labels__kept_elsewhere_come_along_in_an_export(tmp_path, suffix):
    """What is written has to open without --labels again: nothing else ties the two files together."""
    place = tmp_path / "labels" / ("teacher.npy" if suffix == "npy" else "teacher.pt")
    place.parent.mkdir()
    if suffix == "npy":
        np.save(place, LOGITS.numpy())
    else:
        torch.save(LOGITS if suffix == "pt" else {"soft_labels": LOGITS, "epoch": 3}, place)
    saved(tmp_path / "in", ipc2_random_image_syn=IMAGES)
    opened = open_set(tmp_path / "in" / "ipc2_random_image_syn.pt", OpenOptions(labels=str(place)))
    export(curate(opened, {}), [], tmp_path / "out")
    again = open_set(tmp_path / "out")
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(20)), LOGITS)
    assert np.array_equal(again.labels, LOGITS.argmax(1))


def test_write__labels_that_only_a_folders_name_implied(tmp_path):
    """DD-Ranking's CIFAR10/IPC2/images.pt, exported to a folder of another name."""
    (tmp_path / "CIFAR10").mkdir()
    saved(tmp_path / "CIFAR10" / "IPC2", images=IMAGES)
    export(curate(open_set(tmp_path / "CIFAR10" / "IPC2"), {}), [], tmp_path / "out")
    assert same(as_torch_loads(tmp_path / "out" / "images.pt"), IMAGES)
    assert open_set(tmp_path / "out").labels.tolist() == HARD.tolist()


def test_read__the_data_set_that_only_the_file_names(tmp_path):
    saved(tmp_path / "x", images_DATM_CIFAR10_2_best=IMAGES, labels_DATM_CIFAR10_2_best=LOGITS)
    assert open_set(tmp_path / "x").class_names[0] == "airplane"


@pytest.mark.parametrize("name", ["n" * 251, "\u00e9" * 125])
def test_export__names_as_long_as_a_file_system_takes(tmp_path, name):
    saved(tmp_path / "in", **{name: IMAGES})
    export(curate(open_set(tmp_path / "in" / f"{name}.pt", OpenOptions(ipc=2)), {}), [], tmp_path / "out")
    assert same(as_torch_loads(tmp_path / "out" / f"{name}.pt"), IMAGES)
