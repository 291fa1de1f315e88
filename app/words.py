"""Text from files and from people, made safe to show: Streamlit takes nearly every string for Markdown."""

from __future__ import annotations

import re

import streamlit as st

from data.plain_text import one_line

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def plain(text: object) -> str:
    """``text`` on one line with every Markdown mark escaped, so that a name can neither format the page, nor link, nor load
    a picture from elsewhere."""
    return _MARKS.sub(r"\\\1", one_line(str(text)))


def show_error(error: object) -> None:
    """One sentence that says what is wrong; it may name files, so nothing in it counts as Markdown."""
    st.error(plain(error), icon=":material/error:")
