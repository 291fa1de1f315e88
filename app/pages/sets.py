"""Sets: open one, see what it is, say what its files do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.notes import notes
from app.opening_form import DETECTED, elsewhere_fields, opening_fields
from app.pictures import show_strip
from app.roles import may
from app.selection import chosen_record, switch_to
from app.services import services
from app.set_actions import change_options, forget, keep_here, open_here
from app.task_panel import act
from app.tiles import sheet
from app.tree_facts import tree_facts
from app.words import plain, show_error, source_title
from data.demo import DEMO
from data.distilled_set import DistilledSet, OpenOptions
from data.errors import StillroomError
from data.formats import FORMATS
from data.pixels import PROFILES
from data.relabelled.augmented import AugmentedSoftLabels
from data.soft_labels import SoftLabels
from data.workspace import SetRecord

FILE_TYPES = [
    "pt",
    "pth",
    "tar",
    "npz",
    "npy",
    "png",
    "jpg",
    "jpeg",
    "txt",
    "csv",
    "json",
    "jsonl",
    "parquet",
    "safetensors",
]
STRIP_IMAGES = 12
STRIP_PX = 70  # ten beside each other at 1280 pixels


@dataclass(frozen=True)
class NextPages:
    """Where to go once a set is open; None where one may not."""

    browse: StreamlitPage
    diagnose: StreamlitPage
    decide: StreamlitPage | None
    export: StreamlitPage | None


def sets_page(following: NextPages) -> None:
    st.title("Sets")
    records = services().workspace.sets()
    if not records:
        _welcome()
    if may("sets"):
        _opening(expanded=not records)
    if records:
        _set_at_hand(following)
        _list_of_sets(records)


def _opening(expanded: bool) -> None:
    with st.expander("Open a set", icon=":material/folder_open:", expanded=expanded):
        from_path, from_upload = st.tabs(["From a path on this machine", "Upload"])
        with from_path:
            _open_path()
        with from_upload:
            _open_upload()


def _set_at_hand(following: NextPages) -> None:
    record = chosen_record()
    try:
        distilled_set = services().workspace.load(record.id)
    except StillroomError as error:
        st.header(plain(record.name))
        show_error(error)
        if may("sets"):
            _forget_button(record)
        return
    _summary(record, distilled_set)
    _next_steps(record, distilled_set, following)
    _label_sources(distilled_set)
    tree_facts(distilled_set)
    if may("sets"):
        _settings(record, distilled_set)


def _welcome() -> None:
    st.markdown(
        "Stillroom opens a **distilled set** exactly as its authors saved it, shows what is wrong with its labels, its "
        "diversity and its head/tail balance, lets you relabel and prune, and writes back files that the authors' own "
        "training code reads unchanged."
    )
    if not may("sets"):
        st.caption("No set is open yet; an owner of this workspace can open one.")
        return
    st.markdown("Open one below, or start with the demo set.")
    if st.button("Open the demo set", icon=":material/science:", type="primary"):
        _open(DEMO, OpenOptions())


def _open_path() -> None:
    with st.form("open path", border=False):
        path = st.text_input("File or folder", placeholder="/data/distilled/res_DC_CIFAR10_ConvNet_10ipc.pt")
        with st.expander("What the files leave out, or Stillroom gets wrong"):
            options = opening_fields()
        if st.form_submit_button("Open", type="primary") and path.strip():
            _open(Path(path.strip()).expanduser(), options)
    st.caption("Opens " + "; ".join(plain(module.TITLE) for module in FORMATS.values()) + ".")


def _open_upload() -> None:
    with st.form("upload", border=False, clear_on_submit=True):
        files = st.file_uploader(
            "Files of one set, together (images_best.pt with labels_best.pt, …)", FILE_TYPES, accept_multiple_files=True
        )
        if st.form_submit_button("Open the upload", type="primary") and files:
            try:
                place = keep_here(files)
            except StillroomError as error:
                show_error(error)
                return
            _open(place, OpenOptions())


def _open(path: Path, options: OpenOptions) -> None:
    """Open, queue the first analyses, show the set; or say in one sentence why not."""
    try:
        with st.spinner(f"Opening {path.name} …"):
            set_id = open_here(path, options)
    except StillroomError as error:
        show_error(error)
        return
    switch_to(set_id)
    st.rerun()


def _summary(record: SetRecord, distilled_set: DistilledSet) -> None:
    st.header(plain(record.name))
    st.caption(f"`{record.path}`  ·  format **{record.format}**  ·  method **{plain(record.method)}**")
    per_class = distilled_set.per_class
    facts = [
        ("Samples", f"{len(distilled_set):,}"),
        ("Classes", f"{distilled_set.num_classes:,}"),
        ("Images per class", _span(per_class.min(), per_class.max())),
        ("Stored image", _shape(distilled_set)),
        ("Pixel space", distilled_set.pixel_space.name if distilled_set.pixel_space else "no images"),
    ]
    with st.container(horizontal=True, gap="large"):
        for label, value in facts:
            st.metric(label, value, width="content")
    if distilled_set.images is not None:
        _first_of_each_class(distilled_set)
        st.caption(_pixel_sentence(distilled_set))
    notes("How the files were read", distilled_set.provenance.warnings)


def _next_steps(record: SetRecord, distilled_set: DistilledSet, following: NextPages) -> None:
    """What one does with an open set, in order, and how far it is."""
    workspace = services().workspace
    decided = len(distilled_set) - workspace.decision_counts(record.id)["undecided"]
    steps = [
        (following.browse, "Browse", "Look at every sample; filter, sort, select."),
        (following.diagnose, "Diagnose", _analysed(record, distilled_set)),
        (following.decide, "Decide", f"{decided:,} of {len(distilled_set):,} decided. Keep, relabel or prune by keyboard."),
        (following.export, "Export", "See what would change, then write the curated files."),
    ]
    st.subheader("What next")
    open_steps = [step for step in steps if step[0] is not None]
    for column, (page, name, words) in zip(st.columns(len(open_steps)), open_steps, strict=True):
        with column.container(border=True, height="stretch", gap="xsmall"):
            st.page_link(page, label=f"**{name}**")
            st.caption(words)


def _analysed(record: SetRecord, distilled_set: DistilledSet) -> str:
    """How many analyses have run, and whether the others will by themselves."""
    done, possible = len(services().workspace.evidence(record.id)), len(services().analyses_for(distilled_set))
    under_way = len(services().active(record.id))
    if under_way:
        look = " Look at those that have, on the left." if done else ""
        return f"{done} of {possible} analyses have run, {under_way} under way.{look}"
    waiting = " The others wait for a click on their pages." if done < possible else ""
    return f"{done} of {possible} analyses have run.{waiting} Start with any of them on the left."


def _first_of_each_class(distilled_set: DistilledSet) -> None:
    """The first sample of up to STRIP_IMAGES classes."""
    present, first = np.unique(distilled_set.labels, return_index=True)
    ids = [int(i) for i in first[:STRIP_IMAGES]]
    names = [distilled_set.class_names[distilled_set.labels[i]] for i in ids]
    show_strip(sheet(distilled_set, ids, "as trained"), names, STRIP_PX)
    if len(present) > STRIP_IMAGES:
        st.caption(f"The first image of the first {STRIP_IMAGES} of {len(present):,} classes; **Browse** shows them all.")


def _pixel_sentence(distilled_set: DistilledSet) -> str:
    space = distilled_set.pixel_space
    fraction, images = distilled_set.images.out_of_range
    out = (
        "" if fraction is None else f" {fraction:.1%} of values lie outside what a screen can show (from {images:,} images)."
    )
    return f"Pixel space **{space.name}**: {space.evidence}.{out}"


def _label_sources(distilled_set: DistilledSet) -> None:
    rows = [{"label source": "given", "kind": "hard label", "dtype": "int64", "shape": f"({len(distilled_set)},)"}]
    rows += [
        {
            "label source": source_title(name),
            "kind": _kind(name, source, distilled_set),
            "dtype": str(source.dtype).removeprefix("torch."),
            "shape": f"({_stored_rows(source)}, {source.num_classes})",
        }
        for name, source in distilled_set.selectable_sources.items()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", alt="Label sources")


def _settings(record: SetRecord, distilled_set: DistilledSet) -> None:
    with st.expander("Settings of this set", icon=":material/tune:"):
        st.caption("Decisions stay when a setting changes; analyses are run again where it matters.")
        options = record.options
        names = [DETECTED, *PROFILES]
        if distilled_set.images is not None:
            profile = st.selectbox(
                "Pixel space",
                names,
                index=names.index(options.profile or DETECTED),
                format_func=lambda name: name if name == DETECTED else f"{name}: {PROFILES[name].evidence}",
                key=f"profile {record.id}",
            )
            options = replace(options, profile=None if profile == DETECTED else profile)
        repeat = st.number_input(
            "Repeat or step", min_value=0, value=options.repeat, placeholder="first", key=f"repeat {record.id}"
        )
        options = elsewhere_fields(replace(options, repeat=repeat), record.id)
        if options != record.options:
            act(lambda: change_options(record.id, options))
        _forget_button(record)


def _forget_button(record: SetRecord) -> None:
    words = "Takes it off this list. Its files and its decisions stay."
    if st.button("Forget this set", help=words, key=f"forget {record.id}"):
        act(lambda: forget(record.id))


def _list_of_sets(records: list[SetRecord]) -> None:
    if len(records) < 2:
        return
    st.subheader("All open sets")
    table = [
        {
            "name": r.name,
            "method": r.method,
            "format": r.format,
            "samples": r.n,
            "classes": r.num_classes,
            "path": str(r.path),
        }
        for r in records
    ]
    chosen = st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        alt="All open sets",
    )
    if chosen.selection.rows:
        switch_to(records[chosen.selection.rows[0]].id)
        st.rerun()


def _kind(name: str, source: SoftLabels, distilled_set: DistilledSet) -> str:
    if name in distilled_set.derived_sources:
        return f"{source.kind}, corrected here"
    return source.kind if source.one_row_each else f"{source.kind} of crops"


def _stored_rows(source: SoftLabels) -> int:
    return source.tree.rows if isinstance(source, AugmentedSoftLabels) else len(source)


def _span(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _shape(distilled_set: DistilledSet) -> str:
    if distilled_set.images is None:
        return "none"
    shape = distilled_set.images.shape
    return "sizes differ" if shape is None else "×".join(map(str, shape))
