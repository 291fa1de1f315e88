"""A grid of samples with what can be decided about the selected ones, and the focused one large beside it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components.gallery import Tile, gallery
from app.sample_panel import sample_panel
from app.selection_actions import selection_actions
from app.tiles import sheet
from data.distilled_set import DistilledSet
from data.pixels import Contrast

PANEL_PX = 300  # wide enough for three label sources; a share of the page would be too narrow on a small screen


def contact_sheet(
    set_id: str,
    distilled_set: DistilledSet,
    tiles: Sequence[Tile],
    *,
    key: str,
    finding: str | None,
    contrast: Contrast = "as trained",
    size: int = 96,
) -> None:
    """Show ``tiles`` in that order. Decisions about a selection name ``finding`` as what raised them."""
    actions = st.container()
    beside = st.container(horizontal=True, wrap=False, gap="small")
    grid, panel = beside.container(), beside.container(width=PANEL_PX)
    with grid:
        chosen = gallery(sheet(distilled_set, [tile.id for tile in tiles], contrast), tiles, key=f"{key} gallery", size=size)
    with actions:
        selection_actions(set_id, distilled_set, chosen.selected, finding, key)
    with panel:
        if chosen.focused is None:
            st.caption("Click an image to see it large, with its labels from every source.")
        else:
            sample_panel(set_id, distilled_set, chosen.focused, contrast, key, finding)
