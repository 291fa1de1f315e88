"""``save_image`` PNG grids: all images of a set in one picture, a row a class, 2 black pixels between.

DC, DSA and DM write them beside their result files (VICO-UoE/DatasetCondensation main.py: save_image(nrow=ipc), padding
2), so a tile (r, c) of size t starts at pixel (2 + (t + 2) r, 2 + (t + 2) c). Their pixels are clamped and rounded: what is
outside [0, 1] in the result file is lost here.
"""

from __future__ import annotations

import csv
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import DistilledSet, OpenOptions, Provenance
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import pictures
from data.formats.common import implied_labels, make_set, tensor_images
from data.formats.companions import HELD, Held
from data.images import Images

NAME = "grid"
TITLE = "save_image PNG grids"

PADDING = 2
SMALLEST_TILE = 8
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
LARGEST_TILE = 4096
COLUMNS = ("row", "column", "original_id", "label", "tile_size")


@dataclass(frozen=True)
class Grid:
    """``tile`` pixels a side, ``rows`` x ``columns`` tiles, kept in the file as a picture of ``mode`` RGB or L."""

    tile: int
    rows: int
    columns: int
    mode: str


def recognises(path: Path) -> bool:
    """A PNG that could be cut into equal tiles with black lines between; one too large or too broken to see is claimed,
    so that reading it says what is wrong."""
    size = _png_size(path)
    if size is None or not _pitches(*size):
        return False
    if os.path.isfile(_listing_of(path)):  # unlike is_file, False for too long a name
        return True
    try:
        return _detect(_load(path)[0]) is not None
    except UnreadableInput:
        return True


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Cut the tiles out, uint8 (N, 1 or 3, t, t), in memory; a set whose pixels are all grey has one channel.

    The class is the row, or follows from ``options.ipc`` in reading order; a ``*.labels.csv`` beside it, which
    ``write`` leaves with incomplete rows, names the tiles that count and their classes instead.
    """
    if _png_size(path) is None:
        raise UnreadableInput(f"{path.name} is not a PNG file; a save_image grid is one.")
    pixels, mode = _load(path)
    listing = _listing_of(path)
    if os.path.isfile(listing):
        files = (path, listing)
        grid, places, labels = _read_listing(listing, pixels.shape, mode)
    else:
        files = (path,)
        grid = _find_grid(pixels, mode, path.name)
        places, labels = np.arange(grid.rows * grid.columns), _labels(grid.rows, grid.columns, options.ipc)
    tiles = _cut(pixels, grid.tile)[places]
    warnings = (f"cut into {grid.rows} rows of {grid.columns} tiles, {grid.tile}x{grid.tile} pixels each.",)
    images = tensor_images(torch.from_numpy(tiles), path, options)
    origin = Provenance(path, NAME, "save_image grid", files, options, warnings)
    return make_set(origin, labels, None, images, {"grid": grid})


def as_written(curated: CuratedSet) -> CuratedSet:
    """The curated set as a grid holds it: pixels that are not bytes yet are clamped and rounded."""
    if curated.relabels_all:  # beside the picture, whose rows say the classes
        extras = {**curated.set.extras, HELD: Held(hard_labels=True)}
        curated = replace(curated, set=replace(curated.set, extras=extras))
    if isinstance(curated.original.extras.get("grid"), Grid):
        return curated
    return pictures.replaced_images(curated, pictures.viewable(curated.set.images, curated.set.name))


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The same picture where nothing was decided. Otherwise each image in its class's row, rows filled up with black,
    and a ``*.labels.csv`` that says which tile is which sample."""
    grid = curated.original.extras.get("grid")
    source = curated.original.provenance.path
    if isinstance(grid, Grid) and curated.unchanged:
        files = [path for path in (source, _listing_of(source)) if os.path.isfile(path)]
        return [Path(shutil.copyfile(path, out / path.name)) for path in files]
    written = as_written(curated)
    mode = grid.mode if isinstance(grid, Grid) else "RGB"
    target = out / (source.name if isinstance(grid, Grid) else f"{curated.set.name}.png")
    rows, columns = written.set.labels, _places_in_rows(written.set.labels)
    images = _images_of(written.set)
    picture = _compose(images, rows, columns, max(written.set.num_classes, int(rows.max()) + 1))
    pictures.to_picture(picture).convert(mode).save(target)
    listing = _listing_of(target)
    _write_listing(listing, rows, columns, written.kept, images.shape[2])
    return [target, listing]


def _png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) from the header of a PNG file, None where it is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or head[:8] != PNG_MAGIC or head[12:16] != b"IHDR":
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _load(path: Path) -> tuple[np.ndarray, str]:
    """The picture as uint8 (H, W), where all of it is grey, or (H, W, 3), and its mode."""
    with pictures.open_picture(path) as picture:
        if picture.mode not in ("RGB", "L"):
            raise UnreadableInput(f"{path.name} is a picture of mode {picture.mode}; save_image writes RGB or grey ones.")
        pixels = np.asarray(picture)
        mode = picture.mode
    grey = pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all())
    return (pixels[..., 0] if grey else pixels), mode


def _pitches(width: int, height: int) -> list[int]:
    """Distances between tiles that both sides allow, smallest first; a single tile is no grid."""
    common = int(np.gcd(width - PADDING, height - PADDING))
    largest = min(common, LARGEST_TILE + PADDING)
    candidates = (p for p in range(SMALLEST_TILE + PADDING, largest + 1) if common % p == 0)
    return [p for p in candidates if (width - PADDING) * (height - PADDING) > p * p]


