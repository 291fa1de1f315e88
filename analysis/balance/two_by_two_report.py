"""What the two-by-two comparison says: figures, and tables of its cells and effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.balance.cells import PLACES, Cells, cell_name
from analysis.balance.resampling import around
from analysis.balance.two_by_two import EFFECTS, MEASURES, WHOLE, effects
from analysis.context import Context
from analysis.findings import Figure
from analysis.intervals import FEWEST_FOR_A_MEAN

TOLD = {
    "head_minus_tail": "gap between head's and tail's confidence",
    "tail_to_head": "tail-to-head leakage",
}
"""The measures whose effects are headline figures; the tables hold all."""
MEANT = (
    "long-tailed minus balanced teacher, mean over both kinds of images",
    "long-tailed minus balanced images, mean over both teachers",
    "how much larger the teacher's effect is on long-tailed images than on balanced ones",
    "long-tailed minus balanced teacher, on the same balanced images",
    "long-tailed minus balanced teacher, on the same long-tailed images",
    "long-tailed minus balanced images, both labelled by the balanced teacher",
    "long-tailed minus balanced images, both labelled by the long-tailed teacher",
)
"""What each of ``EFFECTS`` is."""


def two_by_two_report(cells: Cells, basis: str, context: Context) -> tuple[tuple[Figure, ...], dict[str, pd.DataFrame]]:
    """Figures of the effects, and the tables "cells" and "effects", each without what cannot be said for lack of a cell."""
    compared = cells.compared
    values, (cell_errors, effect_errors) = effects(compared.cells), compared.errors(context)
    figures = []
    for effect, name in enumerate(EFFECTS):
        known = not np.isnan(values[effect]).all()
        if effect < WHOLE or (known and cells.missing):
            figures += [_figure(cells, (effect, name), measure, values, effect_errors, basis) for measure in TOLD]
    present = [place for place in PLACES if place not in cells.missing]
    held = [{"cell": cell_name(place), **_row(compared.cells[place], cell_errors[place])} for place in present]
    rows = zip(EFFECTS, values, effect_errors, strict=True)
    found = [{"effect": name, **_row(row, errors)} for name, row, errors in rows if not np.isnan(row).all()]
    tables = {"cells": pd.DataFrame(held), "effects": pd.DataFrame(found)}
    return tuple(figures), {name: table for name, table in tables.items() if len(table)}


def _figure(
    cells: Cells, effect: tuple[int, str], measure: str, values: np.ndarray, errors: np.ndarray, basis: str
) -> Figure:
    place, name = effect
    at = place, MEASURES.index(measure)
    label = f"{name.capitalize()}: {TOLD[measure]}"
    n = sum(len(one.labels) for one in cells.compared.sets.values())
    if np.isnan(values[at]):
        lacking = ", ".join(cell_name(cell) for cell in cells.missing)
        why = f"it needs all four cells, and there is no {lacking}" if lacking else "there is no head or no tail"
        return Figure(label, None, why, n)
    few = f"; no interval, as a class has fewer than {FEWEST_FOR_A_MEAN} samples" if np.isnan(errors[at]) else ""
    return Figure(label, float(values[at]), f"{MEANT[place]}{few}; {basis}", n, "", *around(values[at], errors[at]))


def _row(values: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    row: dict[str, float] = {}
    for measure, value, error in zip(MEASURES, values, errors, strict=True):
        low, high = around(value, error)
        row |= {measure: value, f"{measure}_low": np.nan if low is None else low}
        row[f"{measure}_high"] = np.nan if high is None else high
    return row
