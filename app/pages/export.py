"""Export: what will change, by class, before it is written; then the files and their manifest."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from app.exports import proposed_folder
from app.figures import before_after_chart
from app.labels_choice import labels_section
from app.mixes import mixes_section
from app.roles import require
from app.selection import current_set
from app.services import services
from app.shown_figure import show_figure
from app.shown_table import show_table
from app.task_panel import act, is_under_way, task_panel
from app.words import show_error
from data.curation import CuratedSet, Mixes, curate
from data.errors import StillroomError
from data.export import export
from data.export_plan import ExportPlan, plan
from data.formats import FORMATS
from data.labels_to_write import LabelsToWrite, with_labels
from data.workspace import SetRecord

KIND, TITLE = "export", "Export"
MOST_DOWNLOAD = 256 << 20
SAME_LAYOUT = "the same as it came"


def export_page() -> None:
    record, distilled_set = current_set()
    st.title("Export")
    try:
        curated = curate(distilled_set, services().workspace.states(record.id))
    except StillroomError as error:
        show_error(error)
        return
    above = st.container()
    wanted = labels_section(record, distilled_set)
    with above:
        _show_plan(curated, plan(curated, with_rows=False), as_it_came=wanted == LabelsToWrite())
    _write_form(record, mixes_section(record, curated), wanted)
    task_panel(record.id, KIND, _written)


def _show_plan(curated: CuratedSet, planned: ExportPlan, as_it_came: bool) -> None:
    figures = [
        ("Samples written", f"{len(curated.kept):,} of {len(curated.original):,}"),
        ("Pruned", f"{len(curated.pruned):,}"),
        ("Relabelled", f"{len(curated.relabelled):,}"),
        ("Softened", f"{len(curated.softened):,}"),
    ]
    for column, (label, value) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, value)
    if curated.unchanged and not as_it_came:
        st.caption("Nothing is decided that would change the set; its soft labels are written as chosen below.")
        return
    if curated.unchanged:
        st.info(
            "Nothing is decided that would change the set: what is written equals what was read, bit for bit. "
            "Relabel or prune on the **Decide** or **Browse** page first.",
            icon=":material/info:",
        )
        return
    table = planned.table()
    show_figure(before_after_chart(table), key="before and after")
    with st.expander("By class", expanded=len(table) <= 20):
        show_table(table, "Samples by class, before and after")


def _write_form(record: SetRecord, curated: CuratedSet, wanted: LabelsToWrite) -> None:
    with st.form(f"export {record.id}"):
        place, layout = st.columns([3, 1])
        folder = place.text_input("Folder to write, new or empty", value=proposed_folder(record))
        chosen = layout.selectbox("Layout", [SAME_LAYOUT, *FORMATS])
        words = f"Write {len(curated.kept):,} samples"
        pressed = st.form_submit_button(
            words, type="primary", icon=":material/output:", disabled=is_under_way(record.id, KIND)
        )
    if not pressed:
        return
    out, name = Path(folder).expanduser(), None if chosen == SAME_LAYOUT else chosen
    act(lambda: start_export(record.id, wanted, out, name, curated.mixes))


def start_export(set_id: str, wanted: LabelsToWrite, out: Path, name: str | None, mixes: Mixes) -> None:
    """Begin to write the set as it is decided by now, in the format ``name``, None for its own. Raises NotAllowed, or
    ImpossibleRequest."""
    require("export")
    workspace = services().workspace
    labelled = with_labels(workspace.load(set_id), wanted, name)
    written = replace(curate(labelled, workspace.states(set_id)), mixes=mixes)
    decisions = workspace.decisions(set_id)
    services().tasks.start(set_id, KIND, TITLE, lambda progress: export(written, decisions, out, name, progress))


def _written(manifest: Path) -> None:
    if not manifest.is_file():
        return
    written = json.loads(manifest.read_text())
    st.success(f"Written to `{manifest.parent}`.", icon=":material/check_circle:")
    st.dataframe(pd.DataFrame(written["written_files"]), hide_index=True, width="stretch", alt="Files written")
    with st.expander("manifest.json"):
        st.json(written, expanded=1)
    total = sum(file["bytes"] for file in written["written_files"])
    if total <= MOST_DOWNLOAD:
        st.download_button(
            "Download as zip", lambda: _zipped(manifest.parent), f"{manifest.parent.name}.zip", icon=":material/download:"
        )
    else:
        st.caption(f"{total / 1e9:.1f} GB: fetch it from the folder.")


def _zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(folder))
    return out.getvalue()
