"""Images to look at and not to select, with the pixels of small ones as sharp squares."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.images import Sprite
from data.distilled_set import DistilledSet

SMALL_PX = 128


def is_small(distilled_set: DistilledSet) -> bool:
    """Whether every image has so few pixels that enlarging must not blur them."""
    shape = None if distilled_set.images is None else distilled_set.images.shape
    return shape is not None and max(shape[-2:]) <= SMALL_PX


def show_picture(uri: str, words: str, sharp: bool) -> None:
    """One image as wide as its place; ``words`` are what it says without sight."""
    rendering = "pixelated" if sharp else "auto"
    st.html(f'<img src="{escape(uri)}" alt="{escape(words)}" style="width: 100%; image-rendering: {rendering}">')


def show_strip(sprite: Sprite, names: Sequence[str], size: int) -> None:
    """The tiles of ``sprite`` in a row that wraps, ``size`` pixels on the longer side, each with its name."""
    scale = size / max(sprite.tile_w, sprite.tile_h)
    width, height = round(sprite.tile_w * scale), round(sprite.tile_h * scale)
    sheet = (
        f"background-image: url('{sprite.uri}'); background-size: {sprite.columns * width}px {sprite.rows * height}px; "
        f"image-rendering: {'pixelated' if scale >= 1 else 'auto'}; width: {width}px; height: {height}px"
    )
    tiles = [
        f'<div style="width: {size}px"><div role="img" aria-label="{escape(name)}" class="tile-picture" style="'
        f'background-position: {-(place % sprite.columns) * width}px {-(place // sprite.columns) * height}px"></div>'
        f'<div title="{escape(name)}" style="font-size: 12px; overflow: hidden; text-overflow: ellipsis; '
        f'white-space: nowrap">{escape(name)}</div></div>'
        for place, name in enumerate(names)
    ]
    # One rule for all tiles: a sheet repeated in each tile's own style would be sent and parsed as many times.
    st.html(
        f"<style>.strip-{id_of(sprite)} .tile-picture {{ {sheet} }}</style>"
        f'<div class="strip-{id_of(sprite)}" style="display: flex; flex-wrap: wrap; gap: 12px">{"".join(tiles)}</div>'
    )


def id_of(sprite: Sprite) -> str:
    return f"{hash(sprite.uri) & 0xFFFFFFFF:08x}"
