"""Thumbnails and sprite sheets: made once, kept, and sent inside the component's own data.

A page of thumbnails is one sheet, cut into tiles by the browser, so that it costs no request and needs no route of its own.
"""

from __future__ import annotations

import base64
import io
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

import numpy as np
from PIL import Image, ImageDraw

from data.images import Images, reduction
from data.pixels import Contrast

MOST_PX = 128
LOSSLESS_PX = 64
KEPT_A_SET = 64
JPEG_QUALITY = 88
PAPER = (128, 128, 128)
UNREADABLE_PX = 64
SECONDS_TO_SHOW = 0.2
_WORKERS = min(4, os.cpu_count() or 1)
_IMAGES_A_TASK = 16

Value = TypeVar("Value")


@dataclass(frozen=True)
class Sprite:
    """One sheet of ``n`` tiles, row by row: ``uri`` is a data URI, tiles are ``tile_w`` x ``tile_h`` pixels.

    ``unreadable`` are the positions (not sample ids) of tiles that stand in for images that could not be decoded.
    """

    uri: str
    tile_w: int
    tile_h: int
    columns: int
    rows: int
    n: int
    unreadable: tuple[int, ...] = ()


EMPTY = Sprite("", 1, 1, 0, 0, 0)


class Kept:
    """The ``most`` most recently used results of each set, or of its images, dropped together with them; fewer where they
    ``weigh`` more than ``heaviest`` together.

    Who asks for what another thread is making waits for that instead of making it again.
    """

    def __init__(self, most: int, heaviest: float = math.inf, weigh: Callable[[Any], int] = lambda result: 0) -> None:
        self._most, self._heaviest, self._weigh = most, heaviest, weigh
        self._by_owner: WeakKeyDictionary[object, _Shelf] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self, owner: object, key: Hashable, make: Callable[[], Value]) -> Value:
        with self._lock:
            shelf = self._by_owner.setdefault(owner, _Shelf())
            result = shelf.results.get(key)
            ours = result is None
            if ours:
                shelf.results[key] = result = Future()
            shelf.results.move_to_end(key)
            shelf.shorten(self._most, self._heaviest)
        if ours:
            try:
                made = make()
            except BaseException as error:
                with self._lock:
                    shelf.results.pop(key, None)
                result.set_exception(error)
            else:
                with self._lock:
                    shelf.weigh(key, result, self._weigh(made))
                result.set_result(made)
        return result.result()


@dataclass(eq=False)
class _Shelf:
    """What is kept of one set, the most recently used last, and what it weighs; while it is being made, nothing yet."""

    results: OrderedDict[Hashable, Future] = field(default_factory=OrderedDict)
    weights: dict[Hashable, int] = field(default_factory=dict)
    weight: int = 0

    def weigh(self, key: Hashable, result: Future, weight: int) -> None:
        """What was dropped while it was being made weighs nothing."""
        if self.results.get(key) is result:
            self.weights[key] = weight
            self.weight += weight

    def shorten(self, most: int, heaviest: float) -> None:
        while len(self.results) > most or (self.weight > heaviest and len(self.results) > 1):
            key, _ = self.results.popitem(last=False)
            self.weight -= self.weights.pop(key, 0)


class _Ahead:
    """Does one thing in the background shortly after it was wished for, unless another was wished for in between."""

    def __init__(self) -> None:
        self._waiting: threading.Timer | None = None
        self._lock = threading.Lock()

    def wish(self, work: Callable[[], object]) -> None:
        with self._lock:
            if self._waiting is not None:
                self._waiting.cancel()  # nothing happens to what has begun
            self._waiting = threading.Timer(SECONDS_TO_SHOW, work)
            self._waiting.daemon = True
            self._waiting.start()


_kept = Kept(KEPT_A_SET)
_ahead = _Ahead()


def sprite_sheet(images: Images, ids: Sequence[int], contrast: Contrast = "as trained", most_px: int = MOST_PX) -> Sprite:
    """One sheet of the images ``ids``, in that order.

    Tiles keep their native resolution up to ``most_px`` on the longer side; larger images are averaged over squares of as
    few whole pixels as will do. Images of other shapes than the largest are centred on grey. Sheets of small tiles are PNG
    and lose nothing, others JPEG. An image that cannot be decoded becomes a tile that says so. Raises IndexError on an id
    that the set does not have.
    """
    wanted = _checked(images, ids)
    if not wanted:
        return EMPTY
    return _kept.get(images, ("sheet", wanted, contrast, most_px), lambda: _sheet(images, wanted, contrast, most_px))


