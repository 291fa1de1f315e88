"""The crops of one sample in the side panel: framed on its picture, coloured by what the teacher saw in them."""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from analysis.trees.scan import NEARLY_UNMIXED
from app.crop_figure import Colours, Picture, crop_boxes, vote_bars, vote_colours
from app.crop_votes import crop_table, undecided, vote_shares
from app.fragments import fragment
from app.images import large
from app.pictures import is_small
from app.shown_figure import show_figure
from app.words import show_error
from data.distilled_set import GIVEN, DistilledSet
from data.errors import StillroomError
from data.pixels import Contrast
from data.relabelled.augmented import AugmentedSoftLabels, Crops

MOST_FRAMES = 60
CROPS_KEPT = 16
MUCH_THE_SAME = 1.5
_BARE = {"displayModeBar": False}


def crop_panel(distilled_set: DistilledSet, sample_id: int, contrast: Contrast, key: str) -> None:
    """The section "Crops"; nothing for a set whose given labels are of whole images."""
    source = distilled_set.label_sources.get(GIVEN)
    if isinstance(source, AugmentedSoftLabels):
        _section(distilled_set, source, sample_id, contrast, key)


@fragment
def _section(distilled_set: DistilledSet, source: AugmentedSoftLabels, sample_id: int, contrast: Contrast, key: str) -> None:
    st.markdown("##### Crops")
    try:
        crops = _crops(source, sample_id)
    except StillroomError as error:
        show_error(error)
        return
    if not len(crops):
        st.caption("The teacher saw no crop of this image in the batches that are there.")
        return
    own = int(distilled_set.labels[sample_id])
    table = _table(crops, distilled_set, source, sample_id)
    shares = vote_shares(table)
    colours = vote_colours(shares, own)
    shown = _filtered(table, own, key)
    _frames(distilled_set, sample_id, contrast, shown, colours, key)
    st.caption(_frames_sentence(len(shown), len(table), source))
    if not shares:
        st.caption("Nothing of these crops is this image: all of each was covered by another one.")
        return
    st.caption("What the crops vote for, each counting by how much of it is this image")
    bars = vote_bars(shares, distilled_set.class_names, colours, len(table))
    show_figure(bars, key=f"{key} votes", config=_BARE)
    st.caption(_undecided_sentence(crops, table))


@lru_cache(maxsize=CROPS_KEPT)
def _crops(source: AugmentedSoftLabels, sample_id: int) -> Crops:
    """Kept, since every toggle would read the same few dozen files again."""
    return source.crops_of(sample_id, MOST_FRAMES)


def _table(crops: Crops, distilled_set: DistilledSet, source: AugmentedSoftLabels, sample_id: int) -> pd.DataFrame:
    names = distilled_set.class_names

    def partner_name(image: int) -> str:
        if image == source.images[sample_id]:
            return "the same again"
        found = np.flatnonzero(source.images == image)
        if not len(found):
            return "an image that is not in this set"
        return f"sample {found[0]} ({names[distilled_set.labels[found[0]]]})"

    return crop_table(crops, names.__getitem__, partner_name)


def _filtered(table: pd.DataFrame, own: int, key: str) -> pd.DataFrame:
    unmixed = st.toggle(
        "Only nearly unmixed",
        key=f"{key} unmixed",
        help=f"Crops that are at least {NEARLY_UNMIXED:.0%} this image: what the teacher says of the others is partly about "
        "the image mixed in.",
    )
    others = st.toggle("Only those voting another class", key=f"{key} others")
    if unmixed:
        table = table[table["own_share"] >= NEARLY_UNMIXED]
    return table[table["vote"] != own] if others else table


def _frames(
    distilled_set: DistilledSet, sample_id: int, contrast: Contrast, table: pd.DataFrame, colours: Colours, key: str
) -> None:
    if distilled_set.images is None:
        return
    uri = large(distilled_set.images, sample_id, contrast)
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as opened:
        picture = Picture(uri, opened.width, opened.height, is_small(distilled_set))
    words = f"Sample {sample_id} with the frames of {len(table)} crops"
    show_figure(crop_boxes(picture, table, colours), key=f"{key} frames", instead=words, config=_BARE)


def _frames_sentence(shown: int, read: int, source: AugmentedSoftLabels) -> str:
    """How many frames are drawn, of how many crops that the tree has of an image."""
    there = round(source.tree.rows / source.tree.num_images)
    of_tree = f"{read} of about {there:,} crops, evenly spread over the tree" if read < there else f"{read} crops"
    drawn = "" if shown == read else f"; {shown} of these are drawn"
    return (
        f"{of_tree}{drawn}. The colour of a frame says which class the teacher sees in it (below), a strong line that it is "
        "sure. Point at a line to read it."
    )


def _undecided_sentence(crops: Crops, table: pd.DataFrame) -> str:
    together, alone = undecided(crops.probabilities().numpy(), table["own_share"].to_numpy())
    spread = "its crops tell much the same" if together < MUCH_THE_SAME * alone else "its crops tell different things"
    return (
        f"Over all crops the teacher is as undecided as between **{together:.1f}** equally likely classes, in a single crop "
        f"as between **{alone:.1f}**: {spread}."
    )
