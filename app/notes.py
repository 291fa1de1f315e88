"""Things worth knowing that are no alarm: how files were read, what a number rests on."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.words import plain


def notes(title: str, sentences: Sequence[str]) -> None:
    """``sentences`` in a quiet frame under ``title``; nothing where there are none."""
    if not sentences:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown(f":material/info: **{title}**")
        lines = [plain(as_sentence(sentence)) for sentence in sentences]
        st.caption("\n".join(f"- {line}" for line in lines) if len(lines) > 1 else lines[0])


def as_sentence(text: str) -> str:
    """``text`` with a capital and a full stop; a file name in front stays as it is written."""
    first = text.split(" ", 1)[0].rstrip(",:;")
    start = text[:1].upper() + text[1:] if first.replace("'", "").isalpha() else text
    return start if start.endswith((".", "!", "?")) else f"{start}."
