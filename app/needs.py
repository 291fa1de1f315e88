"""What a set lacks for an analysis or a correction, in words, and how to give it. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.registry import Need
from app.words import plain

NAMES: dict[Need, str] = {
    "reference": "a real reference",
    "test split": "a real test split",
    "crops": "soft labels of crops",
}
HOW_TO_GIVE: dict[Need, str] = {
    "soft labels": "open the set with a soft-label file (**Sets**, or `--labels`)",
    "class counts": "give the original training counts (the settings of the set on **Sets**, or `--counts`)",
    "images": "open it with its images",
    "reference": "give real images to compare with (the settings of the set on **Sets**, or `--reference`)",
    "test split": "give real test images (the settings of the set on **Sets**, or `--test`)",
    "crops": "open it with a relabelled tree (**Sets**, or `--labels`)",
}


def needs_words(missing: Sequence[Need], set_name: str) -> str:
    """One sentence, in Markdown: what is missing, and for each how to have it."""
    needs = " and ".join(NAMES.get(need, need) for need in missing)
    ways = "; ".join(HOW_TO_GIVE[need] for need in missing)
    return f"This needs {needs}, which **{plain(set_name)}** does not have: {ways}."
