"""A table of findings on a page: headings in words, numbers as short as they are sure, the first column always in sight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.column_words import NO_CLASS, words
from app.table_figures import is_measure

LONG_TEXT = 32


def show_table(table: pd.DataFrame, name: str) -> None:
    """``table`` as wide as its place; a value that is not known is a dash. ``name`` is what it is called without sight."""
    columns = column_settings(table)
    st.dataframe(table, column_config=columns, hide_index=True, width="stretch", placeholder=NO_CLASS, alt=name)


def column_settings(table: pd.DataFrame) -> dict[str, Any]:
    """Streamlit's setting of each column."""
    return {
        column: st.column_config.NumberColumn(words(column), format="localized" if _is_whole(values) else "%.4g")
        if is_measure(values)
        else st.column_config.Column(words(column), pinned=place == 0, width=_width(values) if place else None)
        for place, (column, values) in enumerate(table.items())
    }


def _is_whole(values: pd.Series) -> bool:
    """Whether every digit counts: numbers of things, which are floats where some of them are not known."""
    known = values.dropna().to_numpy(dtype=float)
    return bool((np.isfinite(known) & (known == np.rint(known))).all())


def _width(values: pd.Series) -> str | None:
    """Long texts would push the numbers out of sight; a double click shows them whole."""
    return "medium" if values.astype(str).str.len().max() > LONG_TEXT else None
