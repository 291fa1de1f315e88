"""save_image grids: found by their black lines, cut, and put together again."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import companions, grid_png, npz, open_set
from tests.fixtures import fixture

PUBLISHED = [
    "vis_DC_CIFAR10_ConvNet_10ipc_exp3_iter1000.png",
    "vis_DM_CIFAR10_ConvNet_10ipc_exp0_iter20000.png",
    "vis_DSA_CIFAR10_ConvNet_10ipc_exp4_iter1000.png",
]


def tiles(n, side, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def save_grid(path, images, columns, mode="RGB"):
    """A plain re-telling of torchvision's make_grid with padding 2 and black."""
    side = images.shape[1]
    sheet = np.zeros((2 + (side + 2) * -(-len(images) // columns), 2 + (side + 2) * columns, 3), np.uint8)
    for i, image in enumerate(images):
        top, left = 2 + (side + 2) * (i // columns), 2 + (side + 2) * (i % columns)
        sheet[top : top + side, left : left + side] = image
    Image.fromarray(sheet).convert(mode).save(path)
    return path


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_read__published_grids(name):
    path = fixture("distilled", name)
    opened = open_set(path)
    assert opened.images.shape == (3, 32, 32) and opened.images.dtype == torch.uint8
    assert opened.labels.tolist() == [c for c in range(10) for _ in range(10)] and opened.class_names[3] == "cat"
    sheet = pixels(path)
    for row, column in ((0, 0), (3, 7), (9, 9)):
        expected = sheet[2 + 34 * row : 34 + 34 * row, 2 + 34 * column : 34 + 34 * column]
        found = opened.images.store.read(10 * row + column).permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", PUBLISHED)
def test_write__published_grids_come_out_identical(name, tmp_path):
    path = fixture("distilled", name)
    assert grid_png.write(curate(open_set(path), {}), tmp_path) == [tmp_path / name]
    np.testing.assert_array_equal(pixels(tmp_path / name), pixels(path))


@pytest.mark.parametrize(
    ("side", "rows", "columns"), [(32, 10, 1), (32, 4, 3), (28, 10, 5), (64, 3, 2), (16, 6, 6), (8, 2, 9)]
)
def test_read__tile_size_and_rows_are_found(tmp_path, side, rows, columns):
    images = tiles(rows * columns, side)
    opened = open_set(save_grid(tmp_path / "grid.png", images, columns))
    assert opened.images.shape == (3, side, side)
    np.testing.assert_array_equal(opened.images.stored(range(len(opened))).permute(0, 2, 3, 1).numpy(), images)
    assert opened.labels.tolist() == [row for row in range(rows) for _ in range(columns)]


def test_read__mnist_digits_with_black_margins(tmp_path):
    images = np.zeros((30, 28, 28, 1), np.uint8)
    images[:, 4:24, 6:22] = tiles(30, 20, 1)[:, :, 2:18]
    path = save_grid(tmp_path / "vis_DC_MNIST_ConvNet_3ipc.png", np.repeat(images, 3, axis=3), 3)
    opened = open_set(path)
    assert opened.images.shape == (1, 28, 28) and len(opened) == 30 and opened.num_classes == 10
    (written,) = grid_png.write(curate(opened, {}), _new(tmp_path))
    assert written.read_bytes() == path.read_bytes()


def test_read__images_per_class_said_by_hand(tmp_path):
    path = save_grid(tmp_path / "grid.png", tiles(12, 16), 4)
    assert open_set(path, OpenOptions(ipc=6)).labels.tolist() == [0] * 6 + [1] * 6
    for ipc in (5, 0, -1):
        with pytest.raises(UnreadableInput):
            open_set(path, OpenOptions(ipc=ipc))


def test_recognises__no_photo_no_frame_no_night(tmp_path):
    photo = tiles(1, 342)[0]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    photo[:2] = photo[-2:] = photo[:, :2] = photo[:, -2:] = 0
    Image.fromarray(photo).save(tmp_path / "framed.png")
    night = np.zeros((342, 342, 3), np.uint8)
    night[20, 20] = 255
    Image.fromarray(night).save(tmp_path / "night.png")
    Image.fromarray(tiles(1, 342)[0]).save(tmp_path / "photo.jpg")
    assert not any(map(grid_png.recognises, [*tmp_path.iterdir(), tmp_path]))


def _new(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    return out


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_write__pruned_and_relabelled_reads_back(tmp_path, mode):
    path = save_grid(tmp_path / "grid.png", tiles(12, 16), 3, mode)
    original = open_set(path)
    decided = {0: SampleState(pruned=True), 4: SampleState(label=3), **{i: SampleState(pruned=True) for i in (9, 10)}}
    curated = curate(original, decided)
    out = _new(tmp_path)
    picture, listing = grid_png.write(curated, out)
    assert [picture.name, listing.name] == ["grid.png", "grid.labels.csv"] and Image.open(picture).mode == mode
    found = open_set(picture)
    assert found.labels.tolist() == curated.set.labels.tolist()
    everything = range(len(found))
    assert torch.equal(found.images.stored(everything), original.images.stored(curated.kept))
    assert [int(line.split(",")[2]) for line in listing.read_text().splitlines()[1:]] == curated.kept.tolist()
    assert listing in found.provenance.files
    again = tmp_path / "again"
    again.mkdir()
    assert [p.read_bytes() for p in grid_png.write(curate(found, {}), again)] == [p.read_bytes() for p in (picture, listing)]


def test_write__a_class_without_images_keeps_its_row(tmp_path):
    original = open_set(save_grid(tmp_path / "grid.png", tiles(6, 16), 2))
    curated = curate(original, {i: SampleState(pruned=True) for i in (2, 3, 4, 5)})
    picture, _ = grid_png.write(curated, _new(tmp_path))
    assert Image.open(picture).size == (38, 56)
    assert torch.equal(open_set(picture).images.stored([0, 1]), original.images.stored([0, 1]))


@pytest.mark.parametrize("channels", [1, 3])
def test_write__from_floats_is_what_as_written_says(tmp_path, channels):
    images = np.random.default_rng(0).normal(0.5, 0.5, (6, channels, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "floats.npz", images=images, labels=[0, 1, 0, 1, 0, 1])
    curated = curate(open_set(tmp_path / "floats.npz", OpenOptions(profile="unit")), {})
    written = grid_png.as_written(curated)
    picture, _ = grid_png.write(curated, _new(tmp_path))
    found = open_set(picture)
    assert torch.equal(found.images.stored(range(6)), written.set.images.stored(range(6)))
    expected = (images.clip(0, 1) * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(found.images.stored(range(6)).numpy(), expected)
    assert companions.write(written, tmp_path / "out") == []


def test_write__oblong_images_have_no_grid(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 16, 20), np.float32), labels=[0, 0, 1, 1])
    with pytest.raises(ImpossibleRequest, match="oblong"):
        grid_png.write(curate(open_set(tmp_path / "a.npz"), {}), _new(tmp_path))
    np.savez(tmp_path / "b.npz", softlabels=np.full((4, 2), 0.5))
    with pytest.raises(ImpossibleRequest, match="labels only"):
        grid_png.write(curate(npz.read(tmp_path / "b.npz", OpenOptions()), {}), tmp_path / "out")


def png(width, height, data=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(34002, 34002), (2**31 - 2, 2**31 - 2)])
def test_read__huge_dimensions(tmp_path, size):
    (tmp_path / "huge.png").write_bytes(png(*size))
    with pytest.raises(UnreadableInput, match=r"huge\.png"):
        open_set(tmp_path / "huge.png")


def test_read__truncated(tmp_path):
    path = save_grid(tmp_path / "grid.png", tiles(12, 16), 3)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UnreadableInput, match=r"grid\.png cannot be read as a picture"):
        open_set(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "row,column\n1,1\n",
        "row,column,original_id,label,tile_size\n",
        "row,column,original_id,label,tile_size\n9,0,0,0,16\n",
        "row,column,original_id,label,tile_size\n-1,0,0,0,16\n",
        "row,column,original_id,label,tile_size\n0,0,0,0,15\n",
        "row,column,original_id,label,tile_size\n0,0,0,0,-2\n",
        "row,column,original_id,label,tile_size\n0,0,0,99999999999999999999,16\n",
        "row,column,original_id,label,tile_size\n0,0,0,cat,16\n",
    ],
)
def test_read__broken_listing(tmp_path, text):
    path = save_grid(tmp_path / "grid.png", tiles(12, 16), 3)
    (tmp_path / "grid.labels.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=r"grid\.labels\.csv"):
        open_set(path)
