"""Sprite sheets, decoded again and compared with the pixels they were made of."""

from __future__ import annotations

import base64
import gc
import io
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from app.images import EMPTY, PAPER, Kept, Sprite, large, prepare_sheet, sprite_sheet
from data.images import Images, ImageStore, TensorStore
from data.pixels import PROFILES


@dataclass(frozen=True, eq=False)
class MixedStore(ImageStore):
    """Images of different sizes, some of which cannot be decoded (None)."""

    pictures: tuple[torch.Tensor | None, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def shape(self) -> None:
        return None

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8

    def read(self, sample_id: int) -> torch.Tensor:
        picture = self.pictures[sample_id]
        if picture is None:
            raise SyntaxError("broken PNG")
        return picture

    def take(self, ids) -> MixedStore:
        return MixedStore(tuple(self.pictures[i] for i in ids))


def random_images(n: int, px: int, channels: int = 3) -> Images:
    pixels = torch.randint(0, 256, (n, channels, px, px), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Images(TensorStore(pixels), PROFILES["uint8"])


def mixed_images(*pictures: torch.Tensor | None) -> Images:
    return Images(MixedStore(pictures), PROFILES["uint8"])


def flat(height: int, width: int, value: int) -> torch.Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def decoded(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB"))


def tile(sprite: Sprite, place: int) -> np.ndarray:
    top, left = place // sprite.columns * sprite.tile_h, place % sprite.columns * sprite.tile_w
    return decoded(sprite.uri)[top : top + sprite.tile_h, left : left + sprite.tile_w]


@pytest.mark.parametrize(("n", "channels"), [(1, 3), (7, 3), (10, 1)])
def test_sprite_sheet__small_tiles_lose_nothing(n: int, channels: int):
    images = random_images(n, 32, channels)
    ids = list(range(n))[::-1]
    sprite = sprite_sheet(images, ids)
    assert (sprite.n, sprite.tile_w, sprite.tile_h, sprite.unreadable) == (n, 32, 32, ())
    assert sprite.columns * sprite.rows >= n
    for place, i in enumerate(ids):
        np.testing.assert_array_equal(tile(sprite, place), images.viewable([i])[0])


def test_sprite_sheet__large_images_are_averaged_over_areas():
    images = random_images(3, 512)
    sprite = sprite_sheet(images, [0, 1, 2], most_px=64)
    assert (sprite.tile_w, sprite.tile_h) == (64, 64)
    averaged = images.viewable([2])[0].reshape(64, 8, 64, 8, 3).astype(float).mean((1, 3))
    assert np.abs(tile(sprite, 2) - averaged).max() <= 1


def test_sprite_sheet__medium_tiles_are_jpeg_and_close():
    ramp = torch.arange(100, dtype=torch.uint8).expand(3, 100, 100).contiguous()
    sprite = sprite_sheet(mixed_images(ramp, ramp), [0, 1])
    assert sprite.uri.startswith("data:image/jpeg")
    assert np.abs(tile(sprite, 1).astype(int) - ramp.permute(1, 2, 0).numpy()).mean() < 3


def test_sprite_sheet__other_shapes_are_centred_on_grey():
    sprite = sprite_sheet(mixed_images(flat(40, 20, 10), flat(10, 30, 200)), [0, 1])
    assert (sprite.tile_w, sprite.tile_h) == (30, 40)
    second = tile(sprite, 1)
    assert (second[15:25] == 200).all() and (second[:15] == PAPER).all() and (second[25:] == PAPER).all()
    first = tile(sprite, 0)
    assert (first[:, 5:25] == 10).all() and (first[:, :5] == PAPER).all() and (first[:, 25:] == PAPER).all()


def test_sprite_sheet__one_broken_image_hides_no_other():
    sprite = sprite_sheet(mixed_images(flat(24, 24, 10), None, flat(24, 24, 90)), [2, 1, 0])
    assert sprite.unreadable == (1,)
    assert (tile(sprite, 0) == 90).all() and (tile(sprite, 2) == 10).all()
    assert len(np.unique(tile(sprite, 1).reshape(-1, 3), axis=0)) > 1


def test_sprite_sheet__all_broken():
    sprite = sprite_sheet(mixed_images(None, None), [0, 1])
    assert sprite.unreadable == (0, 1)
    assert decoded(sprite.uri).shape[:2] == (sprite.rows * sprite.tile_h, sprite.columns * sprite.tile_w)


def test_sprite_sheet__nothing_to_show():
    assert sprite_sheet(random_images(2, 8), []) == EMPTY


@pytest.mark.parametrize("wrong", [2, -1])
def test_sprite_sheet__id_outside_the_set(wrong: int):
    with pytest.raises(IndexError, match="of 2"):
        sprite_sheet(random_images(2, 8), [0, wrong])


def test_sprite_sheet__made_once_for_the_same_request_only():
    images = random_images(4, 8)
    first = sprite_sheet(images, [0, 1])
    assert sprite_sheet(images, np.array([0, 1])) is first
    assert sprite_sheet(images, [1, 0]).uri != first.uri
    assert sprite_sheet(images, [0, 1], contrast="stretched") is not first
    inverted = Images(TensorStore(255 - images.store.tensor), images.pixel_space)
    assert sprite_sheet(inverted, [0, 1]).uri != first.uri


def test_sprite_sheet__closed_sets_are_let_go():
    images = random_images(4, 8)
    sprite_sheet(images, [0])
    alive = weakref.ref(images)
    del images
    gc.collect()
    assert alive() is None


def test_sprite_sheet__contrast_reaches_the_pixels():
    dim = Images(TensorStore(torch.randint(100, 120, (1, 3, 8, 8), dtype=torch.uint8)), PROFILES["uint8"])
    stretched = tile(sprite_sheet(dim, [0], "stretched"), 0)
    assert stretched.min() == 0 and stretched.max() == 255


def test_sprite_sheet__hundred_small_images_are_quick():
    images = random_images(600, 32)
    sprite_sheet(images, range(100))
    times = []
    for start in range(100, 600, 100):
        began = time.thread_time()  # what others do on this machine must not count
        sprite_sheet(images, range(start, start + 100))
        times.append(time.thread_time() - began)
    assert min(times) < 0.06


def test_kept__the_latest_by_number_and_by_weight():
    class Owner: ...

    kept, one, other, made = Kept(3, 10, len), Owner(), Owner(), []

    def ask(owner: object, *texts: str) -> list[str]:
        """Those that had to be made."""
        before = len(made)
        assert [kept.get(owner, text, lambda text=text: made.append(text) or text) for text in texts] == list(texts)
        return made[before:]

    assert ask(one, "a", "b", "c", "a") == ["a", "b", "c"]
    assert ask(one, "d") == ["d"] and ask(one, "c", "a", "d") == []  # b was used least recently
    assert ask(one, "x" * 9, "x" * 9) == ["x" * 9]
    assert ask(one, "y" * 9) == ["y" * 9] and ask(one, "y" * 9) == []  # weighed after it is there: the next one drops x
    assert ask(one, "x" * 9) == ["x" * 9]
    assert ask(other, "a") == ["a"]


def test_kept__what_cannot_be_made_is_asked_for_again():
    class Owner: ...

    kept, owner = Kept(2, 10, len), Owner()
    for _ in range(3):
        with pytest.raises(ValueError):
            kept.get(owner, "a", lambda: int("a"))
    assert kept.get(owner, "a", lambda: "made") == "made"


def test_large__native_pixels():
    images = random_images(2, 300)
    uri = large(images, 1)
    assert uri.startswith("data:image/png")
    np.testing.assert_array_equal(decoded(uri), images.viewable([1])[0])


def test_large__broken_image():
    assert decoded(large(mixed_images(None), 0)).size > 0


def test_sprite_sheet__asked_for_twice_at_once_is_made_once():
    made, go = [], threading.Event()

    class Slow(MixedStore):
        def read(self, sample_id: int) -> torch.Tensor:
            made.append(sample_id)
            assert go.wait(10)
            return super().read(sample_id)

    images = Images(Slow((flat(8, 8, 1),)), PROFILES["uint8"])
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(sprite_sheet, images, [0]) for _ in range(2)]
        go.set()
        assert asked[0].result(10) is asked[1].result(10)
    assert made == [0]


def test_prepare_sheet__makes_the_latest_wish_alone():
    images = random_images(6, 8)
    read: list[int] = []

    class Watched(TensorStore):
        def read_many(self, ids) -> torch.Tensor:
            read.extend(ids)
            return super().read_many(ids)

    images = Images(Watched(images.store.tensor), images.pixel_space)
    prepare_sheet(images, [0, 1])
    prepare_sheet(images, [4, 5])
    give_up = time.monotonic() + 10
    while not read and time.monotonic() < give_up:
        time.sleep(0.01)
    assert read == [4, 5]
    sprite_sheet(images, [4, 5])
    assert read == [4, 5]


def test_prepare_sheet__keeps_no_closed_set():
    images = random_images(4, 8)
    prepare_sheet(images, [0])
    alive = weakref.ref(images)
    del images
    gc.collect()
    assert alive() is None
