"""One sample's soft labels from every source, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from data.soft_labels import Kind

MOST_CLASSES = 8

_HERE = Path(__file__).parent
BARS_JS = (_HERE / "bars.js").read_text(encoding="utf-8")
BARS_CSS = (_HERE / "soft_label_bars.css").read_text(encoding="utf-8")
_mount = st.components.v2.component(
    "stillroom_soft_label_bars",
    js=BARS_JS + (_HERE / "soft_label_bars.js").read_text(encoding="utf-8"),
    css=BARS_CSS,
)


@dataclass(frozen=True, eq=False)
class BarSource:
    """What one label source says about one sample: ``probabilities`` (C,), and the ``kind`` that is stored; "corrected" says
    that they were computed from another source and are no opinion."""

    name: str
    kind: Kind | Literal["corrected", "hard"]
    probabilities: np.ndarray


def soft_label_bars(
    class_names: Sequence[str],
    sources: Sequence[BarSource],
    *,
    key: str,
    given: int | None = None,
    suggested: int | None = None,
    most: int = MOST_CLASSES,
) -> None:
    """Show the bars. See ``bars_data`` for which classes appear."""
    _mount(key=key, data=bars_data(class_names, sources, given=given, suggested=suggested, most=most))


def bars_data(
    class_names: Sequence[str],
    sources: Sequence[BarSource],
    *,
    given: int | None = None,
    suggested: int | None = None,
    most: int = MOST_CLASSES,
) -> dict[str, Any]:
    """What the browser draws: the ``most`` classes with the highest probability in any source, then all others as one.

    The given and the suggested class are always among them, however little they get. Classes are ordered by that highest
    probability, ties by number.
    """
    named = [{"name": source.name, "kind": source.kind} for source in sources]
    if not sources:
        return {"sources": named, "rows": [], "other": None}
    values = np.stack([np.asarray(source.probabilities, dtype=np.float64) for source in sources])
    shown = _shown_classes(values.max(axis=0), {given, suggested} - {None}, most)
    rows = [
        {"name": class_names[c], "given": c == given, "suggested": c == suggested, "values": values[:, c].tolist()}
        for c in shown
    ]
    rest = np.delete(values, shown, axis=1)
    other = {"count": rest.shape[1], "values": rest.sum(axis=1).tolist()} if rest.shape[1] else None
    return {"sources": named, "rows": rows, "other": other}


def _shown_classes(highest: np.ndarray, always: set[int], most: int) -> list[int]:
    order = np.argsort(-highest, kind="stable").tolist()
    room = max(most - len(always), 0)
    chosen = always | set([c for c in order if c not in always][:room])
    return [c for c in order if c in chosen]
