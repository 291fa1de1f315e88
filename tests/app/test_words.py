"""Names from files are shown as they are, never as Markdown."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from app.words import plain
from data.plain_text import one_line

HOSTILE = "![x](http://example.org/x.png) <img src=x> **bold** $x^2$ :red[x] `code` [a](b)\n# title"


def test_plain__leaves_no_mark_unescaped():
    assert re.search(r"(?<!\\)[`*_\[\]()<>#!$:]", plain(HOSTILE)) is None
    assert "\n" not in plain(HOSTILE)


@given(st.text(max_size=60))
def test_plain__unescaped_is_the_text_again(text):
    shown = plain(text).replace("\u2060", "")
    assert re.sub(r"\\(.)", r"\1", shown) == one_line(text).replace("\u2060", "")


def test_plain__a_bare_address_is_no_link():
    for address in ("http://example.org", "HTTPS://example.org", "www.example.org"):
        assert re.search(r"https?:|www\.", re.sub(r"\\(.)", r"\1", plain(f"see {address} or not")), re.IGNORECASE) is None
