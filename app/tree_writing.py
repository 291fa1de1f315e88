"""Writing a pruned relabelled tree, from the label budget's page: what to keep, the writing, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import streamlit as st

from analysis.budget.selection import By, End, Rank, Rule, select
from analysis.budget.sizes import Sizes
from analysis.context import Context
from app.background import Progress
from app.exports import proposed_folder
from app.notes import notes
from app.roles import may, require
from app.services import services
from app.sizes import size_words
from app.task_panel import act, is_under_way, task_panel
from app.words import plain
from data.distilled_set import GIVEN, DistilledSet
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.fkd import FkdTree
from data.relabelled.plans import TreePlan, WrittenTree
from data.relabelled.write import write_tree
from data.workspace import SetRecord

KIND, TITLE = "pruned tree", "Writing the pruned tree"
CHOOSING = 0.3
"""The part of the progress that ranking the batches takes, where they are ranked by what is in them."""
FORM_PX, FIELD_PX = 800, 240
"""Three fields beside each other where there is room, two where there is less."""
BY_WORDS: dict[By, str] = {
    "batch": "single batches",
    "epoch": "whole epochs",
    "batch_to_epoch": "single batches, made into whole epochs",
}
RANK_WORDS: dict[Rank, str] = {
    "random": "any, at random",
    "first": "the first ones (LPLD's own choice)",
    "confidence": "by the teacher's confidence",
    "margin": "by its lead over the second choice",
    "distinct classes": "by how many classes it sees",
}
END_WORDS: dict[End, str] = {"highest": "highest first", "lowest": "lowest first", "middle": "from the middle"}


@dataclass(frozen=True)
class Wish:
    """What to write: ``ratio`` of the batches go, 0 to below 1, chosen by ``rule``; ``plan`` says how the others are kept
    (its ``keep`` counts for nothing); ``out`` is the folder."""

    ratio: float
    rule: Rule
    plan: TreePlan
    out: Path


@dataclass(frozen=True)
class Pruned:
    """What came of a wish: ``kept`` of ``there`` batches, ``before`` bytes and what was ``written`` into ``out``."""

    out: Path
    kept: int
    there: int
    before: int
    written: WrittenTree


def carry_out(wish: Wish, source: AugmentedSoftLabels, labels: np.ndarray, progress: Progress) -> Pruned:
    """Choose the batches and write them. ``labels`` int64 (n,) are the classes of the set's samples.

    Raises ImpossibleRequest or UnreadableInput as ``select`` and ``write_tree`` do.
    """
    tree = source.tree
    of_images = np.full(tree.num_images, -1, np.int64)
    of_images[source.images] = labels
    keep = select(tree, of_images, wish.ratio, wish.rule, Context(report=progress).part(0.0, CHOOSING))
    writing = Context(report=progress).part(CHOOSING, 1.0)
    written = write_tree(tree, replace(wish.plan, keep=keep), wish.out, writing.report)
    return Pruned(wish.out, len(keep), len(tree), Sizes(tree).now, written)


def write_pruned_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """The section "Write a pruned tree"; nothing for a set without one."""
    source = distilled_set.label_sources.get(GIVEN)
    if not isinstance(source, AugmentedSoftLabels) or not may("export"):
        return
    st.subheader("Write a pruned tree")
    if isinstance(source.tree, FkdTree):
        st.caption("These soft labels are one file an image, not batches: there is nothing to choose. Prune images instead.")
        return
    st.caption(
        "Leaves out some of the soft labels and writes the others in the layout that the authors' own loader reads. Images "
        "are not touched, and files that stay as they are take no room of their own (they are hard links)."
    )
    _form(record, distilled_set, source)
    task_panel(record.id, KIND, _show_pruned)


def _form(record: SetRecord, distilled_set: DistilledSet, source: AugmentedSoftLabels) -> None:
    with st.form(f"prune {record.id}"):
        ratio, rule = _rule_fields()
        plan = _plan_fields(source.tree.num_classes)
        folder = st.text_input("Folder to write, new or empty", value=proposed_folder(record, "pruned"))
        pressed = st.form_submit_button(
            "Write the pruned tree", type="primary", icon=":material/content_cut:", disabled=is_under_way(record.id, KIND)
        )
    if not pressed:
        return
    wish = Wish(ratio, rule, plan, Path(folder).expanduser())
    tasks, labels = services().tasks, distilled_set.labels

    def start() -> None:
        require("export")
        tasks.start(record.id, KIND, TITLE, lambda progress: carry_out(wish, source, labels, progress))

    act(start)


def _rule_fields() -> tuple[float, Rule]:
    row = st.container(horizontal=True, vertical_alignment="bottom", width=FORM_PX)
    percent = row.number_input("Leave out, % of the batches", 0.0, 99.9, 90.0, 2.5, format="%.1f", width=FIELD_PX)
    by = row.selectbox("Leave out as", get_args(By), format_func=BY_WORDS.__getitem__, width=FIELD_PX)
    rank = row.selectbox("Which are kept", get_args(Rank), format_func=RANK_WORDS.__getitem__, width=FIELD_PX)
    end = row.selectbox(
        "Order",
        get_args(End),
        format_func=END_WORDS.__getitem__,
        help="Only where they are chosen by a measure.",
        width=FIELD_PX,
    )
    seed = row.number_input("Seed", 0, 2**31 - 1, 0, help="The same seed makes the same random choice.", width=FIELD_PX)
    balanced = row.toggle(
        "Keep classes even",
        width=FIELD_PX,
        value=False,
        help="Of the next batches in order, always the one that makes the crops of each class most even. Whole epochs are "
        "even as they are.",
    )
    return round(percent / 100, 6), Rule(by=by, rank=rank, end=end, balanced=balanced, seed=int(seed))


def _plan_fields(num_classes: int) -> TreePlan:
    row = st.container(horizontal=True, vertical_alignment="bottom", width=FORM_PX)
    top_k = row.number_input(
        "Classes kept of each label",
        1,
        num_classes,
        None,
        placeholder="all",
        help="Only the largest values are written, with their classes (top-k).",
        width=FIELD_PX,
    )
    half = row.toggle("Half precision", value=False, help="Values are written as float16: two bytes each.", width=FIELD_PX)
    quantise = row.toggle(
        "LPQLD's small types",
        value=False,
        help="Boxes and values as float16, mix partners and mix box as single bytes.",
        width=FIELD_PX,
    )
    flat = row.toggle(
        "One flat folder",
        width=FIELD_PX,
        value=False,
        help="LPQLD's layout: batch_k.tar and sampler_indices_batch.json instead of a folder an epoch.",
    )
    return TreePlan(
        keep=(),
        top_k=None if top_k is None else int(top_k),
        dtype="float16" if half else "as stored",
        quantise=quantise,
        layout="flat" if flat else "as stored",
    )


def _show_pruned(pruned: Pruned) -> None:
    written = pruned.written
    st.success(f"Written to {plain(pruned.out)}.", icon=":material/check_circle:")
    times = f"{pruned.before / written.bytes:.3g} times smaller" if written.bytes else ""
    figures = [
        ("Batches kept", f"{pruned.kept:,} of {pruned.there:,}", ""),
        ("Bytes before", size_words(pruned.before), ""),
        ("Bytes now", size_words(written.bytes), times),
        ("Files linked", f"{written.linked:,} of {len(written.paths):,}", "take no room of their own"),
    ]
    beside = st.container(horizontal=True, gap="large")
    for label, value, more in figures:
        with beside.container(width="content", gap="xxsmall"):
            st.metric(label, value, width="content")
            if more:
                st.caption(more)
    notes("What is different now", written.notes)
    st.caption("To use it, open the images and name this folder as their relabelled tree (**Sets**, or `--labels`).")
