"""An analysis's typed parameters as form fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from analysis.embedding import NAMES
from analysis.registry import Between, Embedding, Entry, LabelSource, Parameter
from analysis.sources.committee_names import committee_name, possible_rules
from app.column_words import capital, words
from data.distilled_set import DistilledSet

FIELDS_A_ROW = 3
FIELDS_IN_SIGHT = 6
MOST_IN_SIGHT = 9
"""A form of up to that many fields hides none; a longer one shows the first, and the others when they are asked for."""


def parameter_form(entry: Entry, distilled_set: DistilledSet) -> dict[str, Any]:
    """Draw every parameter's field, three a row; returns their values by name. Of many, those in front matter most."""
    if not entry.parameters:
        st.caption("There is nothing to set.")
    in_sight = len(entry.parameters) if len(entry.parameters) <= MOST_IN_SIGHT else FIELDS_IN_SIGHT
    values = _fields(entry, entry.parameters[:in_sight], distilled_set)
    rest = entry.parameters[in_sight:]
    if rest:
        with st.expander(f"More ({len(rest)})"):
            values |= _fields(entry, rest, distilled_set)
    return values


def _fields(entry: Entry, parameters: Sequence[Parameter], distilled_set: DistilledSet) -> dict[str, Any]:
    """Row by row, so that they are read in their order however narrow the page is."""
    values = {}
    for start in range(0, len(parameters), FIELDS_A_ROW):
        row = parameters[start : start + FIELDS_A_ROW]
        for column, parameter in zip(st.columns(FIELDS_A_ROW), row, strict=False):
            with column:
                values[parameter.name] = _field(parameter, distilled_set, f"{entry.name} {parameter.name}")
    return values


def _field(parameter: Parameter, distilled_set: DistilledSet, key: str) -> Any:
    title = capital(words(parameter.name))
    if isinstance(parameter.marker, LabelSource):
        return _label_source(title, parameter.marker.unnamed, distilled_set, key)
    if isinstance(parameter.marker, Embedding):
        return _embedding(parameter, title, key)
    if parameter.choices:
        return st.selectbox(title, parameter.choices, index=parameter.choices.index(parameter.default), key=key)
    if parameter.type is bool:
        return st.toggle(title, value=parameter.default, key=key)
    if parameter.type in (int, float):
        return _number(parameter, title, key)
    return st.text_input(title, value=parameter.default, key=key)


def _label_source(title: str, unnamed: str, distilled_set: DistilledSet, key: str) -> str:
    """One of the set's sources, or a committee of them; any other committee's name can be typed where one is possible."""
    rules = possible_rules(distilled_set)
    names = ["", *distilled_set.selectable_sources, *map(committee_name, rules)]
    typed = "A committee of your own is typed: committee: mean of A, B" if rules else None
    chosen = st.selectbox(
        title, names, format_func=lambda name: name or unnamed, key=key, accept_new_options=bool(rules), help=typed
    )
    return chosen or ""


def _embedding(parameter: Parameter, title: str, key: str) -> str:
    """One of the names, or the path of a model file."""
    default = NAMES.index(parameter.default) if parameter.default in NAMES else 0
    typed = (
        "A model file of your own (TorchScript, torch.export or ONNX) is typed as its path. Its graph is run: name only "
        "models you trust."
    )
    chosen = st.selectbox(title, NAMES, index=default, key=key, accept_new_options=True, help=typed)
    return (chosen or parameter.default).strip()


def _number(parameter: Parameter, title: str, key: str) -> float | int:
    bounds = parameter.marker if isinstance(parameter.marker, Between) else None
    low = None if bounds is None else parameter.type(bounds.low)
    high = None if bounds is None else parameter.type(bounds.high)
    step = 1 if parameter.type is int else 0.05
    return st.number_input(title, min_value=low, max_value=high, value=parameter.default, step=step, key=key)
