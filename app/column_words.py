"""Columns of findings as people read them: names in words, classes by name. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pandas.api.types import is_integer_dtype

CLASS_ENDING = "_label"
NO_CLASS = "–"
_PROBABILITY = "p_"
_WORDS = {
    **{"auc": "AUC", "el2n": "EL2N", "elr": "ELR", "js": "JS", "kl": "KL", "mmd2": "MMD²"},
    **{"top1": "top-1", "id": "number", "ipc": "IPC", "lpqld": "LPQLD", "nsd": "NSD"},
}


def words(column: str) -> str:
    """A column's or parameter's name in words; ``p_given`` is the probability of the given label."""
    if column.startswith(_PROBABILITY) and column != "p_value":
        return f"P({words(column.removeprefix(_PROBABILITY))})"
    return " ".join(_WORDS.get(word, word) for word in column.replace("_", " ").split(" "))


def capital(text: str) -> str:
    """With a capital in front, and every other letter as it is."""
    return text[:1].upper() + text[1:]


def with_class_names(table: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Columns that hold classes by number hold their names instead."""
    held = [c for c, values in table.items() if c.endswith(CLASS_ENDING) and is_integer_dtype(values)]
    return table.assign(**{column: [class_words(value, class_names) for value in table[column]] for column in held})


def class_words(label: int, class_names: Sequence[str]) -> str:
    """The name of a class; NO_CLASS for -1, which says that there is none."""
    return class_names[int(label)] if 0 <= label < len(class_names) else NO_CLASS
