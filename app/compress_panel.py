"""Carrying out a compression plan, from its page: seeing it, pruning what is not kept, and writing the mosaics as a set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from analysis.compressing.combined import Wish, combine_and_write, tiles_of
from analysis.compressing.mosaics import MosaicStore
from analysis.findings import Findings
from app.contact_sheet import contact_sheet
from app.exports import proposed_folder
from app.fragments import fragment
from app.notes import notes
from app.roles import may, require
from app.selection_actions import decide_all, undo_latest
from app.services import services
from app.sizes import size_words
from app.task_panel import act, is_under_way, task_panel
from app.tiles import captions
from app.words import plain
from data.curation import CuratedSet, curate
from data.decisions import Decision, SampleState
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.images import Images
from data.workspace import SetRecord

ANALYSIS = "compression"
KIND, TITLE = "combined set", "Writing the combined set"
SHOWN, TILE_PX = 24, 72
PREVIEWED, PREVIEW_PX = 10, 96
PARTS = ("left out", "kept")
SETTLING = ("keep", "relabel", "soften", "restore")
"""What people say of an image that they want to stay."""
UNDO_HELP = "Take back your latest decision or batch"


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Ids int64 of what a plan does not keep: those that nobody settled are ``undecided``, some are ``pruned`` already, and
    those that people settled otherwise would be ``overruled`` by pruning them. ``missing`` is what it keeps and people
    pruned."""

    undecided: np.ndarray
    pruned: np.ndarray
    overruled: np.ndarray
    missing: np.ndarray

    def __len__(self) -> int:
        return len(self.undecided) + len(self.pruned) + len(self.overruled)


def left_out(kept: np.ndarray, states: Mapping[int, SampleState]) -> LeftOut:
    """``kept`` bool (N,) is the plan; ``states`` are where the log leaves samples."""
    out = np.flatnonzero(~kept)
    gone = [i for i, state in states.items() if state.pruned]
    pruned = np.isin(out, gone)
    settled = np.isin(out, [i for i, state in states.items() if _settles(state)]) & ~pruned
    missing = np.flatnonzero(kept & np.isin(np.arange(len(kept)), gone))
    return LeftOut(out[~pruned & ~settled], out[pruned], out[settled], missing)


def prune_decisions(ids: np.ndarray) -> list[Decision]:
    """Prunes that say what raised them; a budget is none of the usual reasons."""
    return [Decision(i, "prune", reason="other", finding=ANALYSIS) for i in ids.tolist()]


def wish_of(findings: Findings, parameters: Mapping[str, Any]) -> Wish:
    """What the plan that was found would combine, with the parameters of its run."""
    tile = findings.per_sample["tile"].to_numpy()
    return Wish(tile, int(parameters["factor"]), parameters["resampling"], dict(parameters))


def compress_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """The section "Carry out the plan"; nothing where none was made yet."""
    found = services().findings(record.id, ANALYSIS)
    if found is None:
        return
    run, findings = found
    st.subheader("Carry out the plan")
    _prune_form(record, findings.per_sample["kept"].to_numpy())
    if distilled_set.images is not None:
        _gallery(record, distilled_set, findings.per_sample)
        _combine_form(record, distilled_set, wish_of(findings, run.parameters))


@fragment
def _gallery(record: SetRecord, distilled_set: DistilledSet, table: pd.DataFrame) -> None:
    """The images of the plan: what it leaves out, the lowest rank first, or what it keeps, the highest first."""
    key = f"compress {record.id}"
    part = st.segmented_control("Images of the plan", PARTS, default=PARTS[0], key=f"{key} part") or PARTS[0]
    chosen = table[table["kept"] == (part == "kept")]
    order = chosen.sort_values(["rank_score", "sample_id"], ascending=[part != "kept", True], kind="stable")
    ids = order["sample_id"].to_numpy()[:SHOWN]
    end = "lowest" if part != "kept" else "highest"
    told = f"the number is the rank within the class, from 1, the best, to 0; {end} first"
    st.caption(f"{len(ids):,} of the {len(chosen):,} images {part}; {told}.")
    if not len(ids):
        return
    scores = dict(zip(ids.tolist(), order["rank_score"].tolist(), strict=False))
    tiles = captions(distilled_set, ids, services().workspace.states(record.id, ids), {}, scores)
    contact_sheet(record.id, distilled_set, tiles, key=f"{key} sheet {part}", finding=ANALYSIS, size=TILE_PX)


def _prune_form(record: SetRecord, kept: np.ndarray) -> None:
    """Prune decisions for all that is not kept, after asking; what people settled stands unless they say otherwise."""
    out = left_out(kept, services().workspace.states(record.id))
    open_ids = len(out.undecided) + len(out.overruled)
    if not len(out):
        st.info("The plan keeps every image, so there is nothing to prune.", icon=":material/info:")
        return
    if not may("decide"):
        st.caption(_progress_words(out))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if open_ids:
            with st.popover(f"Mark the {open_ids:,} not kept as pruned", icon=":material/content_cut:"):
                _confirm(record, out)
        st.caption(_progress_words(out))
        undo = len(out.pruned) and st.button(
            "Take back", key=f"compress undo {record.id}", icon=":material/undo:", help=UNDO_HELP
        )
    if undo:
        undone = undo_latest(record.id)
        st.toast("Taken back." if undone else "There is nothing of yours to take back.")
        st.rerun()


