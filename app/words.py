"""Text from files and from people, made safe to show: Streamlit takes nearly every string for Markdown."""

from __future__ import annotations

import re

import streamlit as st

from data.distilled_set import GIVEN
from data.plain_text import one_line

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")

_ADDRESS = re.compile(r"(?i)(https?|www)(?=\\[:.])")
_JOINER = "\u2060"
"""Takes no room and allows no line break."""


def plain(text: object) -> str:
    """``text`` on one line with every Markdown mark escaped, so that a name can neither format the page, nor link, nor load
    a picture from elsewhere. A bare web address, which Markdown would link in spite of that, is parted by an invisible mark.
    """
    return _ADDRESS.sub(rf"\1{_JOINER}", _MARKS.sub(r"\\\1", one_line(str(text))))


def source_title(name: str) -> str:
    """A label source as people read it."""
    return "given soft label" if name == GIVEN else name


def show_error(error: object) -> None:
    """One sentence that says what is wrong; it may name files, so nothing in it counts as Markdown."""
    st.error(plain(error), icon=":material/error:")
