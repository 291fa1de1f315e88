"""The decision log as tables for people: each entry in words, and what each annotator did in numbers. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from data.decisions import ACTIONS
from data.log_pages import Held, LogRow, LogTotal
from data.plain_text import one_line

WHEN_LETTERS = 19


def log_table(rows: Sequence[LogRow], labels: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """One row an entry; ``labels`` int64 (N,) are the given ones."""
    return pd.DataFrame([_entry(row, int(labels[row.decision.sample_id]), class_names) for row in rows])


def held_words(held: Held, given: int, class_names: Sequence[str]) -> str:
    """How a sample stands: its label, or the top of its softened one, and whether it is left out."""
    if held.soft_label is not None:
        top = int(np.argmax(held.soft_label))
        words = f"{one_line(class_names[top])} {held.soft_label[top]:.2f}, softened"
    else:
        words = one_line(class_names[given if held.label is None else held.label])
    return f"{words}, pruned" if held.pruned else words


def totals_table(totals: Sequence[LogTotal]) -> pd.DataFrame:
    """One row an annotator: entries by action, all of them, how many were taken back, and the time taken.

    ``seconds_each`` is the mean over ``timed`` entries, those that say how long they took; it is missing where none does.
    """
    by_name: dict[str, list[LogTotal]] = {}
    for total in totals:
        by_name.setdefault(total.annotator, []).append(total)
    met = [action for action in ACTIONS if any(total.action == action for total in totals)]
    table = pd.DataFrame([_annotator(name, parts, met) for name, parts in by_name.items()])
    return table if table.empty else table.sort_values("entries", ascending=False, kind="stable")


def day_span(chosen: Sequence[date]) -> tuple[str | None, str | None]:
    """(from, before) as LogQuery takes them, for the days chosen, in UTC; the last day counts. Empty for no days."""
    if not chosen:
        return None, None
    return chosen[0].isoformat(), (chosen[-1] + timedelta(days=1)).isoformat() if len(chosen) > 1 else None


def _entry(row: LogRow, given: int, class_names: Sequence[str]) -> dict[str, object]:
    decision, undo = row.decision, row.undone_by
    return {
        "sample": decision.sample_id,
        "when": _moment(decision.at),
        "who": one_line(decision.annotator),
        "what": decision.action,
        "before": held_words(row.before, given, class_names),
        "after": held_words(row.after, given, class_names),
        "taken back by": "" if undo is None else f"{one_line(undo.annotator)}, {_moment(undo.at)}",
        "why": decision.reason or "",
        "seconds": np.nan if decision.seconds is None else float(decision.seconds),
        "finding": one_line(decision.finding or ""),
        "entry": decision.id,
    }


def _moment(at: str) -> str:
    return one_line(at[:WHEN_LETTERS].replace("T", " "))


def _annotator(name: str, parts: Sequence[LogTotal], actions: Sequence[str]) -> dict[str, object]:
    entries = {action: sum(part.entries for part in parts if part.action == action) for action in actions}
    timed, seconds = sum(part.timed for part in parts), sum(part.seconds for part in parts)
    return {
        "annotator": one_line(name),
        **entries,
        "entries": sum(entries.values()),
        "taken_back": sum(part.undone for part in parts),
        "timed": timed,
        "minutes": seconds / 60 if timed else np.nan,
        "seconds_each": seconds / timed if timed else np.nan,
    }