def _confirm(record: SetRecord, out: LeftOut) -> None:
    """Inside the popover: what would happen, and the button that does it."""
    also = False
    if len(out.overruled):
        st.markdown(
            f"People have settled **{len(out.overruled):,}** of the images that the plan leaves out. Their decisions stand."
        )
        also = st.toggle("Prune those too", value=False, key=f"compress overrule {record.id}")
    ids = np.union1d(out.undecided, out.overruled) if also else out.undecided
    st.markdown(f"**{len(ids):,}** images will be pruned in one batch, which can be taken back as one. No file is changed.")
    if st.button(f"Prune {len(ids):,} images", type="primary", disabled=not len(ids), key=f"compress prune {record.id}"):
        act(lambda: _prune(record, ids))


def _prune(record: SetRecord, ids: np.ndarray) -> None:
    decide_all(record.id, prune_decisions(ids))
    st.toast(f"{len(ids):,} images pruned.", icon=":material/check:")


def _progress_words(out: LeftOut) -> str:
    settled = f"; {len(out.overruled):,} were settled otherwise by people" if len(out.overruled) else ""
    missing = f" {len(out.missing):,} that it keeps are pruned, too." if len(out.missing) else ""
    return f"{len(out.pruned):,} of the {len(out):,} images that the plan leaves out are pruned{settled}.{missing}"


def _combine_form(record: SetRecord, distilled_set: DistilledSet, wish: Wish) -> None:
    """Write what is kept and not pruned as a set of its own: mosaics, or the images as they are for a factor of 1."""
    try:
        curated = curate(distilled_set, services().workspace.states(record.id))
        _preview(curated, wish)
    except StillroomError as error:
        st.info(f"No combined set can be written: {plain(error)}", icon=":material/info:")
        return
    if not may("export"):
        return
    with st.form(f"compress {record.id}"):
        folder = st.text_input("Folder to write, new or empty", value=proposed_folder(record, "combined"))
        pressed = st.form_submit_button(
            "Write the combined set", type="primary", icon=":material/grid_view:", disabled=is_under_way(record.id, KIND)
        )
    if pressed:
        _start(record, curated, wish, Path(folder).expanduser())
    task_panel(record.id, KIND, _written)


def _preview(curated: CuratedSet, wish: Wish) -> None:
    """How many images the set would have, and one of each of the first classes. Raises ImpossibleRequest."""
    opened = curated.set
    tiles, classes = tiles_of(opened, replace(wish, tile=wish.tile[curated.kept]))
    what = f"{wish.factor} x {wish.factor} mosaics of one class" if wish.factor > 1 else "the kept images themselves"
    st.markdown(f"**A combined set of {len(tiles):,} images**: {what}. Soft labels are the mean of the tiles'.")
    _, first = np.unique(classes, return_index=True)
    shown = first[:PREVIEWED]
    store = MosaicStore(opened.images.store, tiles[shown], wish.factor, wish.resampling)
    pictures = Images(store, opened.images.pixel_space).viewable(range(len(shown)))
    with st.container(horizontal=True, gap="small"):
        for picture, c in zip(pictures, classes[shown], strict=True):
            name = opened.class_names[c]
            st.image(picture, plain(name), width=PREVIEW_PX, alt=f"a combined image of class {name}")
    if wish.factor > 1:
        st.caption(
            "Train on mosaics with augmentation that enlarges the tiles, such as random resized crops: without it a student "
            "never sees an object as large as in a whole image. What people pruned is left out, and their labels count."
        )


def _start(record: SetRecord, curated: CuratedSet, wish: Wish, out: Path) -> None:
    def start() -> None:
        require("export")
        services().tasks.start(record.id, KIND, TITLE, lambda progress: combine_and_write(curated, wish, out, progress))

    act(start)


def _written(manifest: Path) -> None:
    if not manifest.is_file():
        return
    written = json.loads(manifest.read_text(encoding="utf-8"))
    counts, size = written["counts"], sum(file["bytes"] for file in written["written_files"])
    st.success(f"Written to {plain(manifest.parent)}.", icon=":material/check_circle:")
    st.caption(
        f"{counts['images']:,} images made of {counts['used']:,} of {counts['before']:,}, {size_words(size)} with all that "
        "came along; `manifest.json` says which image each tile was. Open the folder on **Sets** to look at it."
    )
    notes("What is different now", written["notes"])


def _settles(state: SampleState) -> bool:
    return state.last is not None and state.last.action in SETTLING
