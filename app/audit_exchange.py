"""Decisions from and to other programs, on the Audit page."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.notes import notes
from app.roles import may, require
from app.selection import annotator
from app.services import services
from app.task_panel import act
from app.uploads import safe_name
from app.words import plain, show_error
from data.decisions import Decision
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.exchange import AUTO, FORMATS, Matched, What, finding_of, load, names_of, save
from data.exchange.common import MOST_BYTES
from data.exchange.fiftyone_tags import NAME as FIFTYONE
from data.exchange.matching import annotators, new_to
from data.log_pages import IMPORTED, ImportedBatch
from data.plain_text import several
from data.workspace import SetRecord

READS = (
    "It reads JSON lines or parquet that Stillroom wrote; CSV with a column sample_id or file, and action or label; Label "
    "Studio's JSON or CSV; FiftyOne's samples.json or CSV. Samples are found by id or file name, classes by name or index. "
    "What is in the file is shown before anything is stored."
)
TYPES = ["jsonl", "parquet", "csv", "tsv", "json", "txt"]
WORDS: dict[What, str] = {"log": "The whole log", "state": "The current state"}


@dataclass(frozen=True)
class _Looked:
    """A file that was read: what of it is new here, and how much was here already."""

    matched: Matched
    new: list[Decision]

    @property
    def known(self) -> int:
        return len(self.matched.decisions) - len(self.new)


def export_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """A file of the log or of the state, to be fetched by the browser."""
    left, right = st.columns([2, 1])
    chosen = left.selectbox("Format", list(FORMATS), format_func=_title, key=f"audit format {record.id}")
    module = FORMATS[chosen]
    whats = ["state"] if chosen == FIFTYONE else list(WORDS)
    what = right.radio("What", whats, format_func=WORDS.__getitem__, key=f"audit what {record.id} {chosen}", horizontal=True)
    st.caption(f"{module.CANNOT} The current state is the decisions that each sample's label, or its prune, rests on now.")
    name = "samples.json" if chosen == FIFTYONE else f"{safe_name(record.name)}-{what}{module.SUFFIX}"

    def made() -> bytes:
        log = (decision for chunk in services().workspace.log(record.id).chunks() for decision in chunk)
        with tempfile.TemporaryDirectory() as folder:
            save(log, what, chosen, names_of(distilled_set), Path(folder) / name)
            return (Path(folder) / name).read_bytes()

    st.download_button(f"Download {name}", made, name, type="primary", icon=":material/download:")


def import_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """A file of decisions: what it says is shown first, and stored when the person says so."""
    count = f"audit imported {record.id}"
    key = f"audit upload {record.id} {st.session_state.get(count, 0)}"
    left, right = st.columns([2, 1])
    file = left.file_uploader("A file of decisions", TYPES, key=key, max_upload_size=MOST_BYTES >> 20)
    chosen = right.selectbox("Format", [AUTO, *FORMATS], format_func=_title, key=f"audit from {record.id}")
    if file is None:
        st.caption(READS)
    else:
        try:
            looked = _look(record, distilled_set, file, chosen)
        except StillroomError as error:
            show_error(error)
        else:
            _offer(record, looked, count)
    _imported(record)


def _look(record: SetRecord, distilled_set: DistilledSet, file: UploadedFile, chosen: str) -> _Looked:
    """Read the upload, once. It is read from a folder of its own under a plain name, and nothing of it stays there."""
    key, asked = f"audit read {record.id}", (file.file_id, chosen, annotator())
    if st.session_state.get(key, (None,))[0] != asked:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / safe_name(file.name)
            place.write_bytes(file.getbuffer())
            matched = load(place, chosen, names_of(distilled_set), annotator(), finding_of(place, annotator()))
        st.session_state[key] = (asked, matched)
    matched = st.session_state[key][1]
    return _Looked(matched, _new(record, matched))


def _new(record: SetRecord, matched: Matched) -> list[Decision]:
    """What of it is not in the log yet."""
    ids = sorted({decision.sample_id for decision in matched.decisions})
    return new_to(matched.decisions, services().workspace.log(record.id).standing(ids) if ids else [])


def _offer(record: SetRecord, looked: _Looked, count: str) -> None:
    """What the file says, and the button that stores it."""
    matched, new = looked.matched, looked.new
    for problem in matched.problems:
        show_error(problem)
    notes("About this file", _about(record, looked))
    if not new:
        st.info("There is nothing in it to import.", icon=":material/info:")
        return
    words = f"Import the {len(new):,} valid ones" if matched.refused else f"Import {len(new):,} decisions"
    if st.button(words, type="primary", icon=":material/upload:"):

        def store() -> None:
            require("import")
            services().workspace.decide_many(record.id, _new(record, matched))  # somebody may have imported it meanwhile
            st.session_state[count] = st.session_state.get(count, 0) + 1
            st.toast(f"{len(new):,} decisions imported, saved.", icon=":material/check:")

        act(store)


def _about(record: SetRecord, looked: _Looked) -> list[str]:
    new, log = looked.new, services().workspace.log(record.id)
    said = list(looked.matched.notes)
    if looked.known:
        said.append(f"{looked.known:,} of its decisions are here already, or stand in it twice, and are not imported again.")
    if not new:
        return said
    by_action = Counter(decision.action for decision in new)
    actions = ", ".join(f"{n:,} × {action}" for action, n in by_action.most_common())
    samples = {decision.sample_id for decision in new}
    said.append(f"New: {actions}, about {len(samples):,} samples.")
    unknown = sorted(set(annotators(new)) - set(log.named("annotator")))
    if unknown:
        said.append(f"Annotators who have decided nothing here yet: {several(unknown)}.")
    decided = len({entry.sample_id for entry in log.standing(sorted(samples))})
    if decided:
        said.append(f"{decided:,} of these samples are decided here already; what is imported comes after that, and counts.")
    return said


def _imported(record: SetRecord) -> None:
    batches = services().workspace.log(record.id).imports()
    if not batches:
        return
    st.subheader("Imported before")
    for batch in batches:
        _batch(record, batch)


def _batch(record: SetRecord, batch: ImportedBatch) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    name = plain(batch.finding.removeprefix(IMPORTED))
    left = "all stand" if batch.left == batch.entries else f"{batch.left:,} stand"
    row.markdown(f"**{name}**: {batch.entries:,} decisions, {left}", width="content")
    if batch.left and may("undo others"):

        def undo() -> None:
            require("undo others")
            gone = services().workspace.take_back(record.id, batch.batch, annotator())
            st.toast(f"{gone:,} decisions taken back.")

        if row.button("Take back", icon=":material/undo:", key=f"take back {record.id} {batch.batch}"):
            act(undo)


def _title(name: str) -> str:
    return "by what it looks like" if name == AUTO else FORMATS[name].TITLE