def _find_grid(pixels: np.ndarray, mode: str, where: str) -> Grid:
    found = _detect(pixels)
    if found is None:
        raise UnreadableInput(f"{where} shows no grid of equal tiles with {PADDING} black pixels between; is it one?")
    return Grid(*found, mode)


def _detect(pixels: np.ndarray) -> tuple[int, int, int] | None:
    """(tile size, rows, columns) of the finest grid whose separating lines are all black, or None.

    The finest, because the lines of a grid of 32 are also where those of a grid of 66 would be.
    """
    lit = pixels > 0 if pixels.ndim == 2 else (pixels > 0).any(axis=2)
    lit_rows, lit_columns = lit.any(axis=1), lit.any(axis=0)
    height, width = lit.shape
    for pitch in _pitches(width, height):
        if not (_lines(lit_rows, pitch).any() or _lines(lit_columns, pitch).any()):
            rows, columns = (height - PADDING) // pitch, (width - PADDING) // pitch
            tiles = _cut(lit, pitch - PADDING)
            # A mostly black picture has black lines everywhere; a grid has something in most of its tiles.
            if tiles.any(axis=(1, 2, 3)).mean() >= 0.5:
                return pitch - PADDING, rows, columns
    return None


def _lines(lit: np.ndarray, pitch: int) -> np.ndarray:
    return np.concatenate([lit[offset::pitch] for offset in range(PADDING)])


def _cut(pixels: np.ndarray, tile: int) -> np.ndarray:
    """(H, W) or (H, W, ch) -> (N, ch, tile, tile), in reading order."""
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    pitch = tile + PADDING
    inner = planes[PADDING:, PADDING:]
    rows, columns = inner.shape[0] // pitch, inner.shape[1] // pitch
    tiles = inner.reshape(rows, pitch, columns, pitch, -1)[:, :tile, :, :tile]
    return np.ascontiguousarray(tiles.transpose(0, 2, 4, 1, 3)).reshape(rows * columns, -1, tile, tile)


def _compose(images: torch.Tensor, rows: np.ndarray, columns: np.ndarray, row_count: int) -> torch.Tensor:
    """uint8 (N, ch, t, t) -> one black picture (ch, H, W) with image i at tile (rows[i], columns[i])."""
    tile = images.shape[2]
    pitch = tile + PADDING
    height, width = PADDING + pitch * row_count, PADDING + pitch * (int(columns.max()) + 1)
    if height * width > pictures.MOST_PIXELS:
        raise ImpossibleRequest(f"a grid of {row_count:,} rows would have {width:,}x{height:,} pixels; use a folder.")
    picture = torch.zeros(images.shape[1], height, width, dtype=torch.uint8)
    for image, row, column in zip(images, rows, columns, strict=True):
        top, left = PADDING + pitch * int(row), PADDING + pitch * int(column)
        picture[:, top : top + tile, left : left + tile] = image
    return picture


def _labels(rows: int, columns: int, ipc: int | None) -> np.ndarray:
    if ipc is None:
        return np.repeat(np.arange(rows, dtype=np.int64), columns)
    if ipc < 1:
        raise UnreadableInput(f"{ipc} images per class are impossible; give at least 1.")
    return implied_labels(rows * columns, rows * columns // ipc, ipc)


def _images_of(opened: DistilledSet) -> torch.Tensor:
    images: Images | None = opened.images
    assert images is not None
    shape = images.shape
    if shape is None or shape[1] != shape[2]:
        raise ImpossibleRequest(f"{opened.name} has images of different or oblong sizes, which no grid holds; use a folder.")
    return images.stored(np.arange(len(opened)))


def _places_in_rows(labels: np.ndarray) -> np.ndarray:
    """For each sample, how many of its class come before it."""
    seen: dict[int, int] = {}
    places = np.empty(len(labels), np.int64)
    for i, label in enumerate(labels.tolist()):
        places[i] = seen.get(label, 0)
        seen[label] = places[i] + 1
    return places


def _listing_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.labels.csv")


def _write_listing(path: Path, rows: np.ndarray, columns: np.ndarray, originals: np.ndarray, tile: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row, column, original in zip(rows.tolist(), columns.tolist(), originals.tolist(), strict=True):
            table.writerow((row, column, original, row, tile))


def _read_listing(path: Path, shape: tuple[int, ...], mode: str) -> tuple[Grid, np.ndarray, np.ndarray]:
    """(grid, tile of each sample in reading order, its label), the latter int64, in the order of the file's lines."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            entries = [tuple(int(line[name]) for name in COLUMNS) for line in csv.DictReader(file)]
        table = np.asarray(entries, np.int64).reshape(-1, len(COLUMNS))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
        raise UnreadableInput(f"{path.name} is no list of {', '.join(COLUMNS)} ({error}); correct or remove it.") from error
    tiles = set(table[:, 4].tolist())
    pitch = (tiles.pop() if len(tiles) == 1 else 0) + PADDING
    height, width = (side - PADDING for side in shape[:2])
    if pitch <= PADDING or height % pitch or width % pitch:
        raise UnreadableInput(f"{path.name} gives no tile size that fits the picture beside it; correct or remove it.")
    grid = Grid(pitch - PADDING, height // pitch, width // pitch, mode)
    if (table < 0).any() or (table[:, 0] >= grid.rows).any() or (table[:, 1] >= grid.columns).any():
        raise UnreadableInput(f"{path.name} names a tile outside the {grid.rows}x{grid.columns} of the picture; correct it.")
    return grid, table[:, 0] * grid.columns + table[:, 1], table[:, 3]
