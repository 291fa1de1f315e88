"""The order of the analyses: in the menu, and in which they start by themselves when a set is opened. No Streamlit."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.registry import Analysis

MENU = (
    *("label_errors", "combined_evidence", "suggestions", "critic", "source_disagreement", "partial_labels", "hardness"),
    "agreement",
    *("soft_labels", "head_tail", "bias_decomposition", "crops", "label_budget"),
    *("diversity", "map", "class_overlap", "new_classes", "compression"),
    *("student_comparison", "label_ablation", "pareto", "dd_ranking"),
)
"""By what they are about: single labels, then soft labels, then images and classes, and last what students make of it."""
DIAGNOSE, CURATE, STUDENTS = "Diagnose", "Curate", "Judge by students"
PART = {"compression": CURATE, **dict.fromkeys(("student_comparison", "label_ablation", "pareto", "dd_ranking"), STUDENTS)}
"""The part of the menu that an analysis stands in, where that is not DIAGNOSE."""
FIRST = (
    *("soft_labels", "head_tail", "suggestions", "source_disagreement", "crops"),
    *("label_errors", "combined_evidence", "diversity", "map"),
)
"""What nearly everybody asks: from labels alone, then from embeddings, and last what waits for UMAP to compile."""
MOST_FOR_ALL = 5_000
"""Samples of a set for which everything is worked out unasked; in a larger one what is asked rarely waits for a click."""


def menu_order(entries: Iterable[Analysis]) -> list[Analysis]:
    """As people look for them; whatever this module does not know comes last, by name."""
    return _ordered(entries, MENU)


def start_order(entries: Iterable[Analysis], n: int) -> list[Analysis]:
    """Those that start by themselves when a set of ``n`` samples is opened, the first one first; never those that would hold
    up for minutes whatever is asked next."""
    quick = (entry for entry in entries if not entry.takes_minutes)
    return _ordered((entry for entry in quick if n <= MOST_FOR_ALL or entry.name in FIRST), (*FIRST, *MENU))


def part_of(entry: Analysis) -> str:
    """The part of the menu that it stands in."""
    return PART.get(entry.name, DIAGNOSE)


def why_not_yet(entry: Analysis, n: int) -> str:
    """Why it did not start by itself when a set of ``n`` samples was opened, as a sentence to follow another; "" where it
    does."""
    if entry.takes_minutes:
        return " It takes minutes, so it waits until somebody asks; it can be cancelled, and goes on where it was."
    if n > MOST_FOR_ALL and entry.name not in FIRST:
        return " A large set is asked only the most common questions by itself."
    return ""


def _ordered(entries: Iterable[Analysis], names: tuple[str, ...]) -> list[Analysis]:
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return sorted(entries, key=lambda entry: (places.get(entry.name, len(names)), entry.name))
