"""The label sources that were made by corrections: their names, what made them, and a way to remove them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.corrections.registry import Correction
from analysis.findings import SHARE, Figure
from app.column_words import words
from app.roles import may, require
from app.services import services
from app.task_panel import act
from app.words import plain, show_error
from data.derived_sources import MOST_LETTERS, RECIPE, read_derived
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.workspace import SetRecord

SHORT = 16


@dataclass(frozen=True)
class Made:
    """A derived source as the list shows it; one that is damaged has its ``trouble`` and a number for a name."""

    folder: Path
    name: str
    how: str = ""
    found: str = ""
    at: str = ""
    trouble: str = ""


def made_sources(folders: tuple[Path, ...], distilled_set: DistilledSet) -> list[Made]:
    """Oldest first. ``distilled_set`` has those that fit it among its derived sources. No Streamlit."""
    left_out = [warning for warning in distilled_set.provenance.warnings if "label source is left out" in warning]
    shown: list[Made] = []
    for folder in folders:
        try:
            held = read_derived(folder)
            at = f"{datetime.fromtimestamp((folder / RECIPE).stat().st_mtime):%Y-%m-%d %H:%M}"
        except (StillroomError, OSError) as error:
            shown.append(Made(folder, f"number {folder.name}", trouble=str(error)))
            continue
        twice = held.name in {made.name for made in shown}
        trouble = ""
        if twice or held.name not in distilled_set.derived_sources:
            trouble = next((w for w in left_out if str(folder) in w or f"'{held.name}'" in w), "It does not fit this set.")
        shown.append(Made(folder, held.name, recipe_words(held.recipe), found_words(held.recipe), at, trouble))
    return shown


def recipe_words(recipe: Mapping[str, Any]) -> str:
    """How labels were made, on one line."""
    title = str(recipe.get("title") or recipe.get("correction") or "unknown")
    source = f" of {recipe['source']}" if recipe.get("source") else ""
    parameters = recipe.get("parameters")
    chosen = [f"{words(str(k))} {_short(v)}" for k, v in parameters.items()] if isinstance(parameters, dict) else []
    return f"{title}{source}{': ' if chosen else ''}{', '.join(chosen)}"


def found_words(recipe: Mapping[str, Any]) -> str:
    """What was estimated, on one line."""
    found = recipe.get("found")
    figures = [figure for figure in found if isinstance(figure, dict)] if isinstance(found, list) else []
    told = [(f.get("label"), f.get("value")) for f in figures if isinstance(f.get("value"), int | float)]
    return ", ".join(f"{label} {value:.3g}" for label, value in told)


def proposed_name(
    source: str, entry: Correction, parameters: Mapping[str, Any], found: tuple[Figure, ...], taken: Container[str]
) -> str:
    """ "teacher medium, ADSA tau 1.35": the source, the correction and its one number, where it has one."""
    title = entry.title.split(":")[0].strip()
    first, number = next(iter(found), None), ""
    if first is not None and _is_setting(first):
        number = f"{first.label.lower()} {first.value:.3g}"
    elif len(entry.parameters) == 1:
        (name,) = parameters
        number = _short(parameters[name]) if name in title.lower() else f"{words(name)} {_short(parameters[name])}"
    whole = ", ".join(filter(None, (source, f"{title} {number}".strip())))[: MOST_LETTERS - 5]
    numbered = [whole, *(f"{whole} ({place})" for place in range(2, 1000))]
    return next((name for name in numbered if name not in taken), whole)


def sources_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """The list, with a button to remove each."""
    folders = services().workspace.derived(record.id)
    if not folders:
        return
    st.subheader("Corrected label sources")
    st.caption(
        "They can be chosen wherever a label source is, and written on the **Export** page. They are computed, so no "
        "committee counts them as an opinion."
    )
    for made in made_sources(folders, distilled_set):
        _line(record, made)


def _is_setting(figure: Figure) -> bool:
    """Whether it is a number that the labels are made with, such as a tau; a share is measured on them."""
    return figure.value is not None and figure.unit != SHARE and len(figure.label) <= SHORT


def _line(record: SetRecord, made: Made) -> None:
    with st.container(border=True):
        words_, button = st.columns([9, 1], vertical_alignment="center")
        with words_:
            st.markdown(f"**{plain(made.name)}**" + (f" :gray[· {made.at}]" if made.at else ""))
            if made.trouble:
                show_error(made.trouble)
            for line in filter(None, (made.how, made.found)):
                st.caption(plain(line))
        if not may("sets"):
            return
        with button.popover("", icon=":material/delete:", help=f"Remove {made.name}"):
            st.markdown(f"Remove **{plain(made.name)}**? Findings that were made with it stay.")
            if st.button("Remove", type="primary", key=f"remove {record.id} {made.folder.name}"):
                act(lambda: _remove(record.id, made.folder))


def _remove(set_id: str, folder: Path) -> None:
    require("sets")
    services().workspace.remove_derived(set_id, folder)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
