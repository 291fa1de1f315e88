"""Mosaics against tiles resized and placed by hand, and mean labels against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analysis.compressing.mosaics import MosaicStore, group_tiles, mean_labels, parts_of
from data.images import DifferentSizes, TensorStore
from data.soft_labels import DenseSoftLabels, TopKSoftLabels


def images(n=8, channels=3, height=6, width=6, dtype=torch.float32, seed=0):
    made = torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return (made * 60 + 128).clamp(0, 255).to(dtype) if dtype == torch.uint8 else made.to(dtype)


def test_group_tiles__by_place_in_the_class_and_repeated_from_the_first_where_short():
    labels = np.array([1, 0, 0, 0, 0, 0, 1, 2])
    tile = np.array([0, 3, 1, 0, 2, 4, -1, -1])
    tiles, classes = group_tiles(labels, tile, 2)
    assert tiles.tolist() == [[3, 2, 4, 1], [5, 3, 2, 4], [0, 0, 0, 0]] and classes.tolist() == [0, 0, 1]
    assert set(tiles.ravel().tolist()) == set(np.flatnonzero(tile >= 0).tolist())


def test_group_tiles__of_nothing_is_empty():
    tiles, classes = group_tiles(np.array([0, 1]), np.array([-1, -1]), 2)
    assert tiles.shape == (0, 4) and len(classes) == 0


def test_mosaic__area_of_even_sides_is_the_mean_of_two_by_two_pixels():
    stored = images()
    made = MosaicStore(TensorStore(stored), np.array([[5, 1, 0, 7]]), 2, "area").read(0)
    by_hand = torch.zeros(3, 6, 6)
    for place, i in enumerate([5, 1, 0, 7]):
        for y in range(3):
            for x in range(3):
                block = stored[i, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(dim=(1, 2))
                by_hand[:, 3 * (place // 2) + y, 3 * (place % 2) + x] = block
    torch.testing.assert_close(made, by_hand)


@pytest.mark.parametrize("resampling", ["area", "bilinear"])
@pytest.mark.parametrize(("factor", "height", "width"), [(2, 7, 6), (3, 8, 10)])
def test_mosaic__odd_sides_give_the_first_tiles_a_pixel_more(resampling, factor, height, width):
    stored = images(9, height=height, width=width)
    tiles = np.arange(factor**2)[None]
    made = MosaicStore(TensorStore(stored), tiles, factor, resampling).read(0)
    top = 0
    for row, high in enumerate(parts_of(height, factor)):
        left = 0
        for column, wide in enumerate(parts_of(width, factor)):
            how = {"mode": "area"} if resampling == "area" else {"mode": "bilinear", "antialias": True}
            tile = F.interpolate(stored[[row * factor + column]], (high, wide), **how)[0]
            torch.testing.assert_close(made[:, top : top + high, left : left + wide], tile)
            left += wide
        top += high
    assert parts_of(7, 2) == [4, 3] and parts_of(8, 3) == [3, 3, 2] and made.shape == (3, height, width)


def test_mosaic__bytes_are_rounded_bytes():
    stored = images(4, dtype=torch.uint8)
    store = MosaicStore(TensorStore(stored), np.array([[0, 1, 2, 3]]), 2)
    assert store.dtype == torch.uint8 == store.read(0).dtype
    corner = stored[0, :, :2, :2].float().mean(dim=(1, 2)).round().to(torch.uint8)
    assert torch.equal(store.read(0)[:, 0, 0], corner)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_mosaic__other_numbers_come_as_float32(dtype):
    store = MosaicStore(TensorStore(images(4, dtype=dtype)), np.array([[0, 1, 2, 3]]), 2)
    assert store.read(0).dtype == torch.float32 == store.dtype


def test_mosaic__many_at_once_are_each_one_and_are_counted():
    heard = []
    tiles = np.random.default_rng(0).integers(0, 8, (150, 4))
    store = MosaicStore(TensorStore(images()), tiles, 2, "area", heard.append)
    together = store.read_many(np.arange(150))
    assert sum(heard) == 150 and len(heard) == 3
    assert all(torch.equal(together[i], store.read(i)) for i in (0, 63, 64, 149))
    assert torch.equal(store.take([3, 1]).read(1), together[1])
    assert store.read_many([]).shape == (0, 3, 6, 6)


def test_mosaic__one_tile_is_the_image_itself():
    stored = images()
    assert torch.equal(MosaicStore(TensorStore(stored), np.array([[4]]), 1).read(0), stored[4])


def test_mosaic__images_of_several_sizes_are_refused():
    class Ragged(TensorStore):
        def read(self, sample_id):
            return super().read(sample_id)[:, : 3 + sample_id]

        def read_many(self, ids):
            return super(TensorStore, self).read_many(ids)

    with pytest.raises(DifferentSizes):
        MosaicStore(Ragged(images()), np.array([[0, 1, 2, 3]]), 2).read(0)


TILES = np.array([[0, 1, 2, 2], [5, 4, 3, 0]])


def test_mean_labels__of_logits_are_the_logarithm_of_the_mean_distribution():
    values = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)) * 4
    found = mean_labels(DenseSoftLabels(values, "logits"), TILES)
    wanted = torch.stack([values.softmax(dim=1)[row].mean(dim=0) for row in TILES])
    assert found.kind == "logits"
    torch.testing.assert_close(found.probabilities([0, 1]), wanted)


def test_mean_labels__of_probabilities_stay_probabilities():
    values = torch.eye(6)
    found = mean_labels(DenseSoftLabels(values, "probabilities"), TILES)
    assert found.kind == "probabilities"
    assert found.values.tolist() == [[0.25, 0.25, 0.5, 0, 0, 0], [0.25, 0, 0, 0.25, 0.25, 0.25]]


def test_mean_labels__of_the_largest_values_only():
    top = TopKSoftLabels(torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([[0, 2], [2, 1]]), 3, "probabilities")
    assert mean_labels(top, np.array([[0, 1, 1, 1]])).values.tolist() == [[0.1875, 0.375, 0.4375]]


def test_mean_labels__a_single_tile_keeps_its_label_as_stored():
    values = torch.randn(6, 5, dtype=torch.float64)
    assert torch.equal(mean_labels(DenseSoftLabels(values, "logits"), np.array([[3], [1]])).values, values[[3, 1]])
