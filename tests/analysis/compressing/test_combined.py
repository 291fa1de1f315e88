"""Combined sets: what is written opens again as what was made, says of what, and leaves nothing behind where it fails."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.compressing.combined import Wish, combine, combine_and_write, sides_that_fit
from analysis.context import Cancelled
from data.curation import curate
from data.decisions import Decision, states
from data.distilled_set import GIVEN
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.images import Images, TensorStore
from data.pixels import PROFILES
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set
from tests.data.sets import CLASSES, IPC, make


def all_of(opened) -> np.ndarray:
    """The tiles of a plan that keeps everything, in stored order."""
    turn = np.zeros(opened.num_classes, int)
    tile = []
    for label in opened.labels:
        tile.append(turn[label])
        turn[label] += 1
    return np.array(tile)


def wish(tile, factor=2):
    return Wish(np.asarray(tile), factor, "area", {"factor": factor})


def write(opened, tile, out, log=(), factor=2):
    manifest = combine_and_write(curate(opened, states(log)), wish(tile, factor), out, lambda done, message: None)
    return json.loads(manifest.read_text()), open_set(out)


def test_combine__labels_classes_and_means():
    opened = made_set((4, 8, 0))
    combined, repeated = combine(opened, wish(all_of(opened)))
    assert combined.set.labels.tolist() == [0, 1, 1] and repeated == 0
    assert combined.tiles.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    mean = opened.label_sources["teacher 1"].probabilities([4, 5, 6, 7]).mean(dim=0)
    torch.testing.assert_close(combined.set.label_sources["teacher 1"].probabilities([1])[0], mean)
    assert combined.set.class_names == opened.class_names


def test_combine__a_class_that_does_not_fill_its_mosaic_repeats_its_first():
    opened = made_set((5, 4))
    combined, repeated = combine(opened, wish(all_of(opened)))
    assert combined.tiles.tolist() == [[0, 1, 2, 3], [4, 0, 1, 2], [5, 6, 7, 8]] and repeated == 3


@pytest.mark.parametrize(
    "name",
    [
        *("mtt", "datm", "tesla", "tensor-folder", "dc", "idc", "kip", "npz-hard"),
        *("image-folder", "sre2l", "folder-with-soft-labels", "hf-parquet", "webdataset", "safetensors"),
    ],
)
def test_write__every_layout_opens_again_as_it_was_made(tmp_path, name):
    made = make(name, tmp_path / "source")
    opened = open_set(made.path, made.options)
    manifest, again = write(opened, all_of(opened), tmp_path / "out")
    assert again.labels.tolist() == list(range(CLASSES)), f"{IPC} images a class make one mosaic each"
    assert again.class_names == opened.class_names and again.images.shape == opened.images.shape
    combined, _ = combine(opened, wish(all_of(opened)))
    assert manifest["tiles"] == combined.tiles.tolist() and manifest["counts"]["images"] == CLASSES
    ids = np.arange(CLASSES)
    torch.testing.assert_close(again.images.unit(ids), combined.set.images.unit(ids))
    kept = {source for source, labels in opened.label_sources.items() if labels.kind != "scores"}
    assert set(again.label_sources) == kept and again.pixel_space.name == opened.pixel_space.name
    for source, labels in combined.set.label_sources.items():
        assert again.label_sources[source].kind == labels.kind
        torch.testing.assert_close(again.label_sources[source].probabilities(ids), labels.probabilities(ids))


def test_write__tensors_are_float32_and_bytes_are_pictures(tmp_path):
    made = make("mtt", tmp_path / "tensors")
    write(open_set(made.path), all_of(open_set(made.path)), tmp_path / "a")
    images = torch.load(tmp_path / "a" / "images_best.pt")
    assert images.dtype == torch.float32 and torch.load(tmp_path / "a" / "labels_best.pt").dtype == torch.int64
    made = make("image-folder", tmp_path / "pictures")
    opened = open_set(made.path)
    write(opened, all_of(opened), tmp_path / "b")
    (first, *_) = sorted((tmp_path / "b").rglob("*.png"))
    tile = np.asarray(Image.open(first))[:4, :4].astype(float)
    whole = opened.images.store.read(0).permute(1, 2, 0).numpy().astype(float)
    by_hand = whole.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(tile - by_hand).max() <= 0.5, "the mean of two by two pixels, rounded"


def test_write__given_labels_that_favour_another_class_stay_beside_the_hard_ones(tmp_path):
    made = make("datm", tmp_path / "source")
    opened = open_set(made.path)
    against = DenseSoftLabels(opened.label_sources[GIVEN].values.roll(1, dims=1), "logits")
    opened = replace(opened, label_sources={GIVEN: against})
    _, again = write(opened, all_of(opened), tmp_path / "out")
    assert again.labels.tolist() == list(range(CLASSES))
    combined, _ = combine(opened, wish(all_of(opened)))
    ids = np.arange(CLASSES)
    torch.testing.assert_close(
        again.label_sources[GIVEN].probabilities(ids), combined.set.label_sources[GIVEN].probabilities(ids)
    )


def test_write__one_tile_each_is_the_kept_images_bit_for_bit(tmp_path):
    made = make("datm", tmp_path / "source")
    opened = open_set(made.path)
    tile = np.where(np.arange(len(opened)) % IPC == 1, 0, -1)
    _, again = write(opened, tile, tmp_path / "out", factor=1)
    kept = np.flatnonzero(tile == 0)
    assert torch.equal(again.images.stored(np.arange(CLASSES)), made.images[kept])
    assert torch.equal(again.label_sources[GIVEN].stored(np.arange(CLASSES)), made.soft[kept])


def test_write__what_people_pruned_is_left_out_and_their_labels_count(tmp_path):
    made = make("mtt", tmp_path / "source")
    opened = open_set(made.path)
    log = [Decision(0, "prune"), Decision(1, "relabel", label=3)]
    manifest, again = write(opened, all_of(opened), tmp_path / "out", log)
    assert 0 not in np.ravel(manifest["tiles"])
    by_class = dict(zip(again.labels.tolist(), manifest["tiles"], strict=False))
    assert set(by_class[0]) == {2} and 1 in by_class[3], "ids are those of the set as it came"
    assert manifest["classes"][3]["used"] == IPC + 1


def test_write__progress_rises_and_stopping_leaves_nothing_behind(tmp_path):
    opened = open_set(make("mtt", tmp_path / "source").path)
    curated, seen = curate(opened, {}), []
    combine_and_write(curated, wish(all_of(opened)), tmp_path / "out", lambda done, message: seen.append(done))
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1

    for stop_at in (0.0, 0.5, 0.75, 0.95):

        def stop(done, message, stop_at=stop_at):
            if done >= stop_at:
                raise Cancelled

        with pytest.raises(Cancelled):
            combine_and_write(curated, wish(all_of(opened)), tmp_path / "stopped", stop)
        assert not (tmp_path / "stopped").exists() and not list(tmp_path.glob(".*.part"))


def test_write__a_folder_that_is_taken_is_left_alone(tmp_path):
    opened = open_set(make("mtt", tmp_path / "source").path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("here")
    with pytest.raises(ImpossibleRequest, match="not empty"):
        write(opened, all_of(opened), tmp_path / "taken")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine"]
    folder = open_set(make("image-folder", tmp_path / "pictures").path)
    with pytest.raises(ImpossibleRequest, match="inside the set itself"):
        write(folder, all_of(folder), folder.provenance.path / "out")


def test_combine__what_cannot_be_done_is_one_sentence():
    opened = made_set((4, 4), size=8)
    with pytest.raises(ImpossibleRequest, match="no image is kept"):
        combine(opened, wish(np.full(8, -1)))
    with pytest.raises(ImpossibleRequest, match="holds no images"):
        combine(replace(opened, images=None), wish(all_of(opened)))
    tiny = replace(opened, images=Images(TensorStore(torch.rand(8, 3, 2, 2)), PROFILES["unit"]))
    assert "no pixel left" in sides_that_fit(tiny, 3) and sides_that_fit(tiny, 2) == ""


def test_combine__says_what_is_left_out_or_differs():
    opened = made_set((4, 4))
    scores = DenseSoftLabels(torch.randn(8, 2), "scores")
    zca = replace(opened.images, pixel_space=PROFILES["zca"])
    combined, _ = combine(replace(opened, label_sources={GIVEN: scores}, images=zca), wish(all_of(opened)))
    assert not combined.set.label_sources
    assert any("unconstrained scores" in note for note in combined.notes)
    assert any("whitened" in note for note in combined.notes)
