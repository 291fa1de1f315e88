"""The peer of `benchmarks.pages`: a Streamlit page that shows its thumbnails as 100 `st.image`."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

from data.formats import open_set

A_PAGE = 100
A_ROW = 10


@st.cache_resource
def images():
    return open_set(Path(sys.argv[1])).images


@st.fragment
def grid() -> None:
    st.session_state.setdefault("page", 0)
    st.button("Next page", on_click=lambda: st.session_state.update(page=st.session_state["page"] + 1))
    first = st.session_state["page"] * A_PAGE
    for start in range(first, first + A_PAGE, A_ROW):
        for column, i in zip(st.columns(A_ROW), range(start, start + A_ROW), strict=True):
            column.image(images().viewable([i])[0], caption=str(i), width=96)


grid()
