"""What stands around the headline figures of an analysis, in words. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.findings import Figure
from app.column_words import words

SAME = "with the usual parameters"


def untold(summary: Sequence[Figure]) -> dict[str, str]:
    """Why nothing can be said, and of which figures: one reason often holds for several."""
    reasons: dict[str, list[str]] = {}
    for figure in summary:
        if figure.value is None:
            reasons.setdefault(figure.basis, []).append(figure.label)
    return {why: _listed(labels) for why, labels in reasons.items()}


def unsaid(caveats: Sequence[str], reasons: Mapping[str, str]) -> list[str]:
    """The caveats that are more than one of ``reasons`` again."""
    said = [why.strip(" .") for why in reasons]
    return [caveat for caveat in caveats if not any(why in caveat for why in said)]


def changed_words(usual: Mapping[str, Any], used: Mapping[str, Any]) -> str:
    """The parameters of a run, as far as they differ from the usual ones."""
    changed = [f"{words(name)} = {value}" for name, value in used.items() if name not in usual or usual[name] != value]
    return f"with {', '.join(changed)}; all else as usual" if changed else SAME


def nothing_stands_out(score: pd.Series) -> str:
    """Why no sample can be called the worst although they have scores; "" where one can."""
    return "Every score is 1: nothing stands out." if (score.dropna() == 1).all() else ""


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
