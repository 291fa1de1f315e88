"""The script that makes the demo set: reproducible, and each of its steps does what it says."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data import open_set
from data.demo.distill import distil, initial_images
from data.demo.fashion import load_splits
from data.demo.make import main, make
from data.demo.networks import Augmentation, features
from data.demo.planting import CONFUSABLE, plant_copies, plant_flips
from data.demo.recipe import Matching, Planted, Recipe, Students, Tail, Teacher
from data.errors import ImpossibleRequest, UnreadableInput

TINY = Recipe(
    images_per_class=5,
    reference=3,
    test=4,
    tail=Tail(head=20, factor=4),
    matching=Matching(iterations=3, real_batch=4, width=8),
    students=Students(seeds=(0, 1), epochs=2, width=8),
    planted=Planted(flips=6, copies=2),
    teachers=(
        Teacher("weak", "linear", epochs=1, learning_rate=0.01),
        Teacher("strong", "convnet", epochs=1, learning_rate=0.01, images_per_class=10),
    ),
)


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def lookalike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files like Fashion-MNIST's, 30 and 8 images a class: a bright bar whose height is the class, with noise."""
    folder = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 8)):
        labels = rng.permutation(np.repeat(np.arange(10), count))
        images = rng.integers(0, 90, (len(labels), 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 3 : 2 * label + 6] += 150
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


def test_make__twice_gives_the_same_bytes_and_another_seed_does_not(lookalike: Path, tmp_path: Path) -> None:
    made = {}
    for name, recipe in (("one", TINY), ("two", TINY), ("other", replace(TINY, seed=1))):
        make(tmp_path / name, lookalike, recipe)
        made[name] = {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
    assert made["one"] == made["two"]
    assert made["one"].keys() == made["other"].keys()
    assert made["one"]["images_best.pt"] != made["other"]["images_best.pt"]


def test_make__writes_a_set_that_opens(lookalike: Path, tmp_path: Path) -> None:
    make(tmp_path / "set", lookalike, TINY)
    opened = open_set(tmp_path / "set")
    assert len(opened) == 50 and opened.class_counts is not None and opened.class_counts[0] == 20
    assert set(opened.label_sources) == {"teacher weak", "teacher strong"}
    recorded = json.loads((tmp_path / "set" / "planted.json").read_text())
    different = np.flatnonzero(opened.labels != np.repeat(np.arange(10), 5))
    assert [flip["sample_id"] for flip in recorded["flips"]] == different.tolist()


def test_main__without_the_images_says_how_to_install_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--out", str(tmp_path / "set"), "--fashion-mnist", str(tmp_path / "nowhere")]) == 2
    said = capsys.readouterr().err
    assert "apt-get install dataset-fashion-mnist" in said and said.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_make__refuses_a_folder_that_is_a_file(lookalike: Path, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("in the way")
    with pytest.raises(UnreadableInput, match="choose another --out"):
        make(tmp_path / "set", lookalike, TINY)


def test_load_splits__share_no_image(lookalike: Path) -> None:
    splits = load_splits(lookalike, TINY)
    parts = [{image.tobytes() for image in part.images} for part in (splits.long_tail, splits.reference, splits.fresh)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 300
    assert splits.reference.per_class().tolist() == [3] * 10
    assert splits.test_part.per_class().tolist() == [4] * 10


def test_load_splits__images_keep_their_labels(lookalike: Path) -> None:
    splits = load_splits(lookalike, TINY)
    for part in (splits.long_tail, splits.reference, splits.fresh, splits.test, splits.test_part):
        rows = part.images[:, 0].mean(axis=2)
        assert np.array_equal([row[3:].reshape(-1)[:25].argmax() // 2 for row in rows > 150], part.labels)


def test_load_splits__too_few_images(lookalike: Path) -> None:
    with pytest.raises(ImpossibleRequest, match=r"class 0 .* has 30 images but the recipe needs 33"):
        load_splits(lookalike, replace(TINY, tail=Tail(head=30)))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"not gzip", lambda b: gzip.compress(b"\0" * 100)])
def test_load_splits__damaged_file(lookalike: Path, tmp_path: Path, damage) -> None:
    for file in lookalike.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    broken = tmp_path / "train-images-idx3-ubyte.gz"
    broken.write_bytes(damage(broken.read_bytes()))
    with pytest.raises(UnreadableInput, match=r"train-images-idx3-ubyte\.gz .* install dataset-fashion-mnist again"):
        load_splits(tmp_path, TINY)


def test_distil__brings_class_means_nearer_in_networks_it_never_saw(lookalike: Path) -> None:
    recipe = replace(TINY, matching=Matching(iterations=30, learning_rate=1.0, real_batch=8, width=8))
    real = load_splits(lookalike, recipe).long_tail
    initial = initial_images(real, recipe).roll(5, dims=0)  # every class starts from the images of another
    matched, losses = distil(initial, real, recipe)
    images, labels = real.tensors()

    @torch.no_grad()
    def distance(synthetic: torch.Tensor) -> float:
        total = 0.0
        for seed in range(5):
            embed = features(8, seed)
            for c in range(10):
                apart = embed(synthetic[c * 5 : c * 5 + 5]).mean(0) - embed(images[labels == c]).mean(0)
                total += float(apart.square().sum())
        return total

    assert len(losses) == 30
    assert distance(matched) < 0.5 * distance(initial)


def test_augmentation__treats_every_image_alike() -> None:
    images = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    together = Augmentation(torch.Generator().manual_seed(5))(images)
    alone = torch.cat([Augmentation(torch.Generator().manual_seed(5))(image[None]) for image in images])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together, images, atol=0.1)


@given(seed=st.integers(0, 10_000), flips=st.integers(0, 40))
def test_plant_flips__as_many_as_asked_and_never_on_a_copy(seed: int, flips: int) -> None:
    recipe = replace(TINY, seed=seed, planted=Planted(flips=flips, copies=2))
    true = torch.arange(10).repeat_interleave(5)
    images, copies = plant_copies(torch.zeros(50, 1, 28, 28), recipe)
    labels, done = plant_flips(true, copies, recipe)
    assert [flip.sample_id for flip in done] == (labels != true).nonzero().flatten().tolist()
    assert len(done) == flips
    assert not {flip.sample_id for flip in done} & {i for copy in copies for i in (copy.sample_id, copy.copy_of)}
    assert all(flip.given_label == CONFUSABLE[flip.true_label] for flip in done if flip.kind == "confusable")
    assert images.flatten(1).any(dim=1).nonzero().flatten().tolist() == sorted(copy.sample_id for copy in copies)