def prepare_sheet(images: Images, ids: Sequence[int], contrast: Contrast = "as trained") -> None:
    """Make the sheet that will probably be asked for next, in the background, once the present one has been shown."""
    still_open = ref(images)

    def make() -> None:
        images = still_open()
        if images is not None:
            sprite_sheet(images, ids, contrast)

    _ahead.wish(make)


def large(images: Images, sample_id: int, contrast: Contrast = "as trained") -> str:
    """One image at its native pixels, as a PNG data URI; a tile that says so where it cannot be decoded."""
    (wanted,) = _checked(images, [sample_id])

    def make() -> str:
        pixels = _read(images, [wanted], contrast)[0]
        return _uri(_unreadable(UNREADABLE_PX) if pixels is None else Image.fromarray(pixels), lossless=True)

    return _kept.get(images, ("large", wanted, contrast), make)


def _checked(images: Images, ids: Sequence[int]) -> tuple[int, ...]:
    wanted = tuple(int(i) for i in ids)
    for i in wanted:
        if not 0 <= i < len(images):
            raise IndexError(f"sample {i} of {len(images)}")
    return wanted


def _sheet(images: Images, ids: tuple[int, ...], contrast: Contrast, most_px: int) -> Sprite:
    tiles = _tiles(images, ids, contrast, most_px)
    readable = [tile for tile in tiles if tile is not None]
    width = max((tile.width for tile in readable), default=min(UNREADABLE_PX, most_px))
    height = max((tile.height for tile in readable), default=min(UNREADABLE_PX, most_px))
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height), PAPER)
    for place, tile in enumerate(tiles):
        shown = _unreadable(width, height) if tile is None else tile
        left, top = place % columns * width, place // columns * height
        sheet.paste(shown, (left + (width - shown.width) // 2, top + (height - shown.height) // 2))
    unreadable = tuple(place for place, tile in enumerate(tiles) if tile is None)
    uri = _uri(sheet, lossless=max(width, height) <= LOSSLESS_PX)
    return Sprite(uri, width, height, columns, rows, len(tiles), unreadable)


def _tiles(images: Images, ids: tuple[int, ...], contrast: Contrast, most_px: int) -> list[Image.Image | None]:
    """Decoding and scaling release the interpreter's lock, so large images gain from a few threads."""

    def make(part: tuple[int, ...]) -> list[Image.Image | None]:
        return [None if pixels is None else _fitted(pixels, most_px) for pixels in _read(images, part, contrast, most_px)]

    parts = [ids[start : start + _IMAGES_A_TASK] for start in range(0, len(ids), _IMAGES_A_TASK)]
    if images.shape is not None and max(images.shape[1:]) <= LOSSLESS_PX:
        return make(ids)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return [tile for made in pool.map(make, parts) for tile in made]


def _read(images: Images, ids: Sequence[int], contrast: Contrast, most_px: int | None = None) -> list[np.ndarray | None]:
    """Viewable pixels, or None where an image cannot be decoded; with ``most_px`` some may come reduced already.

    Decoders raise whatever they like on a broken file, hence the broad catch: one bad image must not hide a page of them.
    """
    try:
        return list(images.viewable(ids, contrast, most_px))
    except Exception:
        if len(ids) == 1:
            return [None]
        return [pixels for i in ids for pixels in _read(images, [i], contrast, most_px)]


def _fitted(pixels: np.ndarray, most_px: int) -> Image.Image:
    image = Image.fromarray(pixels)
    factor = reduction(max(image.size), most_px)
    return image.reduce(factor) if factor > 1 else image


def _unreadable(width: int, height: int | None = None) -> Image.Image:
    """A crossed-out tile; the word is left to captions, since it would not fit into 32 pixels."""
    height = height or width
    tile = Image.new("RGB", (width, height), (214, 214, 214))
    pen, weight = ImageDraw.Draw(tile), max(1, min(width, height) // 24)
    pen.line((0, 0, width, height), fill=(176, 58, 46), width=weight)
    pen.line((0, height, width, 0), fill=(176, 58, 46), width=weight)
    pen.rectangle((0, 0, width - 1, height - 1), outline=(176, 58, 46), width=weight)
    return tile


def _uri(image: Image.Image, lossless: bool) -> str:
    out = io.BytesIO()
    if lossless:
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
