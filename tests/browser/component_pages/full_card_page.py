"""A decision card with all that the app puts on it, over events kept in memory.

?classes=, ?px= and ?n= make the set; ?window= items are sent ahead; ?blind, ?imageless and ?sources=; a button reopens 5.
"""

from pathlib import Path

import numpy as np
import streamlit as st
import torch

from app.candidates import candidate_classes, looks
from app.components.decision_card import CardItem, Reopened, Suggestion, decision_card
from app.components.event_queue import Event
from app.components.label_editor import editor_data
from app.components.soft_label_bars import bars_data
from app.images import large
from app.near_images import Nearness
from app.sample_panel import label_bars
from app.stored_view import stored_view
from data.distilled_set import DistilledSet, Provenance, Reference
from data.soft_labels import DenseSoftLabels, SoftLabels
from tests.browser.component_pages.pictures import CLASSES, images


def asked(name: str, default: int) -> int:
    return int(st.query_params.get(name, default))


@st.cache_resource
def names_of(classes: int) -> tuple[str, ...]:
    long = "a name that is as long as those of WordNet synsets, "
    return CLASSES if classes == 10 else tuple(f"{CLASSES[i % 10]} {long if i % 3 == 1 else ''}{i}" for i in range(classes))


@st.cache_resource
def made(n: int, px: int, classes: int, sources: int, imageless: bool) -> DistilledSet:
    labels = np.arange(n) % min(classes, n)
    chance = np.random.default_rng(0)
    values = {f"teacher {k}": soft(chance.normal(size=(n, classes)) * 3) for k in range(sources)}
    shared = {"name": "made", "labels": labels, "class_names": names_of(classes), "label_sources": values}
    provenance = Provenance(Path("made"), "made", "", ())
    if imageless:
        return DistilledSet(**shared, provenance=provenance)
    real = Reference(images(400), np.arange(400) % classes)
    return DistilledSet(**shared, provenance=provenance, images=images(n, px), reference=real)


def soft(logits: np.ndarray) -> SoftLabels:
    return DenseSoftLabels(torch.from_numpy(logits.astype(np.float32)), "logits")


@st.cache_resource
def said_in(run: str) -> list[Event]:
    """What a workspace would keep: it outlives sessions."""
    return []


@st.cache_data(show_spinner=False)
def full_item(i: int, n: int, px: int, classes: int, sources: int, imageless: bool, blind: bool, contrast: str) -> CardItem:
    distilled_set = made(n, px, classes, sources, imageless)
    view = None if imageless else stored_view(distilled_set.images, i, contrast)
    image = "" if imageless else large(distilled_set.images, i, contrast)
    base = {"id": i, "image": image, "stored": view.image if view else "", "stored_words": view.words if view else ""}
    if blind:
        return CardItem(**base, given=None)
    given, other = int(distilled_set.labels[i]), int(distilled_set.labels[i] + 2) % classes
    suggestion = Suggestion("relabel", other, evidence="Suggestions: it gets 91% here") if i % 2 == 0 else None
    bars = label_bars(distilled_set, i)
    near = Nearness(None if imageless else distilled_set.images.unit(range(n)).flatten(1)[:, ::97].numpy(), "pixels")
    candidates = candidate_classes(given, None, other if suggestion else None, bars)
    return CardItem(
        **base,
        given=given,
        pruned=i == 2,
        suggestion=suggestion,
        note="flagged by head and tail, soft-label facts, suggestions, hardness",
        bars=bars_data(distilled_set.class_names, bars, given=given, suggested=other if suggestion else None),
        soft=editor_data(distilled_set, i),
        near=looks(distilled_set, i, candidates, near, [], contrast),
        decided="You decided: relabelled to cat, 3 min ago" if i == 5 else "",
    )


run = st.query_params.get("run", "default")
n, window = asked("n", 60), asked("window", 40)
shape = (n, asked("px", 32), asked("classes", 10), asked("sources", 3), "imageless" in st.query_params)
contrast = st.query_params.get("contrast", "as trained")
said = said_in(run)


def commit(events: list[Event]) -> None:
    said.extend(events)


latest = {event.sample_id: event.action for event in said}
todo = [i for i in range(n) if latest.get(i, "undo") == "undo"]
if st.button("reopen 5"):
    st.session_state["reopened"], st.session_state["turns"] = 5, st.session_state.get("turns", 0) + 1
again = st.session_state.get("reopened")
shown = todo[:window] + ([again] if again is not None and again not in todo[:window] else [])
decision_card(
    [full_item(i, *shape, "blind" in st.query_params, contrast) for i in shown],
    names_of(shape[2]),
    key="card",
    scope=run,
    remaining=len(todo) + (len(shown) > len(todo[:window])),
    commit=commit,
    reopened=None if again is None else Reopened(again, st.session_state["turns"], again in todo[:window]),
)


def line(event: Event) -> str:
    soft = "" if event.soft is None else dict(zip(event.soft.classes, event.soft.values, strict=True))
    parts = (event.action, event.sample_id, event.label, event.reason, soft)
    return " ".join(str(part) for part in parts if part not in (None, ""))


st.code("\n".join(map(line, said)) or "nothing yet", language=None)
