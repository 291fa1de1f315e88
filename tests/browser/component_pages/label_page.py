"""The label editor over a log kept in memory: one sample of ?classes= classes; ?hard=1 without soft labels.

A box moves it to another place of the page, another one makes every save fail."""

from pathlib import Path

import numpy as np
import streamlit as st
import torch

from app.components.event_queue import Event
from app.components.label_editor import editor_data, label_editor
from app.standing_labels import edited_label
from data.decisions import Decision, SampleState, states
from data.distilled_set import GIVEN, DistilledSet, Provenance
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.browser.component_pages.pictures import names_of


@st.cache_resource
def log_of(run: str) -> list[Decision]:
    """What a workspace would keep: it outlives sessions."""
    return []


def made(classes: int, hard: bool) -> DistilledSet:
    values = torch.from_numpy(np.random.default_rng(3).normal(size=(2, 4, classes)).astype(np.float32) * 2)
    sources = {
        GIVEN: DenseSoftLabels(values[0], "logits"),
        "resnet-18": DenseSoftLabels(values[1].softmax(1), "probabilities"),
    }
    provenance = Provenance(Path("made.pt"), "dc", "made", ())
    return DistilledSet("made", np.arange(4), names_of(classes), provenance, label_sources={} if hard else sources)


run = st.query_params.get("run", "default")
most = int(st.query_params.get("most", 1000))
opened = made(int(st.query_params.get("classes", 10)), st.query_params.get("hard") == "1")
sample = int(st.query_params.get("sample", 1))
log = log_of(run)


def commit(events: list[Event]) -> None:
    if st.session_state.get("broken"):
        raise ImpossibleRequest("the disk is full; free some space.")
    for event in events:
        state = states(log).get(event.sample_id, SampleState())
        log.append(event.decision("tester", soft_label=edited_label(opened, event.sample_id, event.soft, state)))


label = editor_data(opened, sample, states(log).get(sample), most)
st.checkbox("broken", key="broken")
narrow = st.query_params.get("narrow") == "1"
place = st.expander("moved", expanded=True) if st.checkbox("moved") else st.container(width=300 if narrow else 740)
with place:
    label_editor(label, opened.class_names, key="editor", scope=run, commit=commit)
st.code(f"saved={len(log)} sum={sum(log[-1].soft_label):.6f}" if log else "saved=0")
if log:
    with st.container(key="label-log"):
        st.text(" ".join([f"{len(log)}:", *map(repr, log[-1].soft_label)]))
