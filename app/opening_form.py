"""Form fields for what the files of a set may not say (data.distilled_set.OpenOptions)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from data.distilled_set import OpenOptions
from data.formats import FORMATS
from data.pixels import PROFILES

DETECTED = "as detected"
RECOGNISED = "as recognised"
ELSEWHERE = {
    "counts": (
        "Class counts (CSV)",
        "How many original training images each class had: a class, by name or number, and its count a line.",
    ),
    "reference": (
        "Real reference images",
        "Any file or folder that Stillroom opens: real images of the same classes, to compare with and to learn from.",
    ),
    "test": (
        "Real test images",
        "The same for real images that nothing here learns from: students are tested on them.",
    ),
}
"""Title and help of each option that names files kept elsewhere, beside the labels."""


def opening_fields() -> OpenOptions:
    """What is asked before a set is opened. Everything is optional."""
    left, middle, right = st.columns(3)
    profile = left.selectbox("Pixel space", [DETECTED, *PROFILES])
    chosen_format = middle.selectbox("Format", [RECOGNISED, *FORMATS])
    labels = right.text_input("Label file or relabelled tree kept elsewhere")
    repeat = left.number_input("Repeat or step", min_value=0, value=None, placeholder="first")
    ipc = middle.number_input("Images per class", min_value=1, value=None, placeholder="implied")
    options = OpenOptions(
        repeat=repeat,
        ipc=ipc,
        labels=place_of(labels),
        profile=None if profile == DETECTED else profile,
        format=None if chosen_format == RECOGNISED else chosen_format,
    )
    return elsewhere_fields(options, "open")


def elsewhere_fields(options: OpenOptions, key: str) -> OpenOptions:
    """Files kept elsewhere that belong to a set, as ``options`` name them and as somebody changes them."""
    given = {}
    for column, (name, (title, words)) in zip(st.columns(len(ELSEWHERE)), ELSEWHERE.items(), strict=True):
        before = getattr(options, name)
        given[name] = place_of(column.text_input(title, value=before or "", help=words, key=f"{name} {key}"))
    return replace(options, **given)


def place_of(typed: str) -> str | None:
    """A path as typed, made whole, so that it is found again whatever the next working folder; None where there is none."""
    typed = typed.strip()
    return str(Path(typed).expanduser().absolute()) if typed else None
