"""Streamlit's menu as lists that a screen reader can count: one for each section, named after it.

Streamlit puts the sections as plain boxes into one list, which is no valid list for anybody who hears it (WCAG 1.3.1).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_mount = st.components.v2.component(
    "stillroom_menu_lists", js=Path(__file__).with_name("menu_lists.js").read_text(encoding="utf-8")
)


def menu_lists() -> None:
    """To be called in the sidebar, whose menu it mends for as long as that is there; it shows nothing itself."""
    _mount(key="menu lists", height=1)
