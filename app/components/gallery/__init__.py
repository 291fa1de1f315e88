"""A contact sheet: tiles cut from one sprite sheet, selected by mouse and keys, instantly and without the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app.images import Sprite

TileState = Literal["kept", "relabelled", "softened", "pruned", "skipped"]

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "stillroom_gallery",
    js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
    css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Tile:
    """One image of the sheet. ``was`` is the given label where ``label`` replaces it; ``score`` lies in [0, 1]; ``note`` is
    shown on hover."""

    id: int
    label: str = ""
    was: str | None = None
    flagged: bool = False
    state: TileState | None = None
    score: float | None = None
    note: str = ""


@dataclass(frozen=True)
class GalleryState:
    """Sample ids: ``selected`` in the order of the sheet, the one with the ``focused`` frame, the one last ``opened``."""

    selected: tuple[int, ...] = ()
    focused: int | None = None
    opened: int | None = None


def gallery(
    sprite: Sprite,
    tiles: Sequence[Tile],
    *,
    key: str,
    selected: Sequence[int] = (),
    revision: str = "",
    size: int = 96,
    empty: str = "No image matches these filters.",
    on_select: Callable[[GalleryState], None] | None = None,
    on_open: Callable[[int], None] | None = None,
) -> GalleryState:
    """Show ``tiles``, the n-th cut from the n-th place of ``sprite``, ``size`` pixels on the longer side.

    The browser owns the selection and tells it 120 ms after the last change. ``selected`` is what it starts with, and
    replaces what it has whenever ``revision`` changes (a lasso, a "clear" button); echoing the selection back without a
    new revision changes nothing, so a late answer never undoes a click. Raises ValueError where sheet and tiles differ.
    """
    if sprite.n != len(tiles):
        raise ValueError(f"{len(tiles)} tiles cannot be cut from a sheet of {sprite.n}")
    shown = {tile.id for tile in tiles}
    started = tuple(i for i in selected if i in shown)
    data = {
        "sprite": asdict(sprite),
        "tiles": [asdict(tile) for tile in tiles],
        "size": size,
        "selected": list(started),
        "revision": revision,
        "empty": empty,
    }

    def changed() -> None:
        _tell(key, _state(st.session_state[key].get("view"), shown, started, revision), on_select, on_open)

    result = _mount(key=key, data=data, on_view_change=changed)
    return _state(result.get("view"), shown, started, revision)


def _state(view: Mapping[str, Any] | None, shown: set[int], started: tuple[int, ...], revision: str) -> GalleryState:
    """What the browser said, unless it said so about an earlier revision; never an id that is not shown."""
    if not view or view.get("revision") != revision:
        return GalleryState(started)
    focused, opened = view.get("focused"), (view.get("opened") or {}).get("id")
    return GalleryState(
        tuple(i for i in view.get("selected", ()) if i in shown),
        focused if focused in shown else None,
        opened if opened in shown else None,
    )


def _tell(
    key: str,
    state: GalleryState,
    on_select: Callable[[GalleryState], None] | None,
    on_open: Callable[[int], None] | None,
) -> None:
    """Call back for what is new since the last time: one message may bring a selection, an opening, or both."""
    view, memory = st.session_state[key]["view"], f"{key}/told"
    told = (state.selected, state.focused, view.get("revision")), (view.get("opened") or {}).get("at")
    selection, opening = st.session_state.get(memory, (None, None))
    st.session_state[memory] = told
    if on_select is not None and told[0] != selection:
        on_select(state)
    if on_open is not None and told[1] != opening and state.opened is not None:
        on_open(state.opened)
