"""One sample's soft label, edited: bars to drag, mass to move, other labels to mix in; and the original beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from analysis.label_edits import entropy
from app.components.card_parts import PARTS_CSS, PARTS_JS
from app.components.event_queue import Event
from app.components.inbox import Inbox
from app.components.soft_label_bars import BARS_JS
from app.standing_labels import STANDING, as_decided, given_rows
from app.words import source_title
from data.decisions import SampleState
from data.distilled_set import GIVEN, DistilledSet
from data.errors import StillroomError
from data.soft_labels import SoftLabels

MOST_LISTED = 48
"""Classes of each source that are told by name where a set has more than ``MOST_LISTED``: a card brings a dozen of these."""
MOST_TOLD = 4 * MOST_LISTED
"""Classes of all sources together: a hundred sources that agree on nothing would else weigh megabytes a sample."""
SHOWN = 6
DIGITS = 7

_HERE = Path(__file__).parent
_PARTS = ("mass.js", "label.js", "rows.js", "tools.js", "editor.js")
_INSIDE = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _PARTS)
EDITOR_JS = f"const LabelEditor = (() => {{\n{_INSIDE}\nreturn LabelEditor;\n}})();\n"
"""``LabelEditor``, its other names kept to itself. It takes node (BARS_JS), keyButton and ClassSearch (PARTS_JS) from the
component that it is part of."""
EDITOR_CSS = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("editor.css", "tools.css"))
_mount = st.components.v2.component(
    "stillroom_label_editor",
    js="\n".join([BARS_JS, PARTS_JS, EDITOR_JS, (_HERE / "panel.js").read_text(encoding="utf-8")]),
    css=PARTS_CSS + EDITOR_CSS,
)

_inbox = Inbox(Event)


def label_editor(
    label: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    key: str,
    scope: str,
    commit: Callable[[list[Event]], None],
) -> None:
    """A button that opens the editor on ``label``, as ``editor_data`` gives it. What is saved is one soften.

    ``scope`` names the set, to which edits that wait in a browser belong, also after a reload. ``commit`` gets each event
    once while this process lives; where it raises StillroomError the browser says so, keeps it, and offers it again.
    """
    data = {"label": dict(label), "class_names": list(class_names), "scope": scope, **_inbox.answer(key)}
    _mount(key=key, data=data, on_events_change=lambda: _inbox.settle(key, commit))


def editor_data(
    distilled_set: DistilledSet,
    sample_id: int,
    state: SampleState | None = None,
    most: int = MOST_LISTED,
) -> dict[str, Any] | None:
    """What ``read_editor_data`` gives; None where the label of the sample cannot be read."""
    try:
        return read_editor_data(distilled_set, sample_id, state, most)
    except StillroomError:
        return None


def read_editor_data(
    distilled_set: DistilledSet,
    sample_id: int,
    state: SampleState | None = None,
    most: int = MOST_LISTED,
) -> dict[str, Any]:
    """What the editor opens with. Raises StillroomError where the label of the sample cannot be read.

    ``classes`` are listed: all of them, or of more than ``most`` the ``most`` most probable of every label source, of the
    original and of the label that stands (MOST_TOLD together), and the given one. Every distribution ``p`` has a number for
    each, and last what all other classes have together, whose own entropy in nats is ``restEntropy``. ``base`` names a
    distribution in an edit. The first ``shown`` have a bar of their own from the start.
    """
    state = state or SampleState()
    rows = _distributions(distilled_set, sample_id, state)
    given = int(distilled_set.labels[sample_id])
    classes = _listed([p for _, _, p in rows], {given}, most)
    told = [_told(base, title, p, classes) for base, title, p in rows]
    original, start, *sources = told
    return {
        "sample": sample_id,
        "given": given,
        "num_classes": distilled_set.num_classes,
        "classes": classes,
        "original": original,
        "start": start,
        "sources": sources,
        "shown": SHOWN,
        "note": "",
    }


def _distributions(
    distilled_set: DistilledSet, sample_id: int, state: SampleState
) -> list[tuple[str | None, str, np.ndarray]]:
    """(base, title, (C,)) of the original, of the label that stands, and of every source that says something."""
    given = given_rows(distilled_set, [sample_id])  # once: of a relabelled tree it is a file or many
    changed = state.label is not None or state.soft_label is not None
    own = GIVEN if GIVEN in distilled_set.label_sources else None
    original = (own, "original", given[0])
    standing = as_decided(given, [state])[0]
    start = (STANDING if changed else own, STANDING, standing)

    def row(name: str, source: SoftLabels) -> np.ndarray:
        return given[0] if name == own else source.probabilities([sample_id])[0].numpy().astype(np.float64)

    read = [(name, source_title(name), row(name, source)) for name, source in distilled_set.selectable_sources.items()]
    if not np.isfinite(standing).all() or not np.isfinite(original[2]).all():
        raise StillroomError(f"the label of sample {sample_id} holds numbers that are none")
    return [original, start, *(one for one in read if np.isfinite(one[2]).all())]


def _listed(rows: list[np.ndarray], always: set[int], most: int) -> list[int]:
    """Ascending; of more than MOST_TOLD those that get most of any."""
    num_classes = len(rows[0])
    if num_classes <= most:
        return list(range(num_classes))
    top = {int(c) for p in rows for c in np.argsort(-p, kind="stable")[:most] if p[c] > 0}
    if len(top) > MOST_TOLD:
        highest = np.max(rows, axis=0)
        top = set(sorted(top, key=lambda c: (-highest[c], c))[:MOST_TOLD])
    return sorted(top | always)


def _told(base: str | None, title: str, p: np.ndarray, classes: list[int]) -> dict[str, Any]:
    others = np.delete(p, classes)
    rest = float(others.sum())
    values = [float(f"{value:.{DIGITS}g}") for value in [*p[classes].tolist(), rest]]
    own = float(entropy(others / rest)) if rest > 0 else 0.0
    return {"base": base, "title": title, "p": values, "restEntropy": round(own, 6)}
